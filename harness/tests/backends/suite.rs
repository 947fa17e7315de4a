//! What every backend's servers have to be.

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{
    BasicPublishArguments, Channel, ConfirmSelectArguments, QueueDeclareArguments,
    QueueDeleteArguments,
};
use amqprs::error::Error;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use stepmark_harness::client::Client;
use stepmark_harness::environment::{
    Backend, PostgresFacts, PostgresServer, RabbitMqServer, RunDatabase, amqp,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const QUEUE: &str = "kept";
const MESSAGES: u64 = 25;
const STATEMENTS: i64 = 7;

/// Puts the backend's servers through the suite, and returns them.
pub async fn pass(backend: &mut dyn Backend) -> (PostgresServer, RabbitMqServer) {
    let postgres = backend.postgres().await.unwrap();
    let started = started_at(&postgres).await;
    let mut connection = PgConnection::connect(&postgres.admin_url).await.unwrap();
    // Refuses a server whose durability is weakened.
    let facts = PostgresFacts::read(&mut connection).await.unwrap();
    assert!(facts.counts_statements(), "{:?}", facts.settings);
    assert!(facts.settings["max_connections"].parse::<u32>().unwrap() >= 200);
    if let Some(data_dir) = &postgres.data_dir {
        assert!(data_dir.exists());
    }
    it_counts_statements(&postgres).await;

    let rabbitmq = backend.rabbitmq().await.unwrap();
    it_confirms_and_counts_messages(&rabbitmq).await;

    assert_eq!(backend.postgres().await.unwrap().admin_url, postgres.admin_url);
    assert_eq!(backend.rabbitmq().await.unwrap().amqp_url, rabbitmq.amqp_url);
    assert_eq!(started_at(&postgres).await, started, "asked again it is the same server");
    (postgres, rabbitmq)
}

async fn started_at(server: &PostgresServer) -> String {
    let mut connection = PgConnection::connect(&server.admin_url).await.unwrap();
    let started = "SELECT pg_postmaster_start_time()::text";
    sqlx::query_scalar(started).fetch_one(&mut connection).await.unwrap()
}

/// Those of a run's own role in its own database, whose names are gone with the run.
async fn it_counts_statements(server: &PostgresServer) {
    let run = RunDatabase::create(&server.admin_url, None).await.unwrap();
    let mut engine = PgConnection::connect(&run.engine_url).await.unwrap();
    for _ in 0..STATEMENTS {
        engine.execute("SELECT 'counted'").await.unwrap();
    }
    let mut harness = run.connect_to_harness().await.unwrap();
    let counted = "SELECT sum(s.calls)::bigint FROM pg_stat_statements s
        JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = $1 AND s.query ~ '^SELECT'";
    let counted: Option<i64> =
        sqlx::query_scalar(counted).bind(&run.names.role).fetch_one(&mut harness).await.unwrap();
    assert_eq!(counted, Some(STATEMENTS));
    run.clone().remove().await.unwrap();
    let mut admin = PgConnection::connect(&server.admin_url).await.unwrap();
    let left = "SELECT count(*) FROM pg_database WHERE datname = any($1)";
    let names = [run.names.engine_database, run.names.harness_database];
    let left: i64 = sqlx::query_scalar(left).bind(names).fetch_one(&mut admin).await.unwrap();
    assert_eq!(left, 0);
}

async fn it_confirms_and_counts_messages(server: &RabbitMqServer) {
    let before = received(server).await;
    let connection = amqp::open(&server.amqp_url).await.unwrap();
    let channel = connection.open_channel(None).await.unwrap();
    let (sender, mut confirmed) = unbounded_channel();
    channel.register_callback(Confirms(sender)).await.unwrap();
    channel.confirm_select(ConfirmSelectArguments::default()).await.unwrap();
    channel.queue_declare(QueueDeclareArguments::durable_client_named(QUEUE)).await.unwrap();
    for tag in 1..=MESSAGES {
        let persistent = BasicProperties::default().with_delivery_mode(2).finish();
        let arguments = BasicPublishArguments::new("", QUEUE);
        channel.basic_publish(persistent, b"x".to_vec(), arguments).await.unwrap();
        assert_eq!(confirmed.recv().await, Some(tag));
    }
    assert_eq!(received(server).await - before, MESSAGES);
    channel.queue_delete(QueueDeleteArguments::new(QUEUE)).await.unwrap();
    connection.close().await.unwrap();
}

/// The messages that the broker has taken, by its Prometheus page.
async fn received(server: &RabbitMqServer) -> u64 {
    let url = server.prometheus_url.as_ref().unwrap();
    let page = Client::new(Vec::new()).page(url).await.unwrap();
    let metric = "rabbitmq_global_messages_received_total";
    let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Tells how far the broker has confirmed.
struct Confirms(UnboundedSender<u64>);

#[async_trait]
impl ChannelCallback for Confirms {
    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.0.send(ack.delivery_tag()).unwrap();
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        panic!("message {} is refused", nack.delivery_tag());
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}

    async fn close(&mut self, _: &Channel, _: CloseChannel) -> Result<(), Error> {
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, Error> {
        Ok(active)
    }
}
