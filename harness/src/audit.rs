//! Reads what the database holds of a run's tasks, in bulk: states, results, and the audit.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use stepmark_workflow::state::{StepState, TaskState, UnknownState};

use crate::breakdown::{Gathering, RunTimes};
use crate::oracle::{self, StepRecord, TaskRecord, Transition, Wrong};
use crate::work::Spread;
use crate::workload::Workload;

/// Tasks that are read at once: a bound on memory.
const TASKS_A_CHUNK: i64 = 1_000;

const READ_TASKS: &str = "
    SELECT task_id, task_uuid::text, state::text FROM stepmark.tasks
    WHERE task_id > $1 ORDER BY task_id LIMIT $2";
const READ_TASK_TRANSITIONS: &str = "
    SELECT task_id, sort_key, from_state::text, to_state::text,
        (extract(epoch FROM at) * 1000000)::bigint
    FROM stepmark.task_transitions
    WHERE task_id BETWEEN $1 AND $2 ORDER BY task_id, sort_key";
const READ_STEPS: &str = "
    SELECT step_id, name, state::text, result, parents FROM stepmark.workflow_steps
    WHERE step_id BETWEEN $1 << 16 AND $2 << 16 | 65535 ORDER BY step_id";
const READ_STEP_TRANSITIONS: &str = "
    SELECT step_id, sort_key, from_state::text, to_state::text,
        (extract(epoch FROM at) * 1000000)::bigint
    FROM stepmark.workflow_step_transitions
    WHERE step_id BETWEEN $1 << 16 AND $2 << 16 | 65535 ORDER BY step_id, sort_key";

/// Why the audit could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// PostgreSQL does not answer, or the tables are not those that the harness knows.
    #[error("reading the audit: {0}")]
    Sql(#[from] sqlx::Error),
    /// A state that the harness does not know.
    #[error("reading the audit: {0}")]
    State(#[from] UnknownState),
}

/// What the audit of a run says.
#[derive(Debug, Default)]
pub struct Findings {
    /// Wrong answers, with the task's identity.
    pub wrong: Vec<(String, Wrong)>,
    /// Step transitions a sample, over the measured tasks.
    pub step_transitions: Counts,
    /// Task transitions a sample, over the measured ones.
    pub task_transitions: Counts,
    /// The times of those tasks whose clocks the client has told.
    pub times: RunTimes,
}

/// When the client began each task and knew its end, by its wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clocks<'a> {
    /// Both by the task's identity, in microseconds of Unix time.
    pub by_task: &'a BTreeMap<String, (i64, i64)>,
    /// How far the database's clock is ahead of the client's, in microseconds.
    pub ahead_us: i64,
}

/// A count for each sample, by its number.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<u64, u64>);

/// Tasks of one workload that a database has to hold.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What they were given, and the right answers.
    pub workload: &'a Workload,
    /// The number of each task by its identity.
    pub numbers: &'a BTreeMap<String, u64>,
    /// Tasks of a sample.
    pub tasks_a_sample: u64,
    /// The number of the first sample that is measured; none is when they are another's.
    pub measured_from: u64,
}

impl Clocks<'static> {
    /// Of no task.
    pub const UNKNOWN: Clocks<'static> = Clocks { by_task: &BTreeMap::new(), ahead_us: 0 };
}

impl Counts {
    /// The mean; nothing of no tasks.
    pub fn mean(&self) -> Option<f64> {
        let sum: u64 = self.0.values().sum();
        (!self.0.is_empty()).then(|| sum as f64 / self.0.len() as f64)
    }

    /// The lowest, the median and the highest.
    pub fn spread(&self) -> Option<Spread> {
        Spread::of(self.0.values().copied())
    }
}

