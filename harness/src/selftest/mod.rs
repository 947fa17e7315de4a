//! The instrument, held against a system whose latencies are known: through load, recorder, verdict
//! and report, the percentiles have to come back, and what is planted has to be found.

mod synthetic;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use stepmark_workflow::state::{StepState, TaskState};
use tokio::time::Instant;

use crate::arrivals::{Arrivals, Spacing};
use crate::broker::Broker;
use crate::client::Client;
use crate::load::{Driven, Load};
use crate::measurement::seen::Seen;
use crate::scenario::{Budget, Expected, ExpectedStep, Workflow};
use crate::statistics::quantile_of_sorted;
use crate::subject::Subject;
use crate::verdict::{self, Observations};
use crate::workload::{Inputs, Workload};

use synthetic::{Behaviour, Synthetic};

/// How far a percentile of the report may be from the system's own record.
const TOLERANCE: f64 = 0.01;
/// Tasks before the recording: connections are opened.
const WARMUP: u64 = 64;

/// One check, and what it found.
#[derive(Debug, Clone)]
pub struct Check {
    /// What has to hold.
    pub what: &'static str,
    /// Whether it does.
    pub holds: bool,
    /// What was seen.
    pub seen: String,
}

/// One run against the synthetic system.
struct Trial {
    behaviour: Behaviour,
    samples: u64,
    concurrency: usize,
    arrivals: Option<Arrivals>,
}

/// What came of it: the run as the report tells it, and the system's own record in milliseconds.
struct Told {
    report: Value,
    own_ms: Vec<f64>,
}

/// Runs all checks, one after the other, and tells of each as it is done; it takes about 40 s.
///
/// # Errors
/// The synthetic system cannot be started.
pub async fn run(tell: impl Fn(&Check)) -> std::io::Result<Vec<Check>> {
    let mut checks = Vec::new();
    let mut add = |check: Check| {
        tell(&check);
        checks.push(check);
    };
    // So long that what HTTP and a busy machine add to it, a millisecond or two, is within 1 %.
    let known = Behaviour {
        median: Duration::from_millis(400),
        sigma: 0.4,
        poll: None,
        stall: None,
        wrong: None,
    };
    let trial = |behaviour: &Behaviour| Trial {
        behaviour: behaviour.clone(),
        samples: 2_000,
        concurrency: 64,
        arrivals: None,
    };
    let told = trial(&known).run().await?;
    add(told.percentiles("closed loop: P50, P95 and P99 are the system's own"));
    add(told.has_no_flags("a system without faults is not flagged"));
    let poisson = Arrivals { rate_per_s: 300.0, spacing: Spacing::Poisson };
    let told = Trial { arrivals: Some(poisson), ..trial(&known) }.run().await?;
    add(told.percentiles("open loop: P50, P95 and P99 are the system's own"));
    add(told.rate(300.0, 2_000));

    let poll = Some(Duration::from_millis(50));
    let polling = Behaviour { median: Duration::from_millis(112), poll, ..known.clone() };
    let told = Trial { samples: 1_000, ..trial(&polling) }.run().await?;
    add(told.flags("a polling comb of 50 ms is flagged", "multiples of 50 ms"));

    let quick = Behaviour { median: Duration::from_millis(5), sigma: 0.1, ..known.clone() };
    let stalling = Behaviour { stall: Some((500, Duration::from_secs(1))), ..quick };
    let one_by_one = Trial { samples: 1_000, concurrency: 1, ..trial(&stalling) };
    let told = one_by_one.run().await?;
    add(told.flags("closed loop: a stall of 1 s is flagged", "coordinated omission"));
    let fixed = Arrivals { rate_per_s: 100.0, spacing: Spacing::Fixed };
    let told = Trial { arrivals: Some(fixed), samples: 1_000, ..trial(&stalling) }.run().await?;
    add(told.shows_stall());

    let lying = Behaviour { wrong: Some(WARMUP + 300), ..known };
    let told = Trial { samples: 500, ..trial(&lying) }.run().await?;
    add(told.is_refuted());
    Ok(checks)
}

