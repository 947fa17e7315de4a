//! What a run measures, and what is allowed of it: all that its verdict needs of scenario and plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::arrivals::Arrivals;
use crate::broker::Broker;
use crate::plan::Plan;
use crate::scenario::{Budget, DifferenceAim, Items, Published, Scenario};
use crate::statements::Declared;
use crate::topology::Topology;

/// What a run measures. It is stored with what the run saw, so that the run can be judged again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subject {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's tier.
    pub tier: u8,
    /// The broker under test.
    pub broker: Broker,
    /// The cluster: the scenario's `own`, the `ten` instances, or orchestrators x workers.
    pub on: String,
    /// Processes of the cluster by kind.
    pub topology: BTreeMap<String, u32>,
    /// Tasks under way at any moment, in a closed loop.
    pub concurrency: usize,
    /// When samples are due, in an open loop.
    pub arrivals: Option<Arrivals>,
    /// Whether the statements that functions run are counted too, which takes time.
    pub counts_nested: bool,
    /// Whether only the work of tasks was counted.
    #[serde(default)]
    pub counts_only: bool,
    /// Whether the engine wrote traces, which takes time.
    #[serde(default)]
    pub traces: bool,
    /// Tasks before the measurement.
    pub warmup: u64,
    /// Tasks of a sample, which are started together.
    pub tasks_a_sample: u32,
    /// Stages that cannot overlap: the longest path, in steps.
    pub sequential_stages: u32,
    /// Steps of the template that choose or make others; nothing where it is not known.
    #[serde(default)]
    pub expansions: Option<u32>,
    /// What a task consists of.
    pub items: Option<Items>,
    /// What a task may cost on this cluster.
    pub budget: Budget,
    /// The statements that the engine may send, where they are declared.
    pub declared: Option<Arc<Declared>>,
    /// The figures that were published.
    pub published: Option<Published>,
    /// What the difference from the other scenario is called, and the one aimed at, where the two
    /// are compared.
    pub compared: Option<(String, Option<DifferenceAim>)>,
    /// What the run's files are called.
    pub run_name: String,
}

impl Subject {
    /// Of this scenario, run by this plan.
    pub fn of(scenario: &Scenario, plan: Plan) -> Subject {
        let compared = plan.compared(scenario);
        Subject {
            scenario: scenario.name.clone(),
            tier: scenario.tier,
            broker: plan.broker,
            on: plan.on.to_string(),
            topology: processes(&plan.topology(scenario)),
            concurrency: plan.concurrency,
            arrivals: plan.arrivals,
            counts_nested: plan.counts_nested,
            counts_only: plan.counts_only,
            traces: plan.traces,
            warmup: plan.warmup,
            tasks_a_sample: scenario.tasks_a_sample,
            sequential_stages: scenario.sequential_stages,
            expansions: scenario.expansions,
            items: scenario.items.clone(),
            budget: scenario.budget.on(plan.on),
            declared: scenario.declared.clone(),
            published: scenario.published.clone(),
            compared: compared.map(|(compare, _)| (compare.called.clone(), compare.aim)),
            run_name: plan.run_name(scenario),
        }
    }

    /// Whether each task is begun when the one before has ended.
    pub fn is_one_at_a_time(&self) -> bool {
        self.arrivals.is_none() && self.concurrency == 1
    }

    /// Whether nothing was done besides that takes time, and there are tasks enough.
    pub fn is_comparable(&self) -> bool {
        !self.counts_nested && !self.traces && !self.counts_only
    }

    /// How load is made, for people.
    pub fn mode(&self) -> &'static str {
        self.arrivals.as_ref().map_or("closed loop", Arrivals::mode)
    }
}

fn processes(topology: &Topology) -> BTreeMap<String, u32> {
    let workers = topology.workers.iter();
    let workers = workers.map(|(language, n)| (format!("worker-{}", language.name()), *n));
    let orchestrators = ("orchestrator".to_owned(), topology.orchestrators);
    std::iter::once(orchestrators).chain(workers).collect()
}
