//! `stepmark task`.

mod prune;
mod show;
mod start;
mod watch;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use super::api::{Api, ApiArgs, Failure, ended, print};
use super::{GOOD, INVALID, complain, interrupted};
use crate::task::document::{Named, TaskList};

/// Flags of `stepmark task`.
#[derive(Debug, Args)]
pub(super) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Start a task and print its id; with --wait wait for its end, and show it.
    ///
    /// Exit code: 0 started, and with --wait Complete; 2 refused, or not Complete; 3 unreachable.
    Start(start::StartArgs),
    /// Show a task with its steps and their results, or its audit.
    ///
    /// Exit code: 0 good, 2 refused, such as an id that no task has, 3 unreachable.
    Get(GetArgs),
    /// List tasks, the newest first; --state Error lists the failed ones, with what failed.
    ///
    /// Exit code: 0 good, 2 refused, 3 unreachable.
    List(ListArgs),
    /// Draw a task's steps with their states and times as they change, until it ends.
    ///
    /// On a terminal the drawing is renewed in place; elsewhere each change is a line, and with
    /// --json each change is the API's document of the graph, in one line. When the orchestrator
    /// goes away meanwhile, it is asked again until it is back. Times of steps that run are taken
    /// from this machine's clock.
    ///
    /// Exit code: 0 the task is Complete; 2 it is Error or Cancelled, was refused, or Ctrl-C came;
    /// 3 unreachable from the first.
    Watch(Id),
    /// Cancel a task: nothing of it is begun any more, and handlers that run are told.
    ///
    /// Exit code: 0 it is Cancelled, 2 refused, such as a task that is Complete, 3 unreachable.
    Cancel(CancelArgs),
    /// Redrive a failed task: its failed steps are tried again, and what hangs on them.
    ///
    /// Exit code: 0 it runs again, 2 refused, such as a task that is not in Error, 3 unreachable.
    Redrive(Id),
    /// Delete old tasks that have ended, and their idempotency keys, batch by batch.
    ///
    /// How far it is goes to standard error; --json is the sum of the API's answers.
    ///
    /// Exit code: 0 good, 2 refused, 3 unreachable; what was deleted before that stays deleted.
    Prune(prune::PruneArgs),
}

#[derive(Debug, Args)]
struct Id {
    /// The task's id.
    #[arg(value_name = "ID")]
    id: Uuid,
}

#[derive(Debug, Args)]
struct GetArgs {
    #[command(flatten)]
    task: Id,
    /// Every state change of the task and its steps, in order, instead.
    #[arg(long)]
    audit: bool,
}

#[derive(Debug, Args)]
struct CancelArgs {
    #[command(flatten)]
    task: Id,
    /// Why, for its audit; `cancelled` when left out.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those in this state.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those of this namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only those of templates of this name.
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// At most so many, 1 to 1000; 50 when left out. With --all so many at once, and 1000.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Those after the last one of an earlier list, which says this number.
    #[arg(long, value_name = "NUMBER")]
    after: Option<i64>,
    /// All there are; with --json a document for each --limit of them.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(args: &TaskArgs) -> u8 {
    ended(answer(args).await)
}

async fn answer(args: &TaskArgs) -> Result<u8, Failure> {
    let api = Api::of(&args.api)?;
    match &args.command {
        TaskCommand::Start(args) => return start::run(&api, args).await,
        TaskCommand::Get(args) => get(&api, args).await?,
        TaskCommand::List(args) => list(&api, args).await?,
        TaskCommand::Watch(Id { id }) => return watch::run(&api, *id).await,
        TaskCommand::Cancel(args) => cancel(&api, args).await?,
        TaskCommand::Redrive(Id { id }) => {
            let document = api.ask(&["tasks", &id.to_string(), "redrive"]).await?;
            api.show(&document, named)?;
        }
        TaskCommand::Prune(args) => prune::run(&api, args).await?,
    }
    Ok(GOOD)
}

async fn get(api: &Api, args: &GetArgs) -> Result<(), Failure> {
    let id = args.task.id.to_string();
    if args.audit {
        let audit = api.get(&["tasks", &id, "transitions"], &[], Duration::ZERO).await?;
        api.show(&audit, show::audit)?;
    } else {
        api.show(&api.get(&["tasks", &id], &[], Duration::ZERO).await?, show::task)?;
    }
    Ok(())
}

async fn list(api: &Api, args: &ListArgs) -> Result<(), Failure> {
    let limit = args.limit.unwrap_or(if args.all { 1_000 } else { 50 });
    let filters = [
        ("state", args.state.clone()),
        ("namespace", args.namespace.clone()),
        ("template", args.template.clone()),
        ("limit", Some(limit.to_string())),
    ];
    let filters: Vec<_> = filters.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
    let mut after = args.after;
    loop {
        let mut query = filters.clone();
        query.extend(after.map(|after| ("after", after.to_string())));
        let document = api.get(&["tasks"], &query, Duration::ZERO).await?;
        let list: TaskList = api.read(&document)?;
        // A full page may be the last one.
        if api.json || after == args.after || !list.tasks.is_empty() {
            api.show(&document, show::list)?;
        }
        after = list.next;
        match after {
            None => return Ok(()),
            Some(_) if args.all => {}
            Some(_) if api.json => return Ok(()),
            Some(next) => return print(&format!("\nThere may be more: --after {next}, or --all.")),
        }
    }
}

async fn cancel(api: &Api, args: &CancelArgs) -> Result<(), Failure> {
    let id = args.task.id.to_string();
    let path = ["tasks", &id, "cancel"];
    let document = match &args.reason {
        Some(reason) => api.post(&path, &json!({"reason": reason})).await?,
        None => api.ask(&path).await?,
    };
    api.show(&document, named)?;
    Ok(())
}

fn named(task: &Named) -> String {
    format!("{} is {}", crate::task::words::plain(&task.task_uuid), task.state)
}
