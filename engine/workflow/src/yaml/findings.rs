//! All errors of one file.

use super::{Diagnostic, Place};

/// Most errors that are reported for one file.
pub const DIAGNOSTICS_MAX: usize = 100;

/// Gathers what is wrong with one file, each error at its position.
#[derive(Debug)]
pub struct Findings<'a> {
    source_name: &'a str,
    text: &'a str,
    found: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    /// Nothing wrong so far with `text`, which errors call `source_name`.
    #[must_use]
    pub const fn new(source_name: &'a str, text: &'a str) -> Self {
        Self { source_name, text, found: Vec::new() }
    }

    /// Notes one error. The first [`DIAGNOSTICS_MAX`] are kept.
    pub fn error(&mut self, at: impl Into<Place>, message: &str) {
        self.error_with(at, message, None);
    }

    /// Notes one error with a hint.
    pub fn error_with(&mut self, at: impl Into<Place>, message: &str, hint: Option<String>) {
        if self.is_full() {
            return;
        }
        let diagnostic = Diagnostic::new(self.source_name, self.text, at, message);
        self.found.push(diagnostic.with_hint(hint));
    }

    /// Whether nothing has been found.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether further errors are dropped, so that looking for them is in vain.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.found.len() >= DIAGNOSTICS_MAX
    }

    /// `Ok` when nothing is wrong.
    ///
    /// # Errors
    /// What was found, in the order of the file.
    pub fn into_result(mut self) -> Result<(), Vec<Diagnostic>> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        Err(self.found)
    }
}
