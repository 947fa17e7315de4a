//! `report.html`: the report to look at, in one file that needs no network.
//!
//! The tables are made here and stand without a script. Charts are drawn by the script, out of the
//! `report.json` that the page has in it, when they come into view.

mod page;
mod run;
mod table;

use super::Format;
use crate::report::Report;

/// A page with tables and charts.
#[derive(Debug)]
pub struct Html;

impl Format for Html {
    fn file_name(&self) -> Option<&'static str> {
        Some("report.html")
    }

    fn render(&self, report: &Report) -> String {
        page::page(report).into_string()
    }
}
