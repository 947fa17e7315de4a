//! Starts both servers, says where they are, and keeps them until standard input ends or this
//! process does: `cargo run -p stepmark-servers --example servers`.

use std::io::{self, Read, Write};
use std::path::Path;

use stepmark_servers::{
    Postgres, PostgresBinaries, PostgresOptions, RabbitMq, RabbitMqBinaries, RabbitMqOptions,
    ServerError,
};

fn main() -> Result<(), ServerError> {
    let postgres = Postgres::start(&PostgresBinaries::find(None)?, PostgresOptions::default())?;
    say("postgres", postgres.pid(), &postgres.superuser_url("postgres"), &postgres.data_dir());
    let broker = RabbitMq::start(&RabbitMqBinaries::find(None)?, RabbitMqOptions::default())?;
    say("rabbitmq", broker.pid(), &broker.amqp_url(), &broker.log_path());
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

fn say(server: &str, pid: Option<u32>, url: &str, path: &Path) {
    println!("{server} {} {url} {}", pid.unwrap_or_default(), path.display());
    let _ = io::stdout().flush();
}
