//! The processes of a cluster, and the clusters that a scenario is run on besides its own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::language::Language;
use crate::scenario::Scenario;

/// Most processes of one kind.
pub const INSTANCES_MAX: u32 = 64;

/// The processes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Number of orchestrator processes.
    pub orchestrators: u32,
    /// Number of worker processes by language.
    pub workers: BTreeMap<Language, u32>,
}

/// Languages that are left out by choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Without(u8);

impl Without {
    /// None is left out.
    pub const NONE: Without = Without(0);

    /// Whether the language is left out.
    pub fn has(self, language: Language) -> bool {
        self.0 & 1 << language as u8 != 0
    }
}

impl FromIterator<Language> for Without {
    fn from_iter<T: IntoIterator<Item = Language>>(languages: T) -> Without {
        Without(languages.into_iter().fold(0, |bits, language| bits | 1 << language as u8))
    }
}

/// A cluster to run a scenario on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// The scenario's own.
    Own,
    /// The ten instances: two orchestrators, and two workers in each language.
    Ten,
    /// So many orchestrators, and so many workers in the language of the scenario's handlers.
    Grid {
        /// Number of orchestrators.
        orchestrators: u32,
        /// Number of workers.
        workers: u32,
    },
}

/// What is none.
#[derive(Debug, thiserror::Error)]
#[error("a topology is `own`, `ten`, or orchestrators x workers of 1 to {INSTANCES_MAX}: 2x4")]
pub struct UnknownTopology;

impl Topology {
    /// The ten instances.
    pub fn ten() -> Topology {
        let workers = Language::ALL.iter().map(|language| (*language, 2)).collect();
        Topology { orchestrators: 2, workers }
    }

    /// The same without workers in these languages.
    #[must_use]
    pub fn without(mut self, languages: Without) -> Topology {
        self.workers.retain(|language, _| !languages.has(*language));
        self
    }

    /// The languages of the workers.
    pub fn languages(&self) -> impl Iterator<Item = Language> {
        self.workers.keys().copied()
    }
}

impl On {
    /// The processes for this scenario.
    pub fn topology(self, scenario: &Scenario) -> Topology {
        match self {
            On::Own => scenario.topology.clone(),
            On::Ten => Topology::ten(),
            On::Grid { orchestrators, workers } => {
                let workers = BTreeMap::from([(scenario.language, workers)]);
                Topology { orchestrators, workers }
            }
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            On::Own => f.write_str("own"),
            On::Ten => f.write_str("ten"),
            On::Grid { orchestrators, workers } => write!(f, "{orchestrators}x{workers}"),
        }
    }
}

impl FromStr for On {
    type Err = UnknownTopology;

    fn from_str(text: &str) -> Result<On, UnknownTopology> {
        let count = |text: &str| match text.parse() {
            Ok(count @ 1..=INSTANCES_MAX) => Ok(count),
            _ => Err(UnknownTopology),
        };
        match text {
            "own" => Ok(On::Own),
            "ten" => Ok(On::Ten),
            other => {
                let (orchestrators, workers) = other.split_once('x').ok_or(UnknownTopology)?;
                Ok(On::Grid { orchestrators: count(orchestrators)?, workers: count(workers)? })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_topology_is_read_as_it_is_written() {
        for text in ["own", "ten", "1x1", "2x64"] {
            assert_eq!(text.parse::<On>().unwrap().to_string(), text);
        }
        for text in ["", "Ten", "0x1", "1x65", "x", "2", "1x2x3", "-1x1"] {
            assert!(text.parse::<On>().is_err(), "{text}");
        }
    }

    #[test]
    fn ten_are_ten() {
        let ten = Topology::ten();
        assert_eq!(ten.orchestrators + ten.workers.values().sum::<u32>(), 10);
        let nine = ten.without(Without::from_iter([Language::Ruby]));
        assert_eq!(nine.workers.len(), Language::ALL.len() - 1);
    }
}
