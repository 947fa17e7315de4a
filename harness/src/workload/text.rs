//! A text with formulas between `${` and `}`, and where each stands in its file.
//!
//! `$${` stands for `${` itself.

use serde_json::Value;
use stepmark_workflow::yaml::Place;

use super::computed::ComputedError;
use crate::formula::{Formula, FormulaError};

/// A text with formulas in it.
#[derive(Debug, Clone)]
pub struct Text {
    /// Where the text starts.
    pub at: Place,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// A part of a text.
#[derive(Debug, Clone)]
pub enum Part {
    /// As it stands.
    Plain(String),
    /// Computed.
    Formula {
        /// The formula.
        formula: Box<Formula>,
        /// Where it stands.
        stand: Stand,
    },
}

/// Where a formula stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Where its first character is; where the text starts, if YAML writes the text otherwise.
    at: Place,
    /// So many of its characters stand one behind the other in that line of the file.
    exact_chars: usize,
}

impl Stand {
    /// A formula's error at its place in the file.
    pub fn error(&self, error: FormulaError) -> ComputedError {
        let FormulaError { offset, message, hint } = error;
        // One behind the last character is where something is missing.
        let offset = if offset <= self.exact_chars { offset } else { 0 };
        let offset = u32::try_from(offset).unwrap_or_default();
        let at = Place { column: self.at.column.saturating_add(offset), ..self.at };
        ComputedError { at, message, hint }
    }
}

impl Text {
    /// A text without formulas.
    pub fn plain(text: &str, at: Place) -> Text {
        Text { at, parts: vec![Part::Plain(text.to_owned())] }
    }

    /// Reads a text that stands at `at` in a YAML file with the content `file`. Formulas that are
    /// malformed or have no end are left out of it, with an error each.
    pub fn read(text: &str, at: Place, file: &str) -> (Text, Vec<ComputedError>) {
        let mut parts = Vec::new();
        let mut errors = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        let mut openings = 0;
        while let Some(place) = rest.find("${") {
            let (before, opened) = (&rest[..place], &rest[place + 2..]);
            openings += 1;
            if let Some(escaped) = before.strip_suffix('$') {
                plain.push_str(escaped);
                plain.push_str("${");
                rest = opened;
                continue;
            }
            let Some(length) = formula_bytes(opened) else {
                let stand = stand(file, at, openings, "");
                errors.push(stand.error(FormulaError {
                    offset: 0,
                    message: "the formula that begins here has no closing `}`".to_owned(),
                    hint: Some("`$${` stands for `${` itself".to_owned()),
                }));
                break;
            };
            let formula = &opened[..length];
            let stand = stand(file, at, openings, formula);
            plain.push_str(before);
            if !plain.is_empty() {
                parts.push(Part::Plain(std::mem::take(&mut plain)));
            }
            match Formula::parse(formula) {
                Ok(formula) => parts.push(Part::Formula { formula: Box::new(formula), stand }),
                Err(error) => errors.push(stand.error(error)),
            }
            rest = &opened[length + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Plain(plain));
        }
        (Text { at, parts }, errors)
    }

    /// An error for each name in its formulas that none of these inputs has.
    pub fn unknown_names(&self, inputs: &[Value]) -> Vec<ComputedError> {
        let mut unknown = Vec::new();
        for part in &self.parts {
            if let Part::Formula { formula, stand } = part {
                let errors = formula.unknown_names(inputs.iter()).into_iter();
                unknown.extend(errors.map(|error| stand.error(error)));
            }
        }
        unknown
    }

    /// Whether there are formulas in it.
    pub fn is_computed(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Formula { .. }))
    }

    /// The text, when there are no formulas in it.
    pub fn as_plain(&self) -> Option<String> {
        let plain = |part: &Part| match part {
            Part::Plain(text) => Some(text.clone()),
            Part::Formula { .. } => None,
        };
        self.parts.iter().map(plain).collect()
    }
}

/// Bytes up to the brace that closes a formula, which is none inside of a text in quotes.
fn formula_bytes(opened: &str) -> Option<usize> {
    let mut quoted = false;
    for (place, c) in opened.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '}' if !quoted => return Some(place),
            _ => {}
        }
    }
    None
}

/// Where the formula behind the `opening`th `${` (from 1 on) of the value at `at` stands.
fn stand(file: &str, at: Place, opening: usize, formula: &str) -> Stand {
    let unknown = Stand { at, exact_chars: 0 };
    let Some(start) = byte_of(file, at) else {
        return unknown;
    };
    // An alias stands for a text that is written elsewhere.
    let value = &file[start..];
    let found = value.match_indices("${").nth(opening - 1).filter(|_| !value.starts_with('*'));
    let Some((found, _)) = found else {
        return unknown;
    };
    let first = start + found + 2;
    let line_start = file[..first].rfind('\n').map_or(0, |line_break| line_break + 1);
    let lines = file[..first].matches('\n').count();
    let written = file[first..].chars().zip(formula.chars());
    let exact_chars = written.take_while(|(a, b)| a == b && *a != '\n').count();
    let from_one = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    let column = from_one(file[line_start..first].chars().count());
    Stand { at: Place { line: from_one(lines), column }, exact_chars }
}

fn byte_of(file: &str, at: Place) -> Option<usize> {
    let above = usize::try_from(at.line.checked_sub(1)?).ok()?;
    let line_start = match above {
        0 => 0,
        _ => file.match_indices('\n').nth(above - 1)?.0 + 1,
    };
    let before = usize::try_from(at.column.checked_sub(1)?).ok()?;
    let line = &file[line_start..];
    line.char_indices().nth(before).map(|(offset, _)| line_start + offset)
}
