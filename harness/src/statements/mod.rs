//! The engine's SQL by its texts: which statements it sends, and how often for each message that
//! travels or each task, held against a list of those that are declared. Pure.

mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::budget::BudgetLine;

pub use text::normalised;

/// What a statement may be called more often than when it was declared.
const CALLS_SLACK: f64 = 1.1;
/// Calls a message that are allowed of any declared statement.
const RARE_CALLS_MAX: f64 = 0.06;
/// So many runs have to agree before a statement counts as one that each task has so often.
const RUNS_MIN: usize = 3;
/// Characters of a text that a budget's line shows.
const SHOWN_CHARS: usize = 100;

/// A statement of the engine's role, as `pg_stat_statements` has counted it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementCalls {
    /// The text, with constants as parameters and every white space as one blank.
    pub text: String,
    /// Whether a function ran it. Those are counted where a run asks for it.
    pub is_nested: bool,
    /// Calls a task.
    pub calls_a_task: f64,
    /// Calls for each message that was sent; null where messages were not counted.
    pub calls_a_message: Option<f64>,
}

/// A statement that the engine may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredStatement {
    /// The text, as [`StatementCalls`] has it.
    pub text: String,
    /// Whether a function runs it.
    #[serde(default)]
    pub is_nested: bool,
    /// Calls for each message, at most, with one task at a time, one orchestrator and one worker,
    /// by broker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls_a_message_max: BTreeMap<String, f64>,
    /// Calls for each task, at most, of what does not grow with the messages. On a broker that is
    /// in neither, the statement is not sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls_a_task_max: BTreeMap<String, f64>,
}

/// How often runs have called a statement, by broker: a task and a message.
type Seen = BTreeMap<&'static str, Vec<(f64, f64)>>;

/// How often a statement may be called.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Message(f64),
    Task(f64),
}

impl Bound {
    /// A tenth more than the run has that has called it most, of calls a task and a message: a
    /// task, where all runs agree on it, however many messages they had.
    fn of(runs: &[(f64, f64)]) -> Bound {
        let most = |of: fn(&(f64, f64)) -> f64| runs.iter().map(of).fold(0.0, f64::max);
        let least = |of: fn(&(f64, f64)) -> f64| runs.iter().map(of).fold(f64::MAX, f64::min);
        let [a_task, a_message] = [most(|run| run.0), most(|run| run.1)];
        let differ = |most: f64, least: f64| most > least * CALLS_SLACK;
        let with_slack = |calls: f64| (calls * CALLS_SLACK * 1_000.0).ceil() / 1_000.0;
        let is_by_task = runs.len() >= RUNS_MIN
            && with_slack(a_message) > RARE_CALLS_MAX
            && !differ(a_task, least(|run| run.0))
            && differ(a_message, least(|run| run.1));
        match is_by_task {
            true => Bound::Task(with_slack(a_task)),
            false => Bound::Message(with_slack(a_message).max(RARE_CALLS_MAX)),
        }
    }
}

/// What statements are held against.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// The major version of PostgreSQL whose texts these are: another one writes some in another
    /// way, and they are not judged there.
    pub postgresql: u32,
    /// All statements that the engine may send.
    pub statements: Vec<DeclaredStatement>,
}

