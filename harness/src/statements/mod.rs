//! The engine's SQL by its texts: which statements it sends, and how often for each message that
//! travels, held against a list of those that are declared. Pure.

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
    /// by broker. On a broker that is not there, the statement is not sent.
    pub calls_a_message_max: BTreeMap<String, f64>,
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
    /// engine sends in other runs.
    pub fn from_runs<'r>(
        postgresql: u32,
        runs: impl Iterator<Item = (Broker, bool, &'r [StatementCalls])>,
        besides: &[String],
    ) -> Declared {
        let mut most: BTreeMap<(bool, String), BTreeMap<String, f64>> = BTreeMap::new();
        for text in besides {
            let brokers = [Broker::Pgmq, Broker::Rabbitmq];
            let bounds = brokers.map(|broker| (broker.name().to_owned(), RARE_CALLS_MAX));
            most.insert((false, normalised(text)), BTreeMap::from(bounds));
        }
        for (broker, counts_bind, statements) in runs {
            for one in statements {
                let of = most.entry((one.is_nested, normalised(&one.text))).or_default();
                let bound = of.entry(broker.name().to_owned()).or_insert(RARE_CALLS_MAX);
                let calls = one.calls_a_message.filter(|_| counts_bind).unwrap_or_default();
                let calls = calls * CALLS_SLACK;
                *bound = bound.max((calls * 1_000.0).ceil() / 1_000.0);
            }
        }
        let declared = |((is_nested, text), calls_a_message_max)| DeclaredStatement {
            text,
            is_nested,
            calls_a_message_max,
        };
        Declared { postgresql, statements: most.into_iter().map(declared).collect() }
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
            let most = one.calls_a_message_max.get(broker.name())?;
            Some((key(&one.text, one.is_nested), *most))
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
        let most = known.get(&key(&one.text, one.is_nested));
        let (Some(most), Some(calls)) = (most, one.calls_a_message) else {
            continue;
        };
        if calls > *most {
            lines.push(BudgetLine {
                name: "sql_calls_a_message".to_owned(),
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
    fn a_statement_of_the_other_broker_is_not_declared_on_this_one() {
        let seen = [calls("SELECT flush_log($1)", 0.2)];
        assert_eq!(broken(Broker::Rabbitmq, &seen), [""; 0]);
        assert_eq!(broken(Broker::Pgmq, &seen).len(), 1);
    }
}
