//! What each task of a run is given.

use std::borrow::Cow;

use serde_json::Value;

use super::generator::Generator;

/// The inputs of a run's tasks, by the task's number.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    source: Source,
    /// After so many tasks the inputs begin anew.
    period: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Source {
    List(Vec<Value>),
    Generator(Generator),
}

impl Inputs {
    /// These inputs, at least one, in turns.
    pub fn list(inputs: Vec<Value>) -> Inputs {
        let period = Some(inputs.len().max(1) as u64);
        Inputs { source: Source::List(inputs), period }
    }

    /// Inputs that are made up, another for each task.
    pub fn generated(generator: Generator) -> Inputs {
        Inputs { source: Source::Generator(generator), period: None }
    }

    /// The same, but made-up ones begin anew after so many tasks.
    pub fn repeated_after(self, tasks: u64) -> Inputs {
        let period = self.period.or(Some(tasks.max(1)));
        Inputs { period, ..self }
    }

    /// How many inputs there are before they begin anew; nothing when they never do.
    pub fn count(&self) -> Option<u64> {
        self.period
    }

    /// The place of a task's input among [`Inputs::count`], from 0 on.
    pub fn place(&self, number: u64) -> u64 {
        self.period.map_or(number, |period| number % period)
    }

    /// The input of the task with this number.
    pub fn of(&self, number: u64) -> Cow<'_, Value> {
        let place = self.place(number);
        match &self.source {
            Source::Generator(generator) => Cow::Owned(generator.input(place)),
            Source::List(inputs) => {
                let input = usize::try_from(place).ok().and_then(|place| inputs.get(place));
                input.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
            }
        }
    }

    /// Whether they are made up.
    pub fn are_generated(&self) -> bool {
        matches!(self.source, Source::Generator(_))
    }
}
