//! What makes milliseconds of two reports comparable: the machine, and the servers on it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::broker::Broker;
use crate::report::{Report, ServerFacts};

/// Characters of a fingerprint's hash: enough to tell the places apart that one history has.
const HASH_CHARS: usize = 12;
/// What the facts about RabbitMQ begin with.
const RABBITMQ: &str = "rabbitmq";

/// Facts by their names. Not among them is what differs from one run to the next on one machine:
/// revision, time, and the place where the data lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, String>);

/// A fact that two fingerprints tell differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// The fact's name.
    pub fact: String,
    /// What the first says; nothing where it doesn't have the fact.
    pub first: Option<String>,
    /// What the second says.
    pub second: Option<String>,
}

impl Fingerprint {
    /// That of a report.
    pub fn of(report: &Report) -> Fingerprint {
        let (machine, environment) = (&report.machine, &report.environment);
        let disk = machine.disk.as_ref().map_or_else(
            || "elsewhere".to_owned(),
            |disk| format!("{} ({})", disk.device, disk.filesystem),
        );
        // What a kernel keeps for itself differs from start to start.
        let memory_gib = (machine.memory_bytes as f64 / f64::from(1 << 30)).round();
        let facts = [
            ("cpu", machine.cpu.clone()),
            ("cores", machine.cores.to_string()),
            ("memory", format!("{memory_gib} GiB")),
            ("kernel", machine.kernel.clone()),
            ("disk", disk),
            ("backend", environment.backend.clone()),
            ("postgres over", environment.postgres_transport.clone()),
        ];
        let mut facts: BTreeMap<String, String> =
            facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        facts.extend(server("postgres", &environment.postgres));
        facts.extend(environment.rabbitmq.iter().flat_map(|facts| server(RABBITMQ, facts)));
        Fingerprint(facts)
    }

    /// What bears on runs on one broker: without RabbitMQ those on PGMQ have the same place.
    #[must_use]
    pub fn on(&self, broker: Broker) -> Fingerprint {
        let bears = |name: &String| broker == Broker::Rabbitmq || !name.starts_with(RABBITMQ);
        let facts = self.0.iter().filter(|(name, _)| bears(name));
        Fingerprint(facts.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// A short name for it, the same wherever all facts are the same.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in &self.0 {
            // Their lengths keep facts from running into each other.
            hash.update(format!("{} {name} {} {value}\n", name.len(), value.len()));
        }
        let text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        text[..HASH_CHARS].to_owned()
    }

    /// The facts that the two tell differently, by name. Where only one of them used RabbitMQ,
    /// nothing of it can be compared, and what is about RabbitMQ is no deviation.
    pub fn deviations(&self, other: &Fingerprint) -> Vec<Deviation> {
        let both_have_rabbitmq = self.0.contains_key(RABBITMQ) && other.0.contains_key(RABBITMQ);
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let bears = |name: &&String| both_have_rabbitmq || !name.starts_with(RABBITMQ);
        let pairs = names.into_iter().filter(bears).map(|fact| Deviation {
            fact: fact.clone(),
            first: self.0.get(fact).cloned(),
            second: other.0.get(fact).cloned(),
        });
        pairs.filter(|pair| pair.first != pair.second).collect()
    }
}

/// A server's version and its settings.
fn server(name: &str, facts: &ServerFacts) -> Vec<(String, String)> {
    let settings = facts.settings.iter();
    let settings = settings.map(|(setting, value)| (format!("{name} {setting}"), value.clone()));
    settings.chain([(name.to_owned(), facts.version.clone())]).collect()
}

impl std::fmt::Display for Deviation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Deviation { fact, first, second } = self;
        let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".to_owned());
        write!(f, "{fact}: {} | {}", told(first), told(second))
    }
}
