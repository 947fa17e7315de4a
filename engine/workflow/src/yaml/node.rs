//! A YAML document as it stands, every value with its position.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::{Findings, quoted, suggest};

/// One value and where it starts.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where the value is used, which for an alias is the alias.
    pub at: Location,
    /// The value.
    pub value: Value,
}

/// A mapping's key and where it starts.
pub type Key = Spanned<String>;

/// What YAML can say.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file, duplicate keys included.
    Mapping(Vec<(Key, Node)>),
}

impl Node {
    /// The text that this is, or an error about `what`.
    pub fn text(&self, what: &str, findings: &mut Findings<'_>) -> Option<&str> {
        if let Value::Text(text) = &self.value {
            return Some(text);
        }
        let hint = match self.value {
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                Some("put it between quotes to make it a text".to_owned())
            }
            _ => None,
        };
        let message = format!("{what} must be a text, not {}", self.value.kind());
        findings.error_with(self.at, &message, hint);
        None
    }

    /// The whole number from `min` to `max` that this is, or an error about `what`.
    pub fn integer<N>(&self, what: &str, min: N, max: N, findings: &mut Findings<'_>) -> Option<N>
    where
        N: TryFrom<i128> + PartialOrd + fmt::Display,
    {
        let Value::Integer(number) = self.value else {
            let message = format!("{what} must be a whole number, not {}", self.value.kind());
            findings.error(self.at, &message);
            return None;
        };
        let within = N::try_from(number).ok().filter(|n| (&min..=&max).contains(&n));
        if within.is_none() {
            let message = format!("{what} must be from {min} to {max}, not {number}");
            findings.error(self.at, &message);
        }
        within
    }

    /// What the text that this is stands for, by the names of `choices`, or an error about `what`.
    pub fn choice<'k, T>(
        &self,
        what: &str,
        choices: impl Iterator<Item = (&'k str, T)> + Clone,
        findings: &mut Findings<'_>,
    ) -> Option<T> {
        let text = self.text(what, findings)?;
        let found = choices.clone().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<&str> = choices.map(|(name, _)| name).collect();
            let hint = suggest(text, names.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("it is one of: {}", names.join(", ")));
            findings.error_with(self.at, &format!("{what} can't be {}", quoted(text)), Some(hint));
        }
        found.map(|(_, choice)| choice)
    }

    /// The number from `min` to `max` that this is, whole or not, or an error about `what`.
    pub fn number(
        &self,
        what: &str,
        min: f64,
        max: f64,
        findings: &mut Findings<'_>,
    ) -> Option<f64> {
        let number = match self.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            _ => {
                let message = format!("{what} must be a number, not {}", self.value.kind());
                findings.error(self.at, &message);
                return None;
            }
        };
        let within = (min..=max).contains(&number).then_some(number);
        if within.is_none() {
            let message = format!("{what} must be from {min} to {max}, not {number}");
            findings.error(self.at, &message);
        }
        within
    }

    /// The entries of the mapping that this is, whatever their keys, or an error about `what`. A
    /// key that is given twice is noted, and its first value taken.
    pub fn entries(&self, what: &str, findings: &mut Findings<'_>) -> Option<Vec<(&Key, &Self)>> {
        let Value::Mapping(entries) = &self.value else {
            let message = format!("{what} must be a mapping, not {}", self.value.kind());
            findings.error(self.at, &message);
            return None;
        };
        let mut earlier = HashSet::new();
        let mut kept = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if earlier.insert(key.value.as_str()) {
                kept.push((key, value));
            } else {
                let message = format!("{} is given twice", quoted(&key.value));
                findings.error(key.referenced, &message);
            }
        }
        Some(kept)
    }

    /// The list that this is, or an error about `what`.
    pub fn list(&self, what: &str, findings: &mut Findings<'_>) -> Option<&[Self]> {
        if let Value::List(items) = &self.value {
            return Some(items);
        }
        let hint = match &self.value {
            Value::Text(text) => Some(format!("a list of one is written [{text}]")),
            _ => None,
        };
        let message = format!("{what} must be a list, not {}", self.value.kind());
        findings.error_with(self.at, &message, hint);
        None
    }
}

impl Value {
    /// What kind of value this is, as a message says it.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("the truth value {value}"),
            Self::Integer(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Text(value) => format!("the text {}", quoted(value)),
            Self::List(_) => "a list".to_owned(),
            Self::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: spanned.referenced, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Mapping(entries))
    }
}
