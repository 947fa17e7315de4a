//! What stands in a table's cell.

use std::fmt;

use crate::verdict::Status;

/// What stands where there is no figure.
pub(in crate::report) const NONE: &str = "–";

/// A cell: what it says, and in brackets what belongs to it.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Cell {
    pub main: Vec<Part>,
    pub aside: Vec<Part>,
    pub kind: Kind,
}

/// A piece of a cell.
#[derive(Debug, Clone)]
pub(in crate::report) enum Part {
    Text(String),
    Figure(Figure),
}

/// A figure that says where `report.json` has it.
#[derive(Debug, Clone)]
pub(in crate::report) struct Figure {
    pub shown: String,
    /// As `report.json` has it.
    pub value: f64,
    /// Where: a JSON pointer (RFC 6901).
    pub at: String,
    /// What the shown figure is to be multiplied with, to have the unit of `report.json`.
    pub unit: f64,
}

/// What a cell is for, besides its words.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::report) enum Kind {
    #[default]
    Plain,
    /// It names the run of this number.
    Run(usize),
    /// It says what a run is worth.
    Verdict(Status),
    /// It says whether something is as it has to be; unknown where that was not measured.
    Kept(Option<bool>),
    /// It tells a share from 0 to 1.
    Share(f64),
}

/// A place in `report.json`, for the figures below it.
#[derive(Debug, Clone)]
pub(in crate::report) struct Place(String);

impl Place {
    pub fn run(no: usize) -> Place {
        Place(format!("/runs/{no}"))
    }

    pub fn ladder(no: usize) -> Place {
        Place(format!("/ladders/{no}"))
    }

    pub fn below(&self, path: impl fmt::Display) -> Place {
        Place(format!("{}/{path}", self.0))
    }

    /// The figure at `path`; a dash where there is none.
    pub fn figure(&self, path: &str, value: Option<f64>, decimals: usize) -> Part {
        self.figure_in(1.0, path, value, decimals)
    }

    /// The figure at `path` in units of so many of `report.json`'s.
    pub fn figure_in(&self, unit: f64, path: &str, value: Option<f64>, decimals: usize) -> Part {
        let Some(value) = value else { return NONE.into() };
        let shown = format!("{:.decimals$}", value / unit);
        Part::Figure(Figure { shown, value, at: format!("{}/{path}", self.0), unit })
    }

    /// The same as a cell.
    pub fn cell(&self, path: &str, value: Option<f64>, decimals: usize) -> Cell {
        self.figure(path, value, decimals).into()
    }

    /// The same as a cell, of a number that is counted.
    pub fn count(&self, path: &str, value: u64) -> Cell {
        self.cell(path, Some(value as f64), 0)
    }
}

impl Cell {
    pub fn with(mut self, part: impl Into<Part>) -> Cell {
        self.main.push(part.into());
        self
    }

    /// Adds both ends of an interval, in brackets.
    pub fn between(mut self, low: Part, high: Part) -> Cell {
        self.aside.extend([low, " to ".into(), high]);
        self
    }

    pub fn beside(mut self, part: impl Into<Part>) -> Cell {
        if !self.aside.is_empty() {
            self.aside.push("; ".into());
        }
        self.aside.push(part.into());
        self
    }

    /// Goes on in the brackets.
    pub fn and_aside(mut self, part: impl Into<Part>) -> Cell {
        self.aside.push(part.into());
        self
    }

    pub fn of_kind(mut self, kind: Kind) -> Cell {
        self.kind = kind;
        self
    }

    /// Whether it stands in a column of figures.
    pub fn is_figure(&self) -> bool {
        self.to_string()
            .starts_with(|first: char| first.is_ascii_digit() || "–+-≤≥".contains(first))
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Part {
        Part::Text(text.to_owned())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Part {
        Part::Text(text)
    }
}

impl<P: Into<Part>> From<P> for Cell {
    fn from(part: P) -> Cell {
        Cell::default().with(part)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Text(text) => text,
            Part::Figure(figure) => &figure.shown,
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.main.iter().try_for_each(|part| part.fmt(f))?;
        if self.aside.is_empty() {
            return Ok(());
        }
        f.write_str(if self.main.is_empty() { "(" } else { " (" })?;
        self.aside.iter().try_for_each(|part| part.fmt(f))?;
        f.write_str(")")
    }
}
