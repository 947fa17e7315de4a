//! A YAML value as the JSON that it stands for, exactly or not at all.

use serde_json::{Map, Number, Value as Json};

use super::{Findings, Node, Value};

/// From here on, 2^53, not every whole number has a floating-point number of its own.
const WHOLE_EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

impl Node {
    /// This value as JSON, or an error about `what`: a number that JSON readers would round, or a
    /// key that is given twice.
    pub fn json(&self, what: &str, findings: &mut Findings<'_>) -> Option<Json> {
        match &self.value {
            Value::Null => Some(Json::Null),
            Value::Bool(value) => Some(Json::Bool(*value)),
            Value::Text(text) => Some(Json::String(text.clone())),
            Value::Integer(value) => {
                let number = Number::from_i128(*value).map(Json::Number);
                number.or_else(|| self.not_exact(what, findings))
            }
            Value::Float(value) => {
                // The parser makes one of any whole number that is too large for it.
                let rounded = value.fract() == 0.0 && value.abs() >= WHOLE_EXACT_BELOW;
                let number = Number::from_f64(*value).filter(|_| !rounded).map(Json::Number);
                number.or_else(|| self.not_exact(what, findings))
            }
            // Every item is read, so that each error is found.
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| item.json(what, findings)).collect();
                items.into_iter().collect::<Option<_>>().map(Json::Array)
            }
            Value::Mapping(_) => {
                let mut whole = true;
                let mut map = Map::new();
                for (key, value) in self.entries(what, findings)? {
                    match value.json(what, findings) {
                        Some(value) => drop(map.insert(key.value.clone(), value)),
                        None => whole = false,
                    }
                }
                whole.then_some(Json::Object(map))
            }
        }
    }

    fn not_exact(&self, what: &str, findings: &mut Findings<'_>) -> Option<Json> {
        let message =
            format!("{what} has {}, which no JSON number holds exactly", self.value.kind());
        let hint = "put it between quotes to make it a text".to_owned();
        findings.error_with(self.at, &message, Some(hint));
        None
    }
}
