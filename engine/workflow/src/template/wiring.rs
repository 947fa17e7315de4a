//! How the rows of a new task's steps are connected, before any batch is there.

use serde_json::json;

use super::{StepTemplate, StepType, Template};

/// The connections of one step, by the steps' numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wiring {
    /// What its row waits for: the steps that it depends on, where a batch worker is stood in for
    /// by its batchable step until that has made the instances.
    pub parents: Vec<usize>,
    /// Those of the parents that only stand in for a batch worker.
    pub placeholders: Vec<usize>,
    /// The steps whose rows wait for this one. A batch worker's are those of each instance.
    pub children: Vec<usize>,
    /// Of a decision: the steps that it may choose.
    pub branches: Vec<usize>,
    /// Of a batchable step: its batch worker.
    pub worker: Option<usize>,
}

impl Template {
    /// The connections of every step, by number.
    #[must_use]
    pub fn wiring(&self) -> Vec<Wiring> {
        let mut all = vec![Wiring::default(); self.steps.len()];
        for (step_no, step) in self.steps.iter().enumerate() {
            for &parent_no in &step.parents {
                let stands_in = self.batchable_of(parent_no);
                let waits_for = stands_in.unwrap_or(parent_no);
                if stands_in.is_some() {
                    all[parent_no].children.push(step_no);
                }
                if stands_in.is_some() && step.parents.contains(&waits_for) {
                    continue;
                }
                let one = &mut all[step_no];
                if !one.parents.contains(&waits_for) {
                    one.parents.push(waits_for);
                    if stands_in.is_some() {
                        one.placeholders.push(waits_for);
                    }
                }
            }
            all[step_no].branches =
                step.branches.iter().filter_map(|name| self.step_no(name)).collect();
        }
        for step_no in 0..self.steps.len() {
            for parent_no in all[step_no].parents.clone() {
                if self.steps[step_no].step_type == StepType::BatchWorker {
                    all[parent_no].worker = Some(step_no);
                } else {
                    all[parent_no].children.push(step_no);
                }
            }
        }
        all
    }

    /// What a database needs to know of every step, by number: a JSON array of flat objects.
    #[must_use]
    pub fn rows(&self) -> serde_json::Value {
        let row = |(step, wiring): (&StepTemplate, Wiring)| {
            json!({
                "name": step.name, "type": step.step_type, "handler": step.handler,
                "max_attempts": step.retry.max_attempts,
                "backoff_initial_ms": step.retry.backoff_initial_ms,
                "backoff_max_ms": step.retry.backoff_max_ms, "timeout_ms": step.timeout_ms,
                "parents": wiring.parents, "placeholders": wiring.placeholders,
                "children": wiring.children, "branches": wiring.branches,
                "worker": wiring.worker, "batches_max": step.batches_max,
                "on_failure": step.on_failure
            })
        };
        self.steps.iter().zip(self.wiring()).map(row).collect()
    }

    /// The batchable step whose batches this one works on, if it is a batch worker.
    fn batchable_of(&self, step_no: usize) -> Option<usize> {
        let step = &self.steps[step_no];
        if step.step_type == StepType::BatchWorker { step.parents.first().copied() } else { None }
    }
}
