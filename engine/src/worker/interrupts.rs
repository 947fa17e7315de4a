//! Claims that end while their handlers run: a task is cancelled, an attempt takes too long.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::calls::Calls;
use crate::messaging::StepId;

/// The claims of a worker, each with the way to tell its handler that it is no more.
#[derive(Debug, Default)]
pub(super) struct Interrupts {
    claims: Mutex<HashMap<Uuid, (StepId, CancellationToken)>>,
    /// Calls may have been missed: somebody should look.
    pub(super) look: Notify,
}

impl Interrupts {
    /// A handler begins under this claim. What it is given is cancelled when the claim ends.
    pub(super) fn begin(&self, claim_token: Uuid, step_id: StepId) -> CancellationToken {
        let told = CancellationToken::new();
        self.claims().insert(claim_token, (step_id, told.clone()));
        told
    }

    /// The handler has ended.
    pub(super) fn end(&self, claim_token: Uuid) {
        self.claims().remove(&claim_token);
    }

    /// The claims under which handlers run.
    pub(super) fn held(&self) -> Vec<(Uuid, StepId)> {
        self.claims().iter().map(|(token, (step_id, _))| (*token, *step_id)).collect()
    }

    /// All claims, which from now on are nobody's.
    pub(super) fn take(&self) -> Vec<(Uuid, StepId)> {
        let claims = std::mem::take(&mut *self.claims());
        claims.into_iter().map(|(token, (step_id, _))| (token, step_id)).collect()
    }

    /// These claims have ended.
    pub(super) fn interrupt(&self, claim_tokens: impl IntoIterator<Item = Uuid>) {
        let claims = self.claims();
        for claim_token in claim_tokens {
            if let Some((_, told)) = claims.get(&claim_token) {
                told.cancel();
            }
        }
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (StepId, CancellationToken)>> {
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