impl Trial {
    async fn run(&self) -> std::io::Result<Told> {
        let system = Synthetic::start(self.behaviour.clone()).await?;
        let client = Client::new(vec![system.url.clone()]);
        let workload = Workload::of_table(Inputs::list(vec![json!({})]), vec![answer()]);
        let namespace = "selftest".to_owned();
        let workflow = Workflow { namespace, template: "wait".to_owned(), version: None };
        let load = Load {
            client: &client,
            workflow: &workflow,
            inputs: workload.inputs(),
            run_id: "selftest",
            concurrency: self.concurrency,
        };
        let seen = RefCell::new(Seen::default());
        let take = |timed, tasks| seen.borrow_mut().take(&workload, timed, tasks);
        load.drive_together(1, 0..WARMUP, take).await;
        system.forget();
        seen.borrow_mut().warm = true;
        seen.borrow_mut().load_since = (Instant::now(), Duration::ZERO);
        let numbers = WARMUP..WARMUP + self.samples;
        let Driven { busy, offering } = match self.arrivals {
            Some(arrivals) => load.drive_open(arrivals, 1, numbers, take).await,
            None => {
                let busy = load.drive_together(1, numbers, take).await;
                Driven { busy, offering: busy }
            }
        };
        let mut own_ms: Vec<f64> =
            system.took().iter().map(|took| took.as_secs_f64() * 1e3).collect();
        own_ms.sort_by(f64::total_cmp);
        let seen = seen.into_inner();
        let observations = Observations {
            late_ms_p99: seen.late.quantile_ms(0.99),
            recorder: seen.recorder,
            busy,
            offering,
            wrong: seen.wrong.iter().map(|(task, wrong)| format!("task {task}: {wrong}")).collect(),
            unfinished: seen.unfinished,
            ..Observations::default()
        };
        let report = verdict::judge(&self.subject(), &observations);
        let report = serde_json::to_value(report).map_err(std::io::Error::other)?;
        Ok(Told { report, own_ms })
    }

    fn subject(&self) -> Subject {
        Subject {
            scenario: "selftest".to_owned(),
            tier: 6,
            broker: Broker::Pgmq,
            on: "own".to_owned(),
            topology: BTreeMap::new(),
            concurrency: self.concurrency,
            arrivals: self.arrivals,
            counts_nested: false,
            counts_only: false,
            traces: false,
            warmup: WARMUP,
            tasks_a_sample: 1,
            sequential_stages: 1,
            expansions: None,
            items: None,
            budget: Budget::default(),
            declared: None,
            published: None,
            compared: None,
            run_name: "selftest".to_owned(),
        }
    }
}

fn answer() -> Expected {
    let step = ExpectedStep { state: StepState::Complete, result: Some(json!({"value": "42"})) };
    let steps = BTreeMap::from([("wait".to_owned(), step)]);
    Expected { task_state: TaskState::Complete, steps }
}

impl Told {
    fn percentiles(&self, what: &'static str) -> Check {
        let mut seen = Vec::new();
        let mut holds = true;
        for (name, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            let told = self.report["latency_ms"][name].as_f64().unwrap_or(f64::NAN);
            let own = quantile_of_sorted(&self.own_ms, quantile).unwrap_or(f64::NAN);
            let ratio = told / own;
            // A figure that is not there is no number, and within no tolerance.
            holds &= (ratio - 1.0).abs() <= TOLERANCE;
            seen.push(format!("{name} {told:.2} ms of {own:.2} ms ({ratio:.4})"));
        }
        Check { what, holds, seen: seen.join(", ") }
    }

    fn notes(&self) -> Vec<&str> {
        self.report["notes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn has_no_flags(&self, what: &'static str) -> Check {
        let notes = self.notes();
        let holds = notes.is_empty() && self.report["status"] == "good";
        Check { what, holds, seen: if holds { "no note".to_owned() } else { notes.join("; ") } }
    }

    fn flags(&self, what: &'static str, text: &str) -> Check {
        let notes = self.notes();
        let note = notes.iter().find(|note| note.contains(text));
        let seen = note.map_or_else(|| "no such note".to_owned(), |note| (*note).to_owned());
        Check { what, holds: note.is_some(), seen }
    }

    fn rate(&self, asked: f64, samples: u64) -> Check {
        let rate = &self.report["rate"];
        let offered = rate["offered_per_s"].as_f64().unwrap_or(f64::NAN);
        // The number of Poisson arrivals in a time spreads by its square root.
        let spread = 4.0 / (samples as f64).sqrt();
        let holds = (offered / asked - 1.0).abs() <= spread
            && rate["is_short"] == false
            && self.report["samples"] == samples;
        Check {
            what: "open loop: the rate is offered, and nothing dropped",
            holds,
            seen: rate.to_string(),
        }
    }

    fn shows_stall(&self) -> Check {
        let p99 = self.report["latency_ms"]["p99"].as_f64().unwrap_or(f64::NAN);
        let holds = p99 >= 800.0 && self.report["samples"] == 1_000;
        let what = "open loop: a stall of 1 s shows in P99, and drops nothing";
        Check { what, holds, seen: format!("P99 {p99:.0} ms of {} tasks", self.report["samples"]) }
    }

    fn is_refuted(&self) -> Check {
        let problems = self.report["problems"].to_string();
        let holds = self.report["status"] == "invalid"
            && self.report["latency_ms"]["p50"].is_null()
            && problems.contains("41");
        let what = "a wrong answer takes the run all of its figures";
        Check { what, holds, seen: problems }
    }
}
