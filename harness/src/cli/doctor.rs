//! `stepmark doctor`.

use std::fmt::Write;
use std::process::Command;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use stepmark_docker::Daemon;
use stepmark_servers::Survey;

use super::{ENVIRONMENT, EnvironmentArgs, GOOD, complain};
use crate::environment::{BackendName, Images, PostgresFacts};

pub(super) async fn run(args: &EnvironmentArgs) -> u8 {
    let explicit = args.pg_bin.clone();
    let survey = tokio::task::spawn_blocking(move || Survey::take(explicit.as_deref())).await;
    let survey = survey.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    println!("This machine");
    let cargo = cargo_version();
    let cargo = cargo.as_deref().map_err(|error| *error);
    say("cargo", cargo, "install the Rust toolchain (https://rustup.rs)");
    for fact in survey.facts() {
        let found = fact.found;
        match (fact.good, fact.remedy) {
            (true, _) => say(fact.name, Ok(&found), ""),
            (false, remedy) => say(fact.name, Err(&found), remedy.as_deref().unwrap_or_default()),
        }
    }
    println!("\nBackends");
    let process = survey.postgres.is_ok();
    match (&survey.postgres, &survey.rabbitmq) {
        (Err(error), _) => say("process", Err(&error.to_string()), ""),
        (Ok(postgres), Err(error)) => {
            let version = &postgres.version;
            let found = format!("PGMQ on a private PostgreSQL {version}; no RabbitMQ: {error}");
            say("process", Err(&found), "");
        }
        (Ok(postgres), Ok(rabbitmq)) => {
            let (postgres, rabbitmq) = (&postgres.version, &rabbitmq.version);
            let found = format!("private PostgreSQL {postgres} and RabbitMQ {rabbitmq}");
            say("process", Ok(&found), "");
        }
    }
    let docker = docker(&args.images).await;
    say("docker", docker.as_deref().map_err(String::as_str), "");
    let external = match &args.database_url {
        None => Err("no --database-url given".to_owned()),
        Some(url) => reach(url).await,
    };
    say("external", external.as_deref().map_err(String::as_str), "");
    let choice = match args.choice().await {
        Ok(choice) => choice,
        Err(error) => {
            println!("\nWith --backend {} it is none.", name(args.backend));
            return complain(ENVIRONMENT, &error);
        }
    };
    println!(
        "\nWith --backend {} it is {}: {}.",
        name(args.backend),
        choice.backend.name(),
        choice.why
    );
    let works = match choice.backend.name() {
        "external" => external.is_ok(),
        "docker" => docker.is_ok(),
        _ => process,
    };
    if works { GOOD } else { ENVIRONMENT }
}

/// What the backend would use, and what it would have to pull.
async fn docker(images: &Images) -> Result<String, String> {
    let daemon = Daemon::connect().await.map_err(|error| error.to_string())?;
    let mut found = format!("Docker {}", daemon.version());
    for image in [&images.postgres_image, &images.rabbitmq_image] {
        let place = if daemon.has(image).await? { "is here" } else { "would be pulled" };
        write!(found, "; {image} {place}").expect("a string takes any text");
    }
    Ok(found)
}

/// One line: what it is about, what was found, and what helps.
fn say(name: &str, found: Result<&str, &str>, remedy: &str) {
    let (mark, found) = match found {
        Ok(found) => ("ok", found),
        Err(found) => ("--", found),
    };
    println!("  {mark}  {name:<18} {found}");
    if !remedy.is_empty() && mark != "ok" {
        println!("      {:<18} → {remedy}", "");
    }
}

fn cargo_version() -> Result<String, &'static str> {
    let output = Command::new("cargo").arg("--version").output();
    let output = output.map_err(|_| "not found: the engine's binaries cannot be built")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn reach(url: &str) -> Result<String, String> {
    let mut connection = PgConnection::connect(url).await.map_err(|error| error.to_string())?;
    let facts = PostgresFacts::read(&mut connection).await.map_err(|error| error.to_string())?;
    let superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
    let superuser: bool = sqlx::query_scalar(superuser)
        .fetch_one(&mut connection)
        .await
        .map_err(|error| error.to_string())?;
    if !superuser {
        let why = "its role is no superuser, which a run needs to make its own role and databases";
        return Err(format!("PostgreSQL {}, but {why}", facts.version));
    }
    let counted = match facts.counts_statements() {
        true => "with pg_stat_statements",
        false => "without pg_stat_statements: a run would be incomplete",
    };
    Ok(format!("PostgreSQL {} {counted}", facts.version))
}

fn name(backend: BackendName) -> &'static str {
    match backend {
        BackendName::Auto => "auto",
        BackendName::Process => "process",
        BackendName::Docker => "docker",
        BackendName::External => "external",
    }
}
