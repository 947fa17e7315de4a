//! Right answers that are computed: an [`Expected`] in whose texts formulas stand between `${` and
//! `}`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Number, Value};
use stepmark_workflow::state::{StepState, TaskState};
use stepmark_workflow::yaml::{Place, quoted};

use super::text::{Part, Text};
use crate::formula;
use crate::scenario::{Expected, ExpectedStep};

/// Most text that one answer's formulas make, in bytes.
pub const COMPUTED_BYTES_MAX: usize = 1 << 20;

/// How a right answer follows from a task's input.
#[derive(Debug, Clone)]
pub struct Computed {
    /// The scenario's file, for errors.
    pub file: String,
    /// The state that the task ends in.
    pub task_state: Text,
    /// Every step of the task by name.
    pub steps: BTreeMap<String, ComputedStep>,
}

/// How the right answer of one step follows from the task's input.
#[derive(Debug, Clone)]
pub struct ComputedStep {
    /// The state that the step ends in.
    pub state: Text,
    /// The step's result. Where the state is computed, the result is that of a step that comes out
    /// Complete; in any other state the step must have none.
    pub result: Option<Shape>,
}

/// A JSON value in whose texts formulas may stand.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A value without formulas.
    Plain(Value),
    /// A text with formulas.
    Text(Text),
    /// A list of which an item has formulas.
    List(Vec<Shape>),
    /// A mapping of which a value has formulas.
    Mapping(Vec<(String, Shape)>),
}

/// Why there is no right answer to an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedError {
    /// Where in the scenario's file.
    pub at: Place,
    /// What is wrong, in one line.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
}

impl fmt::Display for ComputedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.at.line, self.at.column, self.message)
    }
}

impl Computed {
    /// The right answer to this input.
    ///
    /// # Errors
    /// Each text that cannot be computed, one error a text.
    pub fn answer(&self, input: &Value) -> Result<Expected, Vec<ComputedError>> {
        let mut run = Run { input, bytes: 0, errors: Vec::new() };
        let task_state = run.state::<TaskState>(&self.task_state);
        let mut steps = BTreeMap::new();
        for (name, step) in &self.steps {
            let state = run.state::<StepState>(&step.state);
            let has_result = !step.state.is_computed() || state == Some(StepState::Complete);
            let result = step.result.as_ref().filter(|_| has_result);
            let result = result.map(|shape| run.shape(shape));
            if let Some(state) = state {
                steps.insert(name.clone(), ExpectedStep { state, result });
            }
        }
        match task_state {
            Some(task_state) if run.errors.is_empty() => Ok(Expected { task_state, steps }),
            _ => Err(run.errors),
        }
    }
}

/// One answer under way.
struct Run<'i> {
    input: &'i Value,
    /// Bytes of text made so far.
    bytes: usize,
    errors: Vec<ComputedError>,
}

impl Run<'_> {
    fn state<State: FromStr>(&mut self, text: &Text) -> Option<State> {
        let name = match self.text(text)? {
            Value::String(name) => name,
            other => return self.fail(text.at, format!("a state is a text, not {other}")),
        };
        let state = name.parse();
        state.ok().or_else(|| self.fail(text.at, format!("unknown state {}", quoted(&name))))
    }

    /// The value; what could not be computed is null, and noted.
    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Plain(value) => value.clone(),
            Shape::Text(text) => self.text(text).unwrap_or_default(),
            Shape::List(items) => items.iter().map(|item| self.shape(item)).collect(),
            Shape::Mapping(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), self.shape(value))).collect()
            }
        }
    }

    /// A text that is one formula becomes what this comes out as, others are put together.
    fn text(&mut self, text: &Text) -> Option<Value> {
        if let [Part::Formula { formula, stand }] = &text.parts[..] {
            let value = match formula.evaluate(self.input) {
                Ok(value) => value,
                Err(error) => return self.note(stand.error(error)),
            };
            return match value {
                formula::Value::Truth(value) => Some(Value::Bool(value)),
                formula::Value::Text(value) => {
                    self.make_room(text.at, value.len())?;
                    Some(Value::String(value))
                }
                formula::Value::Integer(value) => {
                    let number = i128::try_from(&value).ok().and_then(Number::from_i128);
                    number.map(Value::Number).or_else(|| {
                        let message = "the number is too large for JSON to hold it exactly";
                        let hint = Some("text(…) makes a text of it".to_owned());
                        self.note(ComputedError { at: text.at, message: message.into(), hint })
                    })
                }
            };
        }
        let mut whole = String::new();
        for part in &text.parts {
            let value = match part {
                Part::Plain(plain) => formula::Value::Text(plain.clone()),
                Part::Formula { formula, stand } => match formula.evaluate(self.input) {
                    Ok(value) => value,
                    Err(error) => return self.note(stand.error(error)),
                },
            };
            let piece = match value {
                formula::Value::Text(piece) => piece,
                formula::Value::Integer(number) => number.to_string(),
                formula::Value::Truth(truth) => truth.to_string(),
            };
            self.make_room(text.at, piece.len())?;
            whole.push_str(&piece);
        }
        Some(Value::String(whole))
    }

    fn make_room(&mut self, at: Place, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= COMPUTED_BYTES_MAX {
            return Some(());
        }
        self.fail(at, format!("the texts of one answer are more than {COMPUTED_BYTES_MAX} bytes"))
    }

    fn fail<T>(&mut self, at: Place, message: String) -> Option<T> {
        self.note(ComputedError { at, message, hint: None })
    }

    fn note<T>(&mut self, error: ComputedError) -> Option<T> {
        self.errors.push(error);
        None
    }
}
