//! Where a step's time goes in its worker, by the worker's own metrics.

use serde::{Deserialize, Serialize};

use crate::accounting::sum_where;
use crate::client::Client;

/// The metric of the workers.
const SECONDS: &str = "stepmark_step_seconds_total";
const STORED: &str = "stepmark_outcomes_stored_total";

/// Seconds and steps so far, over some workers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepSeconds {
    steps: f64,
    run: f64,
    handler: f64,
    serialisation: f64,
    completion: f64,
}

/// Mean time of a step in its worker, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// From the claim to the outcome.
    pub run_us: f64,
    /// Of that in the handler, where it is in another language.
    pub handler_us: Option<f64>,
    /// Of that in reading and writing JSON, where it crosses a bridge.
    pub serialisation_us: Option<f64>,
    /// Of that on the bridge: between the core's thread and the language's.
    pub bridge_us: Option<f64>,
    /// From the outcome until it is stored.
    pub completion_us: f64,
}

impl StepSeconds {
    /// Reads the workers at these base URLs; nothing when one does not answer.
    pub async fn read(client: &Client, workers: &[String]) -> Option<StepSeconds> {
        let mut total = StepSeconds::default();
        for url in workers {
            let page = client.page(&format!("{url}/metrics")).await;
            let page = page.inspect_err(|error| tracing::warn!(%error, "metrics")).ok()?;
            total.add(&page);
        }
        Some(total)
    }

    fn add(&mut self, page: &str) {
        // A counter that was never raised may not be there yet.
        let part = |name| sum_where(page, SECONDS, &[("part", name)]).unwrap_or(0.0);
        self.steps += sum_where(page, STORED, &[]).unwrap_or(0.0);
        self.run += part("run");
        self.handler += part("handler");
        self.serialisation += part("serialisation");
        self.completion += part("completion");
    }

    /// What was spent on a step since `then`; nothing when there was no step.
    pub fn since(self, then: StepSeconds) -> Option<StepTime> {
        let steps = self.steps - then.steps;
        let us = |now: f64, then: f64| 1e6 * (now - then) / steps;
        let (run_us, handler_us) = (us(self.run, then.run), us(self.handler, then.handler));
        let serialisation_us = us(self.serialisation, then.serialisation);
        let crosses = (handler_us > 0.0).then_some(());
        (steps > 0.0).then(|| StepTime {
            run_us,
            handler_us: crosses.map(|()| handler_us),
            serialisation_us: crosses.map(|()| serialisation_us),
            bridge_us: crosses.map(|()| run_us - handler_us - serialisation_us),
            completion_us: us(self.completion, then.completion),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seconds(run: f64, handler: f64, serialisation: f64, stored: u64) -> StepSeconds {
        let mut seconds = StepSeconds::default();
        seconds.add(&format!(
            "{SECONDS}{{part=\"run\"}} {run}\n{SECONDS}{{part=\"handler\"}} {handler}\n\
             {SECONDS}{{part=\"serialisation\"}} {serialisation}\n\
             {SECONDS}{{part=\"completion\"}} 1\n{STORED}{{outcome=\"Complete\"}} {stored}\n"
        ));
        seconds
    }

    #[test]
    fn what_is_neither_handler_nor_json_is_the_bridge() {
        let (then, now) = (seconds(1.0, 0.5, 0.1, 10), seconds(2.0, 0.7, 0.2, 20));
        let time = now.since(then).unwrap();
        let rounded = |value: Option<f64>| value.map(f64::round);
        assert_eq!(time.run_us.round(), 100_000.0);
        assert_eq!(rounded(time.handler_us), Some(20_000.0));
        assert_eq!(rounded(time.serialisation_us), Some(10_000.0));
        assert_eq!(rounded(time.bridge_us), Some(70_000.0));
        assert_eq!(time.completion_us, 0.0);
    }

    #[test]
    fn a_handler_in_rust_crosses_no_bridge_and_no_step_has_no_time() {
        let (then, now) = (seconds(1.0, 0.0, 0.0, 10), seconds(2.0, 0.0, 0.0, 20));
        assert_eq!(now.since(then).unwrap().bridge_us, None);
        assert_eq!(then.since(then), None);
    }
}