impl Declared {
    /// Declares what these runs have called. Of each its broker is given, whether its calls are
    /// comparable, and its statements; each is declared a tenth more often than the run that has
    /// called it most, so that a statement that is run twice stands out. What is called rarely, by
    /// a timer, has a bound that a slow run keeps too; so have the texts `besides`, which the
    /// engine sends in other runs. What each task has equally often is bounded by task: in a short
    /// one it is more often for each message.
    pub fn from_runs<'r>(
        postgresql: u32,
        runs: impl Iterator<Item = (Broker, bool, &'r [StatementCalls])>,
        besides: &[String],
    ) -> Declared {
        let mut all: BTreeMap<(bool, String), Seen> = BTreeMap::new();
        for text in besides {
            let brokers = [Broker::Pgmq, Broker::Rabbitmq].map(|broker| (broker.name(), vec![]));
            all.insert((false, normalised(text)), BTreeMap::from(brokers));
        }
        for (broker, counts_bind, statements) in runs {
            for one in statements {
                let of = all.entry((one.is_nested, normalised(&one.text))).or_default();
                let calls = one.calls_a_message.filter(|_| counts_bind);
                let calls = calls.map(|a_message| (one.calls_a_task, a_message));
                of.entry(broker.name()).or_default().extend(calls);
            }
        }
        let declared = |((is_nested, text), by_broker): (_, Seen)| {
            let mut one = DeclaredStatement {
                text,
                is_nested,
                calls_a_message_max: BTreeMap::new(),
                calls_a_task_max: BTreeMap::new(),
            };
            for (broker, runs) in by_broker {
                match Bound::of(&runs) {
                    Bound::Message(most) => one.calls_a_message_max.insert(broker.to_owned(), most),
                    Bound::Task(most) => one.calls_a_task_max.insert(broker.to_owned(), most),
                };
            }
            one
        };
        Declared { postgresql, statements: all.into_iter().map(declared).collect() }
    }
}

/// Judges the statements of a run: a line for all texts, and one for each that is called too
/// often, where `counts_bind` says that the calls are comparable.
pub fn judge(
    declared: &Declared,
    broker: Broker,
    counts_bind: bool,
    seen: &[StatementCalls],
) -> Vec<BudgetLine> {
    let key = |text: &str, is_nested| (normalised(text), is_nested);
    let known: BTreeMap<_, _> = declared
        .statements
        .iter()
        .filter_map(|one| {
            let a_message = one.calls_a_message_max.get(broker.name()).copied();
            let a_task = one.calls_a_task_max.get(broker.name()).copied();
            let bound = a_message.map(Bound::Message).or(a_task.map(Bound::Task))?;
            Some((key(&one.text, one.is_nested), bound))
        })
        .collect();
    let new = seen.iter().filter(|one| !known.contains_key(&key(&one.text, one.is_nested)));
    let new: Vec<String> = new.map(|one| shown(&normalised(&one.text))).collect();
    let measured = match new.first() {
        None => "all declared".to_owned(),
        Some(first) => format!("{} not declared, as: {first}", new.len()),
    };
    let mut lines = vec![BudgetLine {
        name: "sql_texts".to_owned(),
        allowed: "declared texts".to_owned(),
        measured,
        kept: Some(new.is_empty()),
    }];
    for one in seen.iter().filter(|_| counts_bind) {
        let (name, most, calls) = match known.get(&key(&one.text, one.is_nested)) {
            None => continue,
            Some(Bound::Task(most)) => ("sql_calls_a_task", most, Some(one.calls_a_task)),
            Some(Bound::Message(most)) => ("sql_calls_a_message", most, one.calls_a_message),
        };
        if let Some(calls) = calls.filter(|calls| calls > most) {
            lines.push(BudgetLine {
                name: name.to_owned(),
                allowed: format!("≤ {most} of: {}", shown(&one.text)),
                measured: format!("{calls:.3}"),
                kept: Some(false),
            });
        }
    }
    lines
}

