//! One error in a file, shown with the line it is about.

use std::fmt;

use serde_saphyr::Location;

/// Most characters of an offending line that are shown, around its column.
const SOURCE_LINE_CHARS_MAX: usize = 120;

/// Most characters of a text out of a file that a message repeats.
const QUOTED_CHARS_MAX: usize = 64;

/// Most names that a suggestion is looked for in.
const SUGGESTED_FROM_MAX: usize = 1_000;

/// A position in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl From<Location> for Place {
    /// An unknown location stands for the start of the file.
    fn from(location: Location) -> Self {
        let from_one = |number: u64| u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        Self { line: from_one(location.line()), column: from_one(location.column()) }
    }
}

/// One error in a file. Its `Display` is `file:line:col: message`, and below it the offending line
/// with a caret under the column, and the hint; no line break at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the caller named it.
    pub source_name: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// What is wrong. One line; control characters are escaped.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
    /// The offending line, or the part of a long one around the column, without control characters.
    pub source_line: String,
    /// The column at which `source_line` starts, counted from 1.
    pub source_line_column: u32,
}

impl Diagnostic {
    /// An error at this place of `text`.
    #[must_use]
    pub fn new(source_name: &str, text: &str, at: impl Into<Place>, message: &str) -> Self {
        let Place { line, column } = at.into();
        let above = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let before = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
        let start = before.saturating_sub(SOURCE_LINE_CHARS_MAX / 2);
        let source_line = text.lines().nth(above).unwrap_or_default();
        let shown = source_line.chars().skip(start).take(SOURCE_LINE_CHARS_MAX);
        let plain = |c: char| if steers_terminal(c) { ' ' } else { c };
        Self {
            source_name: source_name.to_owned(),
            line,
            column,
            message: escaped(message),
            hint: None,
            source_line: shown.map(plain).collect::<String>().trim_end().to_owned(),
            source_line_column: u32::try_from(start + 1).unwrap_or(u32::MAX),
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint: hint.map(|hint| escaped(&hint)), ..self }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source_name, line, column, message, .. } = self;
        write!(f, "{source_name}:{line}:{column}: {message}")?;
        let margin = line.to_string().len();
        if !self.source_line.is_empty() {
            let before = self.column.saturating_sub(self.source_line_column) as usize;
            write!(f, "\n {line} | {}", self.source_line)?;
            write!(f, "\n {:margin$} | {:before$}^", "", "")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n {:margin$} = {hint}", ""),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// A text out of a file as a message repeats it: between backticks, escaped, cut when it is long.
#[must_use]
pub fn quoted(text: &str) -> String {
    let cut = if text.chars().nth(QUOTED_CHARS_MAX).is_some() { "…" } else { "" };
    let start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    format!("`{}{cut}`", escaped(&start))
}

/// "did you mean …", when one of `known` is so near to `given` that a slip of the hand explains it.
#[must_use]
pub fn suggest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let given_chars = given.chars().count();
    if given_chars > QUOTED_CHARS_MAX {
        return None;
    }
    let distance_max = (given_chars / 3).max(1);
    known
        .into_iter()
        .take(SUGGESTED_FROM_MAX)
        .filter(|name| *name != given && name.len().abs_diff(given.len()) <= 4 * distance_max)
        .map(|name| (strsim::osa_distance(given, name), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| format!("did you mean {}?", quoted(name)))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if steers_terminal(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a terminal obeys the character instead of showing it: controls, line and paragraph
/// separators, and those that turn the direction of writing.
fn steers_terminal(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
