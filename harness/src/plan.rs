//! How a run is set up.

use std::collections::BTreeSet;

use crate::arrivals::Arrivals;
use crate::broker::Broker;
use crate::language::Language;
use crate::scenario::{Compare, CompareOn, Scenario};
use crate::topology::{On, Topology, Without};

/// How a run was set up.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The cluster that it is taken on.
    pub on: On,
    /// The languages that were left out by choice.
    pub without: Without,
    /// The broker under test.
    pub broker: Broker,
    /// Tasks under way at any moment, in a closed loop.
    pub concurrency: usize,
    /// When samples are due, in an open loop.
    pub arrivals: Option<Arrivals>,
    /// Whether the statements that functions run are counted too, which takes time: the latency's
    /// budget does not hold then.
    pub counts_nested: bool,
    /// Whether only the work of tasks is counted: the machine's floor is not measured, commits and
    /// flushes of the log are not counted, which take their time to settle, and nothing is judged
    /// that needs either.
    pub counts_only: bool,
    /// Whether the engine writes traces, which takes time: the latency's budget does not hold then.
    pub traces: bool,
    /// Tasks before the measurement.
    pub warmup: u64,
    /// Tasks that are going to be measured; a guess where nobody can tell. An oracle's program is
    /// asked for so many answers beforehand.
    pub samples: u64,
}

impl Plan {
    /// What the files of a run are called: scenario, broker, the concurrency if it is not 1 or an
    /// open loop's rate, and the cluster if it is not the scenario's own.
    pub fn run_name(&self, scenario: &Scenario) -> String {
        let mut name = format!("{}-{}", scenario.name, self.broker.name());
        match self.arrivals {
            Some(arrivals) => name += &format!("-{}ps", arrivals.rate_per_s),
            None if self.concurrency != 1 => name += &format!("-{}", self.concurrency),
            None => {}
        }
        if self.on != On::Own {
            name += &format!("-{}", self.on);
        }
        name
    }

    /// Whether each task is begun when the one before has ended.
    pub fn is_one_at_a_time(&self) -> bool {
        self.arrivals.is_none() && self.concurrency == 1
    }

    /// The processes of the cluster.
    pub fn topology(&self, scenario: &Scenario) -> Topology {
        self.on.topology(scenario).without(self.without)
    }

    /// The languages of all workers, those included that run beside the cluster for a comparison.
    pub fn languages(&self, scenario: &Scenario) -> BTreeSet<Language> {
        let own = self.compared(scenario).filter(|(compare, _)| compare.on == CompareOn::Own);
        let others = own.into_iter().flat_map(|(_, other)| other.topology.languages());
        self.topology(scenario).languages().chain(others).collect()
    }

    /// The language for whose sake the run is left out, if any: its handlers are in it, or those of
    /// the scenario that it is compared with.
    pub fn leaves_out(&self, scenario: &Scenario) -> Option<Language> {
        let other = self.compared(scenario).map(|(_, other)| other.language);
        let mut needed = std::iter::once(scenario.language).chain(other);
        needed.find(|language| self.without.has(*language))
    }

    /// The scenario that this one is compared with in this run, if it is: one task at a time, on
    /// its own cluster.
    pub fn compared<'s>(&self, scenario: &'s Scenario) -> Option<(&'s Compare, &'s Scenario)> {
        let compare = scenario.compare.as_ref()?;
        let other = compare.other.as_deref()?;
        (self.on == On::Own && self.is_one_at_a_time() && !self.counts_only)
            .then_some((compare, other))
    }
}