fn shown(text: &str) -> String {
    let cut = if text.chars().nth(SHOWN_CHARS).is_some() { "…" } else { "" };
    text.chars().take(SHOWN_CHARS).chain(cut.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Declared {
        let one = |text: &str, brokers: &[(&str, f64)]| DeclaredStatement {
            text: text.to_owned(),
            is_nested: false,
            calls_a_message_max: brokers.iter().map(|(b, max)| ((*b).to_owned(), *max)).collect(),
            calls_a_task_max: BTreeMap::new(),
        };
        Declared {
            postgresql: 15,
            statements: vec![
                one("SELECT * FROM claim_steps($1)", &[("pgmq", 1.0), ("rabbitmq", 1.0)]),
                one("SELECT flush_log($1)", &[("rabbitmq", 0.5)]),
            ],
        }
    }

    fn calls(text: &str, calls: f64) -> StatementCalls {
        StatementCalls {
            text: text.to_owned(),
            is_nested: false,
            calls_a_task: 8.0 * calls,
            calls_a_message: Some(calls),
        }
    }

    fn broken(broker: Broker, seen: &[StatementCalls]) -> Vec<String> {
        let lines = judge(&declared(), broker, true, seen);
        let broken = lines.iter().filter(|line| line.kept == Some(false));
        broken.map(|line| format!("{}: {}", line.name, line.measured)).collect()
    }

    #[test]
    fn declared_statements_within_their_bounds_are_kept() {
        let seen = [calls("SELECT *\n  FROM claim_steps($1)", 0.6)];
        assert_eq!(broken(Broker::Pgmq, &seen), [""; 0]);
    }

    #[test]
    fn one_more_select_and_a_statement_that_is_run_twice_break_the_budget() {
        let seen = [calls("SELECT * FROM claim_steps($1)", 0.6), calls("SELECT $1", 0.5)];
        assert_eq!(broken(Broker::Pgmq, &seen), ["sql_texts: 1 not declared, as: SELECT $"]);
        let twice = [calls("SELECT * FROM claim_steps($1)", 1.2)];
        assert_eq!(broken(Broker::Pgmq, &twice), ["sql_calls_a_message: 1.200"]);
        // Where more instances look for work, more calls are no news.
        assert!(
            judge(&declared(), Broker::Pgmq, false, &twice).iter().all(|l| l.kept == Some(true))
        );
    }

    #[test]
    fn what_a_run_has_called_is_declared_with_a_tenth_to_spare() {
        let runs = [calls("SELECT a", 0.5), calls("SELECT b", 0.001)];
        let more = [calls("SELECT a", 0.52)];
        let runs = [(Broker::Pgmq, true, &runs[..]), (Broker::Pgmq, true, &more[..])];
        let besides = ["-- Rare.\nSELECT c FROM t".to_owned()];
        let declared = Declared::from_runs(15, runs.into_iter(), &besides);
        let bounds: BTreeMap<&str, f64> = declared
            .statements
            .iter()
            .map(|one| (one.text.as_str(), one.calls_a_message_max["pgmq"]))
            .collect();
        let rare = RARE_CALLS_MAX;
        let expected = [("SELECT a", 0.573), ("SELECT b", rare), ("SELECT c FROM t", rare)];
        assert_eq!(bounds, BTreeMap::from(expected));
    }

    #[test]
    fn what_each_task_has_equally_often_is_bounded_by_task_and_short_ones_keep_it() {
        let of = |text: &str, a_task: f64, messages: f64| StatementCalls {
            calls_a_task: a_task,
            calls_a_message: Some(a_task / messages),
            ..calls(text, 0.0)
        };
        let run = |messages| [of("SELECT create()", 1.0, messages), of("SELECT it", 0.01, 8.0)];
        let runs = [8.0, 14.0, 16.0].map(run);
        let runs = runs.iter().map(|run| (Broker::Pgmq, true, &run[..]));
        let declared = Declared::from_runs(15, runs, &[]);
        let kept = |seen: StatementCalls| {
            judge(&declared, Broker::Pgmq, true, &[seen]).iter().all(|line| line.kept == Some(true))
        };
        assert!(kept(of("SELECT create()", 1.0, 2.0)));
        assert!(!kept(of("SELECT create()", 2.0, 16.0)));
        // What is rare stays so.
        assert!(kept(of("SELECT it", 0.1, 8.0)) && !kept(of("SELECT it", 1.0, 8.0)));
    }

    #[test]
    fn a_statement_of_the_other_broker_is_not_declared_on_this_one() {
        let seen = [calls("SELECT flush_log($1)", 0.2)];
        assert_eq!(broken(Broker::Rabbitmq, &seen), [""; 0]);
        assert_eq!(broken(Broker::Pgmq, &seen).len(), 1);
    }
}
