//! One suite for all sources of servers: what they give is durable, counts what is done to it, is
//! the same when asked again, and is gone with its owner, whatever that died of.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod compose;
mod daemon;
mod docker;
mod owner;
mod suite;

use stepmark_servers::{
    Postgres, PostgresBinaries, PostgresOptions, RabbitMq, RabbitMqBinaries, RabbitMqOptions,
};

use owner::{Owner, gone, wait_until};

#[test]
fn servers_of_process_pass_and_are_gone_when_dropped() {
    let owner = Owner::start("process", &[]);
    let owned = owner.return_now();
    assert!(owned.pids.iter().all(|&pid| gone(pid)) && !owned.data_dir.exists());
}

#[test]
fn servers_of_process_are_gone_after_a_kill() {
    let owned = Owner::start("process", &[]).kill();
    wait_until(|| owned.pids.iter().all(|&pid| gone(pid)) && !owned.data_dir.exists());
}

#[test]
fn servers_of_external_pass_and_outlive_the_owner() {
    let postgres = PostgresBinaries::find(None).unwrap();
    let postgres = Postgres::start(&postgres, PostgresOptions::default()).unwrap();
    let rabbitmq = RabbitMqBinaries::find(None).unwrap();
    let rabbitmq = RabbitMq::start(&rabbitmq, RabbitMqOptions::default()).unwrap();
    let urls = [
        ("STEPMARK_EXTERNAL_DATABASE_URL", postgres.superuser_url("postgres")),
        ("STEPMARK_EXTERNAL_RABBITMQ_URL", rabbitmq.amqp_url()),
        ("STEPMARK_EXTERNAL_RABBITMQ_PROMETHEUS_URL", rabbitmq.prometheus_url()),
    ];
    let owner = Owner::start("external", &urls);
    owner.return_now();
    let left = "DO $$BEGIN ASSERT NOT EXISTS (
        SELECT FROM pg_database WHERE datname LIKE 'stepmark%'); END$$;\n";
    postgres.psql("postgres", left, &[]).unwrap();
    assert!(!gone(rabbitmq.pid().unwrap()));
}
