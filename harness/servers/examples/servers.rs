//! Starts both servers, says where they are, and keeps them until standard input ends or this
//! process does: `cargo run -p stepmark-servers --example servers`. With `postgres` after it, that
//! one alone.

use std::io::{self, Read, Write};
use std::path::Path;

use stepmark_servers::{
    Postgres, PostgresBinaries, PostgresOptions, RabbitMq, RabbitMqBinaries, RabbitMqOptions,
    ServerError,
};

fn main() -> Result<(), ServerError> {
    let postgres = Postgres::start(&PostgresBinaries::find(None)?, PostgresOptions::default())?;
    say("postgres", postgres.pid(), &postgres.superuser_url("postgres"), &postgres.data_dir());
    let _broker = match std::env::args().nth(1).as_deref() {
        Some("postgres") => None,
        _ => Some(rabbitmq()?),
    };
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

fn rabbitmq() -> Result<RabbitMq, ServerError> {
    let broker = RabbitMq::start(&RabbitMqBinaries::find(None)?, RabbitMqOptions::default())?;
    say("rabbitmq", broker.pid(), &broker.amqp_url(), &broker.log_path());
    Ok(broker)
}

fn say(server: &str, pid: Option<u32>, url: &str, path: &Path) {
    println!("{server} {} {url} {}", pid.unwrap_or_default(), path.display());
    let _ = io::stdout().flush();
}
