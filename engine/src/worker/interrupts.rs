//! Claims that end while their handlers run: a task is cancelled, an attempt takes too long.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::calls::Calls;
use crate::messaging::StepId;

/// So many ended claims are remembered under which no handler has begun.
const STRANGERS_MAX: usize = 1_024;

/// The claims of a worker, each with the way to tell its handler that it is no more.
#[derive(Debug, Default)]
pub(super) struct Interrupts {
    claims: Mutex<Claims>,
    /// Calls may have been missed: somebody should look.
    pub(super) look: Notify,
}

#[derive(Debug, Default)]
struct Claims {
    /// Those under which handlers run.
    held: HashMap<Uuid, (StepId, CancellationToken)>,
    /// Ended ones, of another worker, or of this one and not begun yet: a claim may be cancelled
    /// between its commit and its handler's begin.
    strangers: VecDeque<Uuid>,
}

impl Interrupts {
    /// A handler begins under this claim. What it is given is cancelled when the claim ends.
    pub(super) fn begin(&self, claim_token: Uuid, step_id: StepId) -> CancellationToken {
        let told = CancellationToken::new();
        let mut claims = self.claims();
        if claims.strangers.contains(&claim_token) {
            told.cancel();
        }
        claims.held.insert(claim_token, (step_id, told.clone()));
        told
    }

    /// The handler has ended.
    pub(super) fn end(&self, claim_token: Uuid) {
        self.claims().held.remove(&claim_token);
    }

    /// The claims under which handlers run.
    pub(super) fn held(&self) -> Vec<(Uuid, StepId)> {
        self.claims().held.iter().map(|(token, (step_id, _))| (*token, *step_id)).collect()
    }

    /// All claims, which from now on are nobody's.
    pub(super) fn take(&self) -> Vec<(Uuid, StepId)> {
        let claims = std::mem::take(&mut self.claims().held);
        claims.into_iter().map(|(token, (step_id, _))| (token, step_id)).collect()
    }

    /// These claims have ended.
    pub(super) fn interrupt(&self, claim_tokens: impl IntoIterator<Item = Uuid>) {
        let mut claims = self.claims();
        for claim_token in claim_tokens {
            if let Some((_, told)) = claims.held.get(&claim_token) {
                told.cancel();
                continue;
            }
            claims.strangers.truncate(STRANGERS_MAX - 1);
            claims.strangers.push_front(claim_token);
        }
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().expect("no holder panics")
    }
}

/// Claims have ended; the payload is their tokens, comma-separated.
impl Calls for Interrupts {
    fn channel(&self) -> &'static str {
        "stepmark_interrupted"
    }

    fn hear(&self, payload: &str) {
        self.interrupt(payload.split(',').filter_map(|token| token.parse().ok()));
    }

    fn missed(&self) {
        self.look.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_ended_before_its_handler_began_is_told_at_once() {
        let interrupts = Interrupts::default();
        let (ended, other) = (Uuid::now_v7(), Uuid::now_v7());
        interrupts.interrupt([ended]);
        assert!(interrupts.begin(ended, StepId::new(1, 0)).is_cancelled());
        assert!(!interrupts.begin(other, StepId::new(1, 1)).is_cancelled());
    }

    #[test]
    fn of_others_claims_only_the_last_are_remembered() {
        let interrupts = Interrupts::default();
        let first = Uuid::now_v7();
        interrupts.interrupt([first]);
        interrupts.interrupt((0..STRANGERS_MAX).map(|_| Uuid::now_v7()));
        assert!(!interrupts.begin(first, StepId::new(1, 0)).is_cancelled());
        assert_eq!(interrupts.claims().strangers.len(), STRANGERS_MAX);
    }
}
