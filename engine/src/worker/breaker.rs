//! The circuit breaker in front of the handlers: a worker at which everything fails stops claiming
//! for a while, so that it doesn't use up the attempts of steps that another worker could run.
//!
//! The three states are those of Nygard, *Release It!*: closed lets everything through; after too
//! many failures in a row it is open and lets nothing through; after a pause it is half-open and
//! lets one step through, whose outcome closes or opens it again.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::outcome::Outcome;

/// What the breaker lets through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BreakerState {
    /// All steps.
    Closed,
    /// One step, to see.
    HalfOpen,
    /// None, for this long.
    Open(Duration),
}

/// A breaker, asked and told without a lock.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    pause: Duration,
    failures: AtomicU32,
    /// In ms after `began`; of interest only from `failures_max` failures on.
    opened_at_ms: AtomicU64,
    began: Instant,
    /// An outcome has come that decides.
    pub(super) decided: Notify,
}

impl Breaker {
    /// It opens for `pause` after so many failures in a row; with 0 it never does.
    pub(super) fn new(failures_max: u32, pause: Duration) -> Self {
        let (failures, opened_at_ms) = (AtomicU32::new(0), AtomicU64::new(0));
        let (began, decided) = (Instant::now(), Notify::new());
        Self { failures_max, pause, failures, opened_at_ms, began, decided }
    }

    /// Whether any step may go to its handler now.
    pub(super) fn should_allow(&self) -> bool {
        !matches!(self.state(), BreakerState::Open(_))
    }

    pub(super) fn state(&self) -> BreakerState {
        if self.failures_max == 0 || self.failures.load(Ordering::Acquire) < self.failures_max {
            return BreakerState::Closed;
        }
        let opened_at = Duration::from_millis(self.opened_at_ms.load(Ordering::Acquire));
        match (opened_at + self.pause).checked_sub(self.began.elapsed()) {
            None | Some(Duration::ZERO) => BreakerState::HalfOpen,
            Some(left) => BreakerState::Open(left),
        }
    }

    /// A handler has come to this outcome.
    pub(super) fn record(&self, outcome: &Outcome) {
        let was_closed = self.state() == BreakerState::Closed;
        if is_failure(outcome) {
            self.add_failure();
        } else {
            self.failures.store(0, Ordering::Release);
        }
        if !was_closed {
            self.decided.notify_one();
        }
    }

    fn add_failure(&self) {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.opened_at_ms.store(at_ms, Ordering::Release);
        let one_more = |failures: u32| Some(failures.saturating_add(1));
        let _ = self.failures.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
    }
}

/// Whether the handler has failed in a way that it did not choose: a failure for good is its
/// verdict on the step, and one with a time of its own is its way to wait.
fn is_failure(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { after: None, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn failure() -> Outcome {
        Outcome::Retry { failure: "no".into(), after: None }
    }

    fn failed(times: u32, breaker: &Breaker) {
        (0..times).for_each(|_| breaker.record(&failure()));
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_no_others() {
        let breaker = Breaker::new(3, LONG);
        failed(2, &breaker);
        breaker.record(&Outcome::from(serde_json::Value::Null));
        failed(2, &breaker);
        assert_eq!(breaker.state(), BreakerState::Closed);
        let chosen = Outcome::Retry { failure: "later".into(), after: Some(Duration::ZERO) };
        breaker.record(&chosen);
        failed(2, &breaker);
        assert!(breaker.should_allow());
        failed(1, &breaker);
        assert!(!breaker.should_allow());
        assert!(matches!(breaker.state(), BreakerState::Open(left) if left <= LONG));
    }

    #[test]
    fn after_the_pause_one_outcome_decides() {
        let breaker = Breaker::new(1, Duration::ZERO);
        failed(1, &breaker);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.record(&Outcome::Fail { failure: "for good".into() });
        assert_eq!(breaker.state(), BreakerState::Closed);
        let breaker = Breaker::new(1, LONG);
        failed(2, &breaker);
        assert!(matches!(breaker.state(), BreakerState::Open(_)));
    }

    #[test]
    fn zero_turns_it_off() {
        let breaker = Breaker::new(0, LONG);
        failed(1_000, &breaker);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
