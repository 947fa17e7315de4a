//! Starts both servers, says where they are, and keeps them until standard input ends or this
//! process does: `cargo run -p stepmark-servers --example servers`; with `-- postgres` the one only.

use std::io::{self, Read, Write};
use std::path::Path;

use stepmark_servers::{
    Postgres, PostgresBinaries, PostgresOptions, RabbitMq, RabbitMqBinaries, RabbitMqOptions,
    ServerError,
};

fn main() -> Result<(), ServerError> {
    let postgres = Postgres::start(&PostgresBinaries::find(None)?, PostgresOptions::default())?;
    say("postgres", postgres.pid(), &postgres.superuser_url("postgres"), &postgres.data_dir());
    let alone = std::env::args().nth(1).as_deref() == Some("postgres");
    let broker = match alone {
        true => None,
        false => Some(RabbitMq::start(&RabbitMqBinaries::find(None)?, RabbitMqOptions::default())?),
    };
    if let Some(broker) = &broker {
        say("rabbitmq", broker.pid(), &broker.amqp_url(), &broker.log_path());
    }
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

fn say(server: &str, pid: Option<u32>, url: &str, path: &Path) {
    println!("{server} {} {url} {}", pid.unwrap_or_default(), path.display());
    let _ = io::stdout().flush();
}
