//! A mapping whose fields are known by name.

use serde_saphyr::Location;

use super::{Findings, Key, Node, Value, quoted, suggest};

/// The fields of one mapping, each known and given once.
#[derive(Debug)]
pub struct Fields<'n> {
    what: &'static str,
    at: Location,
    given: Vec<(&'n Key, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The fields of `node`, which is `what` ("a step"). Notes unknown fields and those that are
    /// given twice, and goes on without them; gives nothing when `node` is no mapping at all.
    pub fn read(
        node: &'n Node,
        what: &'static str,
        known: &[&str],
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            let message = format!("{what} must be a mapping, not {}", node.value.kind());
            findings.error_with(node.at, &message, Some(fields_of(known)));
            return None;
        };
        let mut given: Vec<(&Key, &Node)> = Vec::new();
        for (key, value) in entries {
            let name = key.value.as_str();
            if !known.contains(&name) {
                let message = format!("{what} has no field {}", quoted(name));
                let hint = suggest(name, known.iter().copied());
                findings.error_with(key.referenced, &message, hint.or(Some(fields_of(known))));
            } else if given.iter().any(|(earlier, _)| earlier.value == name) {
                findings.error(key.referenced, &format!("{} is given twice", quoted(name)));
            } else {
                given.push((key, value));
            }
        }
        Some(Self { what, at: node.at, given })
    }

    /// The field's value, when it is given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.given.iter().find(|(key, _)| key.value == name).map(|(_, node)| *node)
    }

    /// Where the field's own name stands; the mapping's start when it is not given.
    #[must_use]
    pub fn at(&self, name: &str) -> Location {
        let found = self.given.iter().find(|(key, _)| key.value == name);
        found.map_or(self.at, |(key, _)| key.referenced)
    }

    /// The field's value, or an error that it is missing.
    pub fn required(&self, name: &str, findings: &mut Findings<'_>) -> Option<&'n Node> {
        let found = self.get(name);
        if found.is_none() {
            findings.error(self.at, &format!("{} needs a field {}", self.what, quoted(name)));
        }
        found
    }
}

fn fields_of(known: &[&str]) -> String {
    format!("its fields are: {}", known.join(", "))
}
