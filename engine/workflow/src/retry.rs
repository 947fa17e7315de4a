//! When a failed step is tried again, and when it has failed for good.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::StepState;

/// Most attempts that a template may ask for.
pub const ATTEMPTS_MAX: u32 = 100;

/// Longest backoff that a template may ask for: one day, in milliseconds.
pub const BACKOFF_MS_MAX: u64 = 86_400_000;

/// The lease expiry that ends a step in `Error`, counted from 1. Expiries don't consume attempts,
/// so a handler that kills its process at every attempt would loop for ever without this limit.
pub const LEASE_EXPIRIES_MAX: u32 = 5;

/// How often, and how long apart, the attempts at one step are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    #[schemars(range(min = 1, max = ATTEMPTS_MAX))]
    pub max_attempts: u32,
    /// Longest wait after the first failed attempt, in milliseconds.
    #[schemars(range(max = BACKOFF_MS_MAX))]
    pub backoff_initial_ms: u64,
    /// Longest wait after any attempt, in milliseconds.
    #[schemars(range(max = BACKOFF_MS_MAX))]
    pub backoff_max_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 3, backoff_initial_ms: 100, backoff_max_ms: 30_000 }
    }
}

impl RetryPolicy {
    /// How long to wait after the failed attempt number `attempt` (counted from 1).
    ///
    /// The longest wait starts at `backoff_initial_ms`, doubles with every attempt and is capped at
    /// `backoff_max_ms`; the wait is the fraction `unit`, drawn uniformly from [0, 1), of that
    /// ("full jitter": Marc Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog).
    /// A `unit` outside of its range counts as the nearest end of it, one that is no number
    /// as 0.
    #[must_use]
    pub fn delay(&self, attempt: u32, unit: f64) -> Duration {
        let fraction = if unit.is_nan() { 0.0 } else { unit.clamp(0.0, 1.0) };
        self.delay_max(attempt).mul_f64(fraction)
    }

    /// The longest that [`RetryPolicy::delay`] can be after attempt number `attempt`.
    #[must_use]
    pub fn delay_max(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1);
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let uncapped_ms = self.backoff_initial_ms.saturating_mul(factor);
        Duration::from_millis(uncapped_ms.min(self.backoff_max_ms))
    }
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Trying again can help.
    Retryable,
    /// Trying again cannot help.
    Permanent,
}

/// What becomes of a step whose attempt failed or whose lease expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It goes back to the queue at once.
    Enqueued,
    /// It waits out its backoff and is tried again.
    WaitingForRetry,
    /// It has failed for good.
    Error,
}

impl After {
    /// The state that the step goes to.
    #[must_use]
    pub const fn state(self) -> StepState {
        match self {
            Self::Enqueued => StepState::Enqueued,
            Self::WaitingForRetry => StepState::WaitingForRetry,
            Self::Error => StepState::Error,
        }
    }
}

/// Decides after a failed attempt. `attempts` counts the attempts made, this one included.
#[must_use]
pub const fn decide(attempts: u32, max_attempts: u32, failure: Failure) -> After {
    match failure {
        Failure::Retryable if attempts < max_attempts => After::WaitingForRetry,
        Failure::Retryable | Failure::Permanent => After::Error,
    }
}

/// Decides after an expired lease. `lease_expiries` counts the step's expiries, this one included.
#[must_use]
pub const fn decide_after_expiry(lease_expiries: u32) -> After {
    if lease_expiries < LEASE_EXPIRIES_MAX { After::Enqueued } else { After::Error }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { max_attempts: 9, backoff_initial_ms: 100, backoff_max_ms: 1_000 };

    #[test]
    fn the_longest_wait_doubles_until_its_cap() {
        let longest: Vec<u128> = (1..=6).map(|n| POLICY.delay_max(n).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn the_wait_is_the_drawn_fraction_of_the_longest() {
        assert_eq!(POLICY.delay(3, 0.0), Duration::ZERO);
        assert_eq!(POLICY.delay(3, 0.25), Duration::from_millis(100));
    }

    #[test]
    fn no_attempt_number_or_fraction_overflows() {
        let widest = RetryPolicy { backoff_initial_ms: u64::MAX, ..POLICY };
        for attempt in [0, 1, 63, 64, 65, 128, u32::MAX] {
            for unit in [-1.0, 0.0, 0.999_999_9, 1.0, f64::NAN, f64::INFINITY] {
                assert!(POLICY.delay(attempt, unit) <= Duration::from_secs(1));
                assert!(widest.delay(attempt, unit) <= Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn a_failure_is_retried_while_attempts_are_left_and_it_can_help() {
        assert_eq!(decide(1, 3, Failure::Retryable), After::WaitingForRetry);
        assert_eq!(decide(2, 3, Failure::Retryable), After::WaitingForRetry);
        assert_eq!(decide(3, 3, Failure::Retryable), After::Error);
        assert_eq!(decide(1, 3, Failure::Permanent), After::Error);
    }

    #[test]
    fn the_fifth_lease_expiry_is_the_last() {
        assert_eq!(decide_after_expiry(4), After::Enqueued);
        assert_eq!(decide_after_expiry(5), After::Error);
    }

    #[test]
    fn every_decision_is_a_transition_of_the_table() {
        for after in [After::WaitingForRetry, After::Error] {
            assert!(StepState::EnqueuedForOrchestration.can_become(after.state()));
        }
        for after in [After::Enqueued, After::Error] {
            assert!(StepState::InProgress.can_become(after.state()));
        }
    }
}
