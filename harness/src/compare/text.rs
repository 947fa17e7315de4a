//! A comparison as people read it.

use super::{Comparison, Ratio, Row};
use crate::grid::{Look, figure, grid};

/// What marks a time of another environment.
const MARK: &str = "≠";

impl Comparison {
    /// Where the environments differ, a line each; nothing where they don't.
    pub fn refusal(&self) -> Option<String> {
        if self.deviations.is_empty() {
            return None;
        }
        let lines = self.deviations.iter().map(|deviation| format!("  {deviation}\n"));
        Some(format!("the environments differ (A | B):\n{}", lines.collect::<String>()))
    }

    /// Everything that there is to say.
    pub fn render(&self, look: Look) -> String {
        let [first, second] = &self.about;
        let end = if look == Look::Markdown { "  " } else { "" }; // a line's end in Markdown
        let mut text = format!("A: {first}{end}\nB: {second}{end}\n");
        if let Some(refusal) = self.refusal() {
            text.push_str(&format!("{refusal}times marked {MARK} are not to be compared\n"));
        }
        let header = ["run", "figure", "A", "B", "B/A", "between", "intervals"];
        text.push_str(&format!("\n{}", grid(look, header, self.rows.iter().map(cells))));
        text.push_str(
            "\nbetween: the ratios that the percentiles' intervals of 95 % allow. They say \
             nothing of\nhow much the machine changed from the one report to the other.\n",
        );
        if !self.remarks.is_empty() {
            let begin = if look == Look::Markdown { "- " } else { "" };
            let lines = self.remarks.iter().map(|remark| format!("{begin}{remark}\n"));
            text.push_str(&format!("\n{}", lines.collect::<String>()));
        }
        text
    }
}

fn cells(row: &Row) -> [String; 7] {
    let mark = if row.is_marked { format!(" {MARK}") } else { String::new() };
    let told = |value| format!("{}{mark}", figure(value, 2));
    let interval = row.ratio.and_then(|ratio| ratio.interval);
    let interval = interval.map(|ends| format!("{:.2} to {:.2}", ends.low, ends.high));
    let apart = row.ratio.as_ref().and_then(Ratio::is_apart);
    let apart = apart.map_or("", |apart| if apart { "apart" } else { "overlap" });
    [
        row.run.clone(),
        row.figure.clone(),
        told(row.first),
        told(row.second),
        figure(row.ratio.map(|ratio| ratio.value), 2),
        interval.unwrap_or_default(),
        apart.to_owned(),
    ]
}
