//! A provider on a database of its own, and tasks that make messages.

use std::sync::Arc;

use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Row};
use stepmark_engine::config::Broker;
use stepmark_engine::database::read_pool;
use stepmark_engine::messaging::{MessagingService, Outgoing, StepId};
use stepmark_engine::program::start_messaging;
use stepmark_servers::RabbitMq;
use stepmark_workflow::Template;
use uuid::Uuid;

use crate::lane::Lane;
use crate::support::{Database, number, rabbitmq, template, unique, worker_config};

/// One provider.
pub struct Transport {
    pub service: Arc<dyn MessagingService>,
    pub database: Database,
    pub queue_prefix: String,
    /// Of the tasks that are created: one, unless told.
    pub steps: &'static [(&'static str, &'static [&'static str])],
    pub connection: PgConnection,
    pool: PgPool,
}

impl Transport {
    /// On servers that other tests use too.
    pub async fn start(broker: Broker) -> Self {
        let server = (broker == Broker::Rabbitmq).then(rabbitmq);
        Self::on(Database::migrated(), server).await
    }

    /// RabbitMQ with quorum queues.
    pub async fn start_quorum() -> Self {
        Self::told(Database::migrated(), Some(rabbitmq()), &["--queue-type", "quorum"]).await
    }

    /// On these servers; on PGMQ without a broker's.
    pub async fn on(database: Database, broker: Option<&RabbitMq>) -> Self {
        Self::told(database, broker, &[]).await
    }

    async fn told(database: Database, broker: Option<&RabbitMq>, more: &[&str]) -> Self {
        let queue_prefix = format!("{}.", unique("test"));
        let url = broker.map(RabbitMq::amqp_url).unwrap_or_default();
        let mut flags = vec!["--queue-prefix", &queue_prefix];
        if broker.is_some() {
            flags.extend(["--broker", "rabbitmq", "--rabbitmq-url", &url]);
        }
        flags.extend(more);
        let config = worker_config(&database, &flags).engine;
        let pool = read_pool(database.options(), 2);
        let service = start_messaging(&config, &database.options(), &pool).await;
        Self {
            service: service.unwrap(),
            connection: database.connect().await,
            queue_prefix,
            steps: &[("a", &[])],
            database,
            pool,
        }
    }

    pub fn broker(&self) -> Broker {
        self.service.broker()
    }

    /// A lane of dispatch messages.
    pub async fn lane(&self, namespaces: &[&str]) -> Lane {
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        Lane::open(Arc::clone(&self.service), namespaces).await
    }

    /// Creates tasks and publishes their messages, as an orchestrator does.
    pub async fn start_tasks(&mut self, namespace: &str, count: usize) -> Vec<StepId> {
        self.service.declare(vec![namespace.to_owned()]).await.unwrap();
        let (steps, outgoing) = self.create_tasks(namespace, count).await;
        self.service.publish(outgoing).await;
        steps
    }

    /// Creates tasks, and leaves their messages to be published.
    pub async fn create_tasks(&mut self, namespace: &str, count: usize) -> (Vec<StepId>, Outgoing) {
        let parsed = template(namespace, "t", self.steps);
        let parsed = Template::parse("test.yaml", &parsed).unwrap();
        let template_id: i32 = sqlx::query_scalar(include_str!("../../sql/register_template.sql"))
            .bind(&parsed.namespace)
            .bind(&parsed.name)
            .bind(parsed.version)
            .bind(parsed.content_hash())
            .bind(parsed.definition())
            .bind(parsed.rows())
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        let row = sqlx::query(include_str!("../../sql/create_tasks.sql"))
            .bind(self.broker().name())
            .bind((0..count).map(|_| Uuid::now_v7()).collect::<Vec<_>>())
            .bind(vec![template_id; count])
            .bind(vec![namespace; count])
            .bind(vec!["{}"; count])
            .bind(vec![None::<String>; count])
            .bind(vec![None::<i32>; count])
            .bind(vec![0_i16; count])
            .bind(vec![None::<i64>; count])
            .bind(vec![None::<i64>; count])
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        let uuids: Vec<Uuid> = row.get("task_uuids");
        let task_ids = "SELECT task_id FROM tasks WHERE task_uuid = ANY ($1) ORDER BY task_id";
        let task_ids: Vec<i64> =
            sqlx::query_scalar(task_ids).bind(uuids).fetch_all(&mut self.connection).await.unwrap();
        let step = |task_id| StepId::new(task_id, 0);
        let steps = task_ids.into_iter().map(step).collect();
        (steps, Outgoing::from_row(&row).unwrap())
    }

    /// Stores the result of a claimed step, and publishes its completion, as a worker does.
    pub async fn complete(&mut self, step: StepId) {
        let token = "SELECT claim_token FROM workflow_steps WHERE step_id = $1";
        let token = sqlx::query_scalar(token).bind(step);
        let token: Uuid = token.fetch_one(&mut self.connection).await.unwrap();
        let row = sqlx::query(include_str!("../../sql/complete_steps.sql"))
            .bind(self.broker().name())
            .bind([step])
            .bind([token])
            .bind(["Complete"])
            .bind([Some("1")])
            .bind([None::<String>])
            .bind([None::<String>])
            .bind([None::<i64>])
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        self.service.publish(Outgoing::from_row(&row).unwrap()).await;
    }

    /// Sends dispatch messages, whatever they name.
    pub async fn send(&mut self, namespace: &str, steps: &[StepId]) {
        self.service.declare(vec![namespace.to_owned()]).await.unwrap();
        let sql = match self.broker() {
            Broker::Pgmq => {
                "INSERT INTO pgmq.q_stepmark_dispatch (vt, message) \
                 SELECT now(), m.body || jsonb_build_object('namespace', $1, 'priority', 0) \
                 FROM unnest($2::jsonb[]) AS m (body) RETURNING gen_random_uuid(), '', ''"
            }
            Broker::Rabbitmq => {
                "INSERT INTO message_outbox (queue, priority, body) \
                 SELECT 'dispatch.' || $1, 0, m.body \
                 FROM unnest($2::jsonb[]) AS m (body) RETURNING message_id, queue, body::text"
            }
        };
        let bodies = steps.iter().map(|step| serde_json::json!({"step_id": step}));
        let sent: Vec<(Uuid, String, String)> = sqlx::query_as(sql)
            .bind(namespace)
            .bind(bodies.collect::<Vec<_>>())
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        let mut outgoing = Outgoing::default();
        for (message_id, queue, body) in sent {
            outgoing.message_ids.push(message_id);
            outgoing.queues.push(queue);
            outgoing.priorities.push(0);
            outgoing.bodies.push(body);
        }
        self.service.publish(outgoing).await;
    }

    /// Messages that the broker has not confirmed.
    pub async fn outbox(&mut self) -> i64 {
        number(&mut self.connection, "SELECT count(*) FROM message_outbox").await
    }

    /// Closes the provider as a drained process does.
    pub async fn close(self) {
        self.service.close().await;
        self.pool.close().await;
    }
}
