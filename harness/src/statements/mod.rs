//! The engine's SQL by its texts: which statements it sends, and how often for each message that
//! travels, each task or each of its expansions, held against a list of those that are declared.
//! Pure.

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
    /// Calls for each task, at most, of what does not grow with the messages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls_a_task_max: BTreeMap<String, f64>,
    /// Calls for each expansion, at most, of what only tasks with expansions call. On a broker that
    /// is in none of the three, the statement is not sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls_an_expansion_max: BTreeMap<String, f64>,
}

/// The statements of a run, and what they are counted by.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'r> {
    /// The run's broker.
    pub broker: Broker,
    /// Whether its calls are comparable.
    pub counts_bind: bool,
    /// Expansions of a task, as [`Scenario::expansions`](crate::scenario::Scenario::expansions).
    pub expansions: Option<u32>,
    /// What was called.
    pub statements: &'r [StatementCalls],
}

/// How often a run has called a statement.
#[derive(Debug, Clone, Copy)]
struct Calls {
    a_task: f64,
    a_message: f64,
    /// Nothing in a run without expansions.
    an_expansion: Option<f64>,
}

/// How often a statement may be called.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Message(f64),
    Task(f64),
    Expansion(f64),
}

impl Bound {
    /// A tenth more than the run has that has called it most: by expansion, where the runs without
    /// any, which there are, did not call it; by task, where all runs agree on it, however many
    /// messages they had; else by message.
    fn of(runs: &[Calls], some_expand_nothing: bool) -> Bound {
        let most = |of: fn(&Calls) -> f64| runs.iter().map(of).fold(0.0, f64::max);
        let least = |of: fn(&Calls) -> f64| runs.iter().map(of).fold(f64::MAX, f64::min);
        let [a_task, a_message] = [most(|run| run.a_task), most(|run| run.a_message)];
        let differ = |most: f64, least: f64| most > least * CALLS_SLACK;
        let with_slack = |calls: f64| (calls * CALLS_SLACK * 1_000.0).ceil() / 1_000.0;
        let is_rare = with_slack(a_message) <= RARE_CALLS_MAX;
        let by_expansion: Option<Vec<f64>> = runs.iter().map(|run| run.an_expansion).collect();
        if let Some(calls) = by_expansion.filter(|_| !is_rare && some_expand_nothing) {
            return Bound::Expansion(with_slack(calls.into_iter().fold(0.0, f64::max)));
        }
        let is_by_task = runs.len() >= RUNS_MIN
            && !is_rare
            && !differ(a_task, least(|run| run.a_task))
            && differ(a_message, least(|run| run.a_message));
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
    /// Declares what these runs have called, each a tenth more often than the run that has called
    /// it most, so that a statement that is run twice stands out. What is called rarely, by a
    /// timer, has a bound that a slow run keeps too; so have the texts `besides`, which the engine
    /// sends in other runs. What each task has equally often is bounded by task, and what only
    /// expansions call by expansion: in a short task they are more often for each message.
    pub fn from_runs(postgresql: u32, runs: &[Counted<'_>], besides: &[String]) -> Declared {
        type Seen = BTreeMap<&'static str, Vec<Calls>>;
        let mut all: BTreeMap<(bool, String), Seen> = BTreeMap::new();
        let some_expand_nothing =
            runs.iter().any(|run| run.counts_bind && run.expansions == Some(0));
        for text in besides {
            let brokers = [Broker::Pgmq, Broker::Rabbitmq].map(|broker| (broker.name(), vec![]));
            all.insert((false, normalised(text)), BTreeMap::from(brokers));
        }
        for run in runs {
            for one in run.statements {
                let of = all.entry((one.is_nested, normalised(&one.text))).or_default();
                let calls = one.calls_a_message.filter(|_| run.counts_bind);
                let calls = calls.map(|a_message| Calls {
                    a_task: one.calls_a_task,
                    a_message,
                    an_expansion: run.an_expansion(one).filter(|calls| calls.is_finite()),
                });
                of.entry(run.broker.name()).or_default().extend(calls);
            }
        }
        let declared = |((is_nested, text), by_broker): (_, Seen)| {
            let mut one = DeclaredStatement {
                text,
                is_nested,
                calls_a_message_max: BTreeMap::new(),
                calls_a_task_max: BTreeMap::new(),
                calls_an_expansion_max: BTreeMap::new(),
            };
            for (broker, runs) in by_broker {
                let (by_broker, most) = match Bound::of(&runs, some_expand_nothing) {
                    Bound::Message(most) => (&mut one.calls_a_message_max, most),
                    Bound::Task(most) => (&mut one.calls_a_task_max, most),
                    Bound::Expansion(most) => (&mut one.calls_an_expansion_max, most),
                };
                by_broker.insert(broker.to_owned(), most);
            }
            one
        };
        Declared { postgresql, statements: all.into_iter().map(declared).collect() }
    }
}

impl Counted<'_> {
    /// Calls for each expansion: more than any bound where there is none.
    fn an_expansion(&self, one: &StatementCalls) -> Option<f64> {
        self.expansions.map(|expansions| one.calls_a_task / f64::from(expansions))
    }
}

/// Judges the statements of a run: a line for all texts, and one for each that is called too
/// often, where calls are comparable.
pub fn judge(declared: &Declared, run: Counted<'_>) -> Vec<BudgetLine> {
    let key = |text: &str, is_nested| (normalised(text), is_nested);
    let known: BTreeMap<_, _> = declared
        .statements
        .iter()
        .filter_map(|one| {
            let most = |by_broker: &BTreeMap<_, f64>| by_broker.get(run.broker.name()).copied();
            let bound = most(&one.calls_a_message_max).map(Bound::Message);
            let bound = bound.or(most(&one.calls_a_task_max).map(Bound::Task));
            let bound = bound.or(most(&one.calls_an_expansion_max).map(Bound::Expansion))?;
            Some((key(&one.text, one.is_nested), bound))
        })
        .collect();
    let seen = run.statements;
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
    for one in seen.iter().filter(|_| run.counts_bind) {
        let (name, most, calls) = match known.get(&key(&one.text, one.is_nested)) {
            None => continue,
            Some(Bound::Task(most)) => ("sql_calls_a_task", most, Some(one.calls_a_task)),
            Some(Bound::Message(most)) => ("sql_calls_a_message", most, one.calls_a_message),
            Some(Bound::Expansion(most)) => ("sql_calls_an_expansion", most, run.an_expansion(one)),
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
            calls_an_expansion_max: BTreeMap::new(),
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

    fn of(text: &str, a_task: f64, messages: f64) -> StatementCalls {
        let calls_a_message = Some(a_task / messages);
        StatementCalls { calls_a_task: a_task, calls_a_message, ..calls(text, 0.0) }
    }

    fn counted(broker: Broker, statements: &[StatementCalls]) -> Counted<'_> {
        Counted { broker, counts_bind: true, expansions: Some(0), statements }
    }

    fn broken(broker: Broker, seen: &[StatementCalls]) -> Vec<String> {
        let lines = judge(&declared(), counted(broker, seen));
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
        let of_many = Counted { counts_bind: false, ..counted(Broker::Pgmq, &twice) };
        assert!(judge(&declared(), of_many).iter().all(|line| line.kept == Some(true)));
    }

    #[test]
    fn what_a_run_has_called_is_declared_with_a_tenth_to_spare() {
        let runs = [calls("SELECT a", 0.5), calls("SELECT b", 0.001)];
        let more = [calls("SELECT a", 0.52)];
        let runs = [&runs[..], &more].map(|run| counted(Broker::Pgmq, run));
        let besides = ["-- Rare.\nSELECT c FROM t".to_owned()];
        let declared = Declared::from_runs(15, &runs, &besides);
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
        let run = |messages| [of("SELECT create()", 1.0, messages), of("SELECT it", 0.01, 8.0)];
        let runs = [8.0, 14.0, 16.0].map(run);
        let runs = runs.each_ref().map(|run| counted(Broker::Pgmq, run));
        let declared = Declared::from_runs(15, &runs, &[]);
        let kept = |seen: StatementCalls| {
            let lines = judge(&declared, counted(Broker::Pgmq, &[seen]));
            lines.iter().all(|line| line.kept == Some(true))
        };
        assert!(kept(of("SELECT create()", 1.0, 2.0)));
        assert!(!kept(of("SELECT create()", 2.0, 16.0)));
        // What is rare stays so.
        assert!(kept(of("SELECT it", 0.1, 8.0)) && !kept(of("SELECT it", 1.0, 8.0)));
    }

    #[test]
    fn what_only_expansions_call_is_bounded_by_expansion_and_tasks_with_more_of_them_keep_it() {
        let run = |expansions, messages| {
            let often = f64::from(expansions);
            let all =
                [of("SELECT claim()", messages, messages), of("SELECT expand()", often, messages)];
            all[..if expansions > 0 { 2 } else { 1 }].to_vec()
        };
        let runs = [(0, 8.0), (1, 8.0), (1, 14.0), (2, 14.0)]
            .map(|(expansions, messages)| (expansions, run(expansions, messages)));
        let runs = runs.each_ref().map(|(expansions, run)| Counted {
            expansions: Some(*expansions),
            ..counted(Broker::Pgmq, run)
        });
        let declared = Declared::from_runs(15, &runs, &[]);
        let kept = |expansions, seen: StatementCalls| {
            let seen = [seen];
            let run = Counted { expansions, ..counted(Broker::Pgmq, &seen) };
            judge(&declared, run).iter().all(|line| line.kept == Some(true))
        };
        assert!(kept(Some(1), of("SELECT expand()", 1.0, 2.0)));
        assert!(kept(Some(3), of("SELECT expand()", 3.0, 8.0)));
        assert!(!kept(Some(1), of("SELECT expand()", 2.0, 16.0)));
        assert!(!kept(Some(0), of("SELECT expand()", 1.0, 16.0)));
        assert!(!kept(Some(1), of("SELECT claim()", 9.0, 8.0)));
        // Of a template that is not known, only the texts are.
        assert!(kept(None, of("SELECT expand()", 2.0, 16.0)));
        // Runs that all expand something don't tell what calls it.
        let declared = Declared::from_runs(15, &runs[1..], &[]);
        assert!(declared.statements.iter().all(|one| one.calls_an_expansion_max.is_empty()));
    }

    #[test]
    fn a_statement_of_the_other_broker_is_not_declared_on_this_one() {
        let seen = [calls("SELECT flush_log($1)", 0.2)];
        assert_eq!(broken(Broker::Rabbitmq, &seen), [""; 0]);
        assert_eq!(broken(Broker::Pgmq, &seen).len(), 1);
    }
}