/// Judges every task of the database by the right answer to its own input: those asked for must be
/// there and right, others must not be there. Transitions are counted over the measured ones, and
/// times taken of those with clocks.
///
/// # Errors
/// The tables cannot be read.
pub async fn examine(
    connection: &mut PgConnection,
    asked: &[Asked<'_>],
    clocks: Clocks<'_>,
) -> Result<Findings, AuditError> {
    let mut findings = Findings::default();
    let mut times = Gathering::default();
    let mut held = BTreeSet::new();
    let mut last_id = i64::MIN;
    loop {
        let tasks = read_chunk(connection, last_id).await?;
        let Some((newest, _)) = tasks.last_key_value() else {
            break;
        };
        last_id = *newest;
        for task in tasks.into_values() {
            // A stray task has no input that is known, so there is nothing to compare it with.
            let of_whom =
                asked.iter().find_map(|one| Some((one, one.numbers.get(&task.task_uuid)?)));
            if let Some((Asked { workload, tasks_a_sample, measured_from, .. }, number)) = of_whom {
                let wrong = match workload.expected(*number) {
                    Ok(expected) => oracle::judge_record(&expected, &task),
                    Err(error) => vec![Wrong::Unjudged(error.to_string())],
                };
                let name = || workload.name(*number, &task.task_uuid);
                findings.wrong.extend(wrong.into_iter().map(|wrong| (name(), wrong)));
                let sample = number / tasks_a_sample;
                if sample >= *measured_from {
                    let steps: u64 =
                        task.steps.iter().map(|step| step.transitions.len() as u64).sum();
                    *findings.step_transitions.0.entry(sample).or_default() += steps;
                    let own = task.transitions.len() as u64;
                    *findings.task_transitions.0.entry(sample).or_default() += own;
                }
            }
            if let Some((begun, ended)) = clocks.by_task.get(&task.task_uuid) {
                times.add(&task, begun + clocks.ahead_us, ended + clocks.ahead_us);
            }
            held.insert(task.task_uuid);
        }
    }
    findings.times = times.done();
    let held = held.iter().map(String::as_str).collect();
    let asked = asked.iter().flat_map(|one| one.numbers.keys()).map(String::as_str).collect();
    let astray = oracle::judge_presence(&asked, &held).into_iter();
    findings.wrong.extend(astray.map(|(uuid, wrong)| (uuid.to_owned(), wrong)));
    Ok(findings)
}

async fn read_chunk(
    connection: &mut PgConnection,
    after: i64,
) -> Result<BTreeMap<i64, TaskRecord>, AuditError> {
    let mut tasks = BTreeMap::new();
    let read = sqlx::query(READ_TASKS).bind(after).bind(TASKS_A_CHUNK);
    for row in read.fetch_all(&mut *connection).await? {
        let (task_uuid, state) = (row.try_get(1)?, parse::<TaskState>(&row, 2)?);
        let task = TaskRecord { task_uuid, state, transitions: vec![], steps: vec![] };
        tasks.insert(row.try_get(0)?, task);
    }
    let (Some((first, _)), Some((last, _))) = (tasks.first_key_value(), tasks.last_key_value())
    else {
        return Ok(tasks);
    };
    let (first, last) = (*first, *last);
    // A step's key is its task's, shifted by 16 bits, and its number.
    let mut places: BTreeMap<i64, usize> = BTreeMap::new();
    let mut parents: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let read = sqlx::query(READ_STEPS).bind(first).bind(last);
    for row in read.fetch_all(&mut *connection).await? {
        let step_id: i64 = row.try_get(0)?;
        let (name, state) = (row.try_get(1)?, parse::<StepState>(&row, 2)?);
        let result = row.try_get::<Option<Value>, _>(3)?;
        let Some(task) = tasks.get_mut(&(step_id >> 16)) else {
            continue;
        };
        places.insert(step_id, task.steps.len());
        parents.insert(step_id, row.try_get::<Vec<i64>, _>(4)?);
        task.steps.push(StepRecord { name, state, result, parents: vec![], transitions: vec![] });
    }
    for (step_id, parents) in parents {
        if let (Some(task), Some(place)) = (tasks.get_mut(&(step_id >> 16)), places.get(&step_id)) {
            let parents = parents.iter().filter_map(|parent| places.get(parent).copied());
            task.steps[*place].parents = parents.collect();
        }
    }
    let read = sqlx::query(READ_STEP_TRANSITIONS).bind(first).bind(last);
    for row in read.fetch_all(&mut *connection).await? {
        let step_id: i64 = row.try_get(0)?;
        let place = places.get(&step_id);
        if let (Some(task), Some(place)) = (tasks.get_mut(&(step_id >> 16)), place) {
            task.steps[*place].transitions.push(transition(&row, 1)?);
        }
    }
    let read = sqlx::query(READ_TASK_TRANSITIONS).bind(first).bind(last);
    for row in read.fetch_all(&mut *connection).await? {
        if let Some(task) = tasks.get_mut(&row.try_get(0)?) {
            task.transitions.push(transition(&row, 1)?);
        }
    }
    Ok(tasks)
}

fn transition<State>(row: &PgRow, column: usize) -> Result<Transition<State>, AuditError>
where
    State: FromStr<Err = UnknownState>,
{
    let sort_key = row.try_get(column)?;
    let (from, to) = (parse(row, column + 1)?, parse(row, column + 2)?);
    Ok(Transition { sort_key, from, to, at_us: row.try_get(column + 3)? })
}

fn parse<State>(row: &PgRow, column: usize) -> Result<State, AuditError>
where
    State: FromStr<Err = UnknownState>,
{
    Ok(row.try_get::<&str, _>(column)?.parse()?)
}
