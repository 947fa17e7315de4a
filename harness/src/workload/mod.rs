//! The tasks of a run: what each is given, and what a right answer to it is.
//!
//! Both follow from the task's number, so nothing is kept of a task but its number, however many
//! tasks a run has.

mod computed;
mod generator;
mod inputs;
mod program;
mod text;

use std::borrow::Cow;
use std::path::Path;

use stepmark_servers::Guardian;

use crate::scenario::{Expected, Oracle, Scenario};

pub use computed::{COMPUTED_BYTES_MAX, Computed, ComputedError, ComputedStep, Shape};
pub(crate) use generator::Draws;
pub use generator::{DECIMAL_UNITS_MAX, FIELDS_MAX, Field, Generator, PLACES_MAX, TEXT_CHARS_MAX};
pub use inputs::Inputs;
pub use program::{ProgramError, Told, ask};
pub use text::{Part, Stand, Text};

/// Most characters of an input that a message about its task repeats.
const INPUT_CHARS_MAX: usize = 120;

/// What the tasks of one run are given, with the right answers.
#[derive(Debug)]
pub struct Workload {
    inputs: Inputs,
    answers: Answers,
}

#[derive(Debug)]
enum Answers {
    /// One for each input, in the same order.
    Table(Vec<Expected>),
    Computed(Computed),
    Told(Told),
}

/// Why there is no right answer to compare a task with.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// A formula cannot be computed for the task's input.
    #[error("{file}:{error}")]
    Formula {
        /// The scenario's file.
        file: String,
        /// The first thing that is wrong.
        error: Box<ComputedError>,
    },
    /// What the oracle's program has said cannot be read again.
    #[error("the oracle's answers cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// There are more inputs than answers.
    #[error("the oracle has no answer to this input")]
    Missing,
}

impl Workload {
    /// Makes ready for a run of so many `tasks`: a program that is the oracle is asked now, with
    /// `root` as its folder, so that it takes no CPU while tasks are measured. What it was asked
    /// and what it said is kept in `folder`. A run that gets longer has its inputs begin anew.
    ///
    /// # Errors
    /// The program fails; nothing of it is left running.
    pub async fn prepare(
        scenario: &Scenario,
        tasks: u64,
        root: &Path,
        folder: &Path,
        guardian: &Guardian,
    ) -> Result<Workload, ProgramError> {
        let mut inputs = scenario.inputs.clone();
        let answers = match &scenario.oracle {
            Oracle::Table(table) => Answers::Table(table.clone()),
            Oracle::Formula(computed) => Answers::Computed(computed.clone()),
            Oracle::Program(program) => {
                inputs = inputs.repeated_after(tasks);
                Answers::Told(ask(program, &inputs, root, folder, guardian).await?)
            }
        };
        Ok(Workload { inputs, answers })
    }

    /// Tasks that are given these inputs, with one right answer for each.
    pub fn of_table(inputs: Inputs, answers: Vec<Expected>) -> Workload {
        Workload { inputs, answers: Answers::Table(answers) }
    }

    /// What the tasks are given.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The right answer of the task with this number.
    ///
    /// # Errors
    /// There is none: a formula cannot be computed for this input, or the file with the program's
    /// answers cannot be read.
    pub fn expected(&self, number: u64) -> Result<Cow<'_, Expected>, NoAnswer> {
        let place = self.inputs.place(number);
        match &self.answers {
            Answers::Table(table) => {
                let expected = usize::try_from(place).ok().and_then(|place| table.get(place));
                expected.map(Cow::Borrowed).ok_or(NoAnswer::Missing)
            }
            Answers::Computed(computed) => {
                let input = self.inputs.of(number);
                computed.answer(&input).map(Cow::Owned).map_err(|errors| {
                    match errors.into_iter().next() {
                        None => NoAnswer::Missing,
                        Some(error) => {
                            let file = computed.file.clone();
                            NoAnswer::Formula { file, error: Box::new(error) }
                        }
                    }
                })
            }
            Answers::Told(told) => told.answer(place).map(Cow::Owned),
        }
    }

    /// The task as a message names it: with its input, where tasks differ in it.
    pub fn name(&self, number: u64, task: &str) -> String {
        if self.inputs.count() == Some(1) {
            return task.to_owned();
        }
        let input = self.inputs.of(number).to_string();
        let cut = if input.chars().nth(INPUT_CHARS_MAX).is_some() { "…" } else { "" };
        let input: String = input.chars().take(INPUT_CHARS_MAX).collect();
        format!("{task} (input {input}{cut})")
    }
}
