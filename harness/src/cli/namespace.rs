//! `stepmark namespace`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::GOOD;
use super::api::{Api, ApiArgs, Failure, ended, table};
use crate::task::document::Namespace;
use crate::task::words::plain;

/// Flags of `stepmark namespace`.
#[derive(Debug, Args)]
pub(super) struct NamespaceArgs {
    #[command(subcommand)]
    command: NamespaceCommand,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Debug, Subcommand)]
enum NamespaceCommand {
    /// List the namespaces of the orchestrator's templates, and since when one is paused.
    ///
    /// Exit code: 0 good, 2 refused, 3 unreachable.
    List,
    /// Pause a namespace: from then on none of its steps is begun. Tasks are still taken, and what
    /// runs goes on to its end.
    ///
    /// Exit code: 0 it is paused, 2 refused, such as a name that no template has, 3 unreachable.
    Pause(Name),
    /// Resume a namespace: its steps are begun again.
    ///
    /// Exit code: 0 it is not paused, 2 refused, 3 unreachable.
    Resume(Name),
}

#[derive(Debug, Args)]
struct Name {
    /// The namespace.
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn run(args: &NamespaceArgs) -> u8 {
    ended(answer(args).await)
}

async fn answer(args: &NamespaceArgs) -> Result<u8, Failure> {
    let api = Api::of(&args.api)?;
    match &args.command {
        NamespaceCommand::List => {
            let document = api.get(&["namespaces"], &[], Duration::ZERO).await?;
            api.show(&document, |all: &Vec<Namespace>| listed(all))?;
        }
        NamespaceCommand::Pause(Name { name }) => change(&api, name, "pause").await?,
        NamespaceCommand::Resume(Name { name }) => change(&api, name, "resume").await?,
    }
    Ok(GOOD)
}

async fn change(api: &Api, name: &str, verb: &str) -> Result<(), Failure> {
    let document = api.ask(&["namespaces", name, verb]).await?;
    api.show(&document, |it: &Namespace| match it.paused_at {
        Some(since) => format!("{} is paused since {since}", plain(&it.namespace)),
        None => format!("{} is not paused", plain(&it.namespace)),
    })?;
    Ok(())
}

fn listed(all: &[Namespace]) -> String {
    let mut table = table(["namespace", "paused since"]);
    for it in all {
        let since = it.paused_at.map(|since| since.to_string());
        table.add_row([plain(&it.namespace), since.unwrap_or_default()]);
    }
    table.trim_fmt()
}
