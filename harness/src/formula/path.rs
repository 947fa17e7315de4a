//! A path into a task's input, such as `customer.age` or `items[2]`.

use std::fmt;

use serde_json::Value as Json;
use stepmark_workflow::yaml::{quoted, suggest};

use super::FormulaError;

/// Most names that an error lists.
const NAMES_SHOWN_MAX: usize = 10;

/// A path: one name, then names and indexes.
#[derive(Debug, Clone)]
pub(super) struct Path(pub Vec<Part>);

/// A part of a path, and where it stands in the formula.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub at: usize,
    pub key: Key,
}

#[derive(Debug, Clone)]
pub(super) enum Key {
    Name(String),
    Index(usize),
}

impl Path {
    /// What stands there in the input.
    pub(super) fn find<'i>(&self, input: &'i Json) -> Result<&'i Json, FormulaError> {
        let mut found = input;
        for (place, part) in self.0.iter().enumerate() {
            let error = |message: String| FormulaError::new(part.at, message);
            let holder = || match place {
                0 => "the input".to_owned(),
                _ => format!("`{}`", Path(self.0[..place].to_vec())),
            };
            found = match (&part.key, found) {
                (Key::Name(name), Json::Object(fields)) => fields.get(name).ok_or_else(|| {
                    let names = || fields.keys().map(String::as_str);
                    let shown: Vec<&str> = names().take(NAMES_SHOWN_MAX).collect();
                    let has = (!shown.is_empty()).then(|| format!("it has: {}", shown.join(", ")));
                    error(format!("{} has no {}", holder(), quoted(name)))
                        .with_hint(suggest(name, names()).or(has))
                })?,
                (Key::Index(index), Json::Array(items)) => items.get(*index).ok_or_else(|| {
                    error(format!(
                        "{} has no item {index}: there are {}, counted from 0",
                        holder(),
                        items.len()
                    ))
                })?,
                (Key::Name(_), other) => {
                    let message = format!("{} is {}, not a mapping", holder(), kind(other));
                    return Err(error(message));
                }
                (Key::Index(_), other) => {
                    return Err(error(format!("{} is {}, not a list", holder(), kind(other))));
                }
            };
        }
        Ok(found)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.0.iter().enumerate() {
            match &part.key {
                Key::Name(name) if place == 0 => f.write_str(name)?,
                Key::Name(name) => write!(f, ".{name}")?,
                Key::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What kind of value an input has, as a message says it.
pub(super) fn kind(value: &Json) -> String {
    match value {
        Json::Null => "nothing".to_owned(),
        Json::Bool(value) => format!("the truth value {value}"),
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) => format!("the text {}", quoted(text)),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "a mapping".to_owned(),
    }
}
