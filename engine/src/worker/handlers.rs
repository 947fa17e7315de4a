//! The handlers of a worker, by namespace and name.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::outcome::{Outcome, StepError};
use super::step::Step;

type Handler = Arc<dyn Fn(Step) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Handlers of one worker.
#[derive(Clone, Default)]
pub(super) struct Handlers {
    by_namespace: BTreeMap<String, BTreeMap<String, Handler>>,
}

impl Handlers {
    pub(super) fn add<F, Fut, O>(&mut self, namespace: &str, name: &str, handler: F)
    where
        F: Fn(Step) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, StepError>> + Send + 'static,
        O: Into<Outcome>,
    {
        let handler: Handler = Arc::new(move |step| {
            let outcome = handler(step);
            Box::pin(async move { outcome.await.map_or_else(Outcome::from, Into::into) })
        });
        let handlers = self.by_namespace.entry(namespace.to_owned()).or_default();
        handlers.insert(name.to_owned(), handler);
    }

    /// One line a handler: NAMESPACE/HANDLER.
    pub(super) fn list(&self) -> String {
        let lines = self.by_namespace.iter().flat_map(|(namespace, handlers)| {
            handlers.keys().map(move |name| format!("{namespace}/{name}\n"))
        });
        lines.collect()
    }

    pub(super) fn namespaces(&self) -> Vec<String> {
        self.by_namespace.keys().cloned().collect()
    }

    /// Runs the step's handler to its outcome. A panic is a failure that may be retried; a handler
    /// that isn't there is one that may not.
    pub(super) async fn run(&self, step: Step) -> Outcome {
        let known = self.by_namespace.get(&step.namespace);
        let Some(handler) = known.and_then(|handlers| handlers.get(&step.handler)) else {
            let names = known.map(|handlers| handlers.keys().cloned().collect::<Vec<_>>());
            let message = format!(
                "no handler {:?} in namespace {:?}: this worker has {}; register it, or correct \
                 the template",
                step.handler,
                step.namespace,
                names.unwrap_or_default().join(", ")
            );
            return Outcome::Fail { failure: message.into() };
        };
        let running = std::panic::AssertUnwindSafe(handler(step));
        match futures_util::FutureExt::catch_unwind(running).await {
            Ok(outcome) => outcome,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let message = format!("the handler panicked: {}", text.unwrap_or("no message"));
                Outcome::Retry { failure: message.into(), after: None }
            }
        }
    }
}
