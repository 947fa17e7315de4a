//! Formulas over a task's input: a small, exact language for right answers. Pure.
//!
//! ```text
//! even_number ^ 16                            whole numbers of any size: + - * / % ^
//! amount < 1000 ? 'approve' : 'review'        == != < <= > >=, && || !, a choice, texts in quotes
//! text(customer.age + items[2])               paths into the input; text int len min max
//! ```
//! `/` rounds toward zero and `%` has the sign of its left side, as in Rust and C; `^` binds
//! tighter than a sign before it and from right to left. A quote inside of a text is written twice.
//! `&&`, `||` and a choice evaluate only what they need.
//!
//! A formula comes out of a file that anybody may have written, so its length, its depth and every
//! number on the way are bounded: it can neither take the memory nor run away.

mod evaluate;
mod parse;
mod path;
mod token;
mod tree;

use num_bigint::BigInt;
use serde_json::Value as Json;

use tree::Node;

/// Longest formula, in characters.
pub const FORMULA_CHARS_MAX: usize = 2_000;

/// Deepest nesting of a formula: parentheses, signs, choices, and operators in a row.
pub const DEPTH_MAX: usize = 100;

/// Largest number on the way, in bits: some 19,700 decimal digits.
pub const NUMBER_BITS_MAX: u64 = 1 << 16;

/// Longest text that `int` reads, in characters: no number in bounds has more.
pub const DIGITS_MAX: usize = 20_000;

/// A formula that was read and found well formed.
#[derive(Debug, Clone)]
pub struct Formula {
    root: Node,
}

/// What a formula comes out as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Integer(BigInt),
    /// A text.
    Text(String),
    /// True or false.
    Truth(bool),
}

/// What is wrong with a formula, or with what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormulaError {
    /// Where in the formula, in characters from its start.
    pub offset: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
}

impl FormulaError {
    fn new(offset: usize, message: impl Into<String>) -> FormulaError {
        FormulaError { offset, message: message.into(), hint: None }
    }

    fn with_hint(self, hint: Option<String>) -> FormulaError {
        FormulaError { hint, ..self }
    }
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// The first thing that is wrong: syntax, a function that does not exist, or a limit.
    pub fn parse(text: &str) -> Result<Formula, FormulaError> {
        if text.chars().nth(FORMULA_CHARS_MAX).is_some() {
            let message = format!("a formula has at most {FORMULA_CHARS_MAX} characters");
            return Err(FormulaError::new(FORMULA_CHARS_MAX, message));
        }
        Ok(Formula { root: parse::formula(&token::tokens(text)?)? })
    }

    /// Computes the formula over one input.
    ///
    /// # Errors
    /// A name that the input does not have, a value of the wrong kind, a division by zero, a
    /// negative exponent, or a number above [`NUMBER_BITS_MAX`].
    pub fn evaluate(&self, input: &Json) -> Result<Value, FormulaError> {
        evaluate::whole(&self.root, input)
    }

    /// An error for each name of the formula that none of these inputs has, in branches that no
    /// input takes as well.
    pub fn unknown_names<'i>(
        &self,
        inputs: impl Iterator<Item = &'i Json> + Clone,
    ) -> Vec<FormulaError> {
        let mut unknown = Vec::new();
        self.root.visit_paths(&mut |path| {
            let mut errors = inputs.clone().map(|input| path.find(input).err());
            let first = errors.next().flatten();
            if first.is_some() && errors.all(|error| error.is_some()) {
                unknown.extend(first);
            }
        });
        unknown
    }
}
