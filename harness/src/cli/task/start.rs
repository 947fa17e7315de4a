//! `stepmark task start`.

use std::fs::File;
use std::io::{Read, stdin};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use stepmark_workflow::TaskState;

use super::show;
use super::{GOOD, INVALID, complain};
use crate::cli::api::{Api, Failure, print, said};
use crate::client::ClientError;
use crate::task::document::{Named, Task};

/// Longest context that is read, in bytes; an orchestrator takes far less.
const CONTEXT_BYTES_MAX: u64 = 64 << 20;
/// How long one request asks the orchestrator to wait.
const WAIT: Duration = Duration::from_secs(20);

/// Flags of `stepmark task start`.
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    /// The template.
    #[arg(value_name = "NAMESPACE/TEMPLATE", value_parser = template)]
    template: (String, String),
    /// Version of the template; the highest when left out.
    #[arg(long, value_name = "N")]
    version: Option<i32>,
    /// What the handlers are given, a JSON object: as it stands here, in @FILE, or - for standard
    /// input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    context: Option<String>,
    /// Idempotency key: starts with the same key make one task.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The steps of a task with a higher priority are dispatched first; 0 to 9, 0 when left out.
    #[arg(long, value_name = "N")]
    priority: Option<i16>,
    /// How long the task is put off, in ms.
    #[arg(long, value_name = "N")]
    delay_ms: Option<i64>,
    /// How long the task may take in all, in ms; as its template says when left out.
    #[arg(long, value_name = "N")]
    deadline_ms: Option<i64>,
    /// Wait this long for its end, in seconds, and show it then.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    wait: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct Start<'a> {
    namespace: &'a str,
    template: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<i64>,
}

fn template(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('/').ok_or("not of the form NAMESPACE/TEMPLATE")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(wait) if Instant::now().checked_add(wait).is_some() => Ok(wait),
        _ => Err("not a time to wait".to_owned()),
    }
}

pub(super) async fn run(api: &Api, args: &StartArgs) -> Result<u8, Failure> {
    let start = Start {
        namespace: &args.template.0,
        template: &args.template.1,
        version: args.version,
        context: args.context.as_deref().map(context).transpose()?,
        idempotency_key: args.key.as_deref(),
        priority: args.priority,
        delay_ms: args.delay_ms,
        deadline_ms: args.deadline_ms,
    };
    let created = api.post(&["tasks"], &start).await?;
    let Named { task_uuid, .. } = api.read(&created)?;
    match args.wait {
        None if api.json => print(&created)?,
        None => print(&task_uuid)?,
        Some(patience) => {
            if !api.json {
                print(&task_uuid)?;
            }
            return wait(api, &task_uuid, patience).await;
        }
    }
    Ok(GOOD)
}

/// The context, and where it comes from when it isn't JSON.
fn context(told: &str) -> Result<Box<RawValue>, Failure> {
    let (name, text) = match told.strip_prefix('@') {
        Some(path) => (path, File::open(path).and_then(bounded)),
        None if told == "-" => ("standard input", bounded(stdin())),
        None => ("--context", Ok(told.to_owned())),
    };
    let text = text.map_err(|error| Failure::invalid(format!("{name}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| Failure::invalid(format!("{name}: {error}")))
}

fn bounded(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    if source.take(CONTEXT_BYTES_MAX + 1).read_to_string(&mut text)? as u64 > CONTEXT_BYTES_MAX {
        let why = format!("more than {CONTEXT_BYTES_MAX} bytes");
        return Err(std::io::Error::other(why));
    }
    Ok(text)
}

/// Waits for the task's end and shows it, or as it is when the patience is over.
async fn wait(api: &Api, id: &str, patience: Duration) -> Result<u8, Failure> {
    let begun = Instant::now();
    let mut away = false;
    let (document, task) = loop {
        let left = patience.saturating_sub(begun.elapsed());
        match look(api, id, left.min(WAIT)).await {
            Ok((document, task)) if task.state.is_terminal() || left.is_zero() => {
                break (document, task);
            }
            Ok(_) => away = false,
            Err(error) => match error.retry_after() {
                Some(pause) if !left.is_zero() => {
                    if !std::mem::replace(&mut away, true) {
                        eprintln!("stepmark: no answer, trying again: {}", said(&error));
                    }
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(error.into()),
            },
        }
    };
    api.show(&document, |task| format!("\n{}", show::task(task)))?;
    match task.state {
        TaskState::Complete => Ok(GOOD),
        state if state.is_terminal() => Ok(complain(INVALID, &format!("the task is {state}"))),
        state => {
            let why = format!("the task is {state} after {} s", patience.as_secs_f64());
            Ok(complain(INVALID, &why))
        }
    }
}

async fn look(api: &Api, id: &str, wait: Duration) -> Result<(String, Task), ClientError> {
    let query = [("wait", wait.as_secs_f64().to_string())];
    let document = api.get(&["tasks", id], &query, wait).await?;
    let task = api.read(&document)?;
    Ok((document, task))
}
