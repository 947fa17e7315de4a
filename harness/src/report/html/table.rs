//! Tables as a page has them.

use maud::{Markup, html};

use super::super::tables::{Cell, Figure, Kind, Part, Table};
use crate::verdict::Status;

/// The addresses of the runs within the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links<'n>(pub &'n [String]);

/// A table with its notes. What is too wide scrolls in its own box.
pub(super) fn table(table: &Table, links: Links<'_>) -> Markup {
    html! {
        @for note in &table.notes { p.note { (note) } }
        (bare(table, table.name, links))
    }
}

/// The table alone, `name` being what it is called for those who don't see it.
pub(super) fn bare(table: &Table, name: &str, links: Links<'_>) -> Markup {
    let is_figure = |place: usize| table.rows.iter().all(|row| row[place].is_figure());
    let columns: Vec<bool> = (0..table.header.len()).map(is_figure).collect();
    html! {
        div.scroll role="group" aria-label=(name) tabindex="0" {
            table {
                caption.unseen { (name) }
                thead {
                    tr {
                        @for (header, is_figure) in table.header.iter().zip(&columns) {
                            @if header.is_empty() { td {} }
                            @else { th scope="col" .figure[*is_figure] { (header) } }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (place, cell) in row.iter().enumerate() {
                                @if place == 0 { th scope="row" { (content(cell, links)) } }
                                @else { td .figure[columns[place]] { (content(cell, links)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn content(cell: &Cell, links: Links<'_>) -> Markup {
    let main = html! { @for it in &cell.main { (part(it)) } };
    html! {
        @match cell.kind {
            Kind::Plain => (main),
            Kind::Run(no) => a href=(format!("#{}", links.0[no])) { (main) },
            Kind::Verdict(status) => (badge(status, &main)),
            Kind::Kept(kept) => (badge(status_of(kept), &main)),
            Kind::Share(share) => {
                (main)
                span.bar aria-hidden="true" { span style=(width(share)) {} }
            }
        }
        @if !cell.aside.is_empty() {
            " " span.aside { "(" @for it in &cell.aside { (part(it)) } ")" }
        }
    }
}

fn part(part: &Part) -> Markup {
    match part {
        // A long name may go on in a new line behind each of its words.
        Part::Text(text) => html! {
            @for (no, word) in text.split_inclusive('_').enumerate() {
                @if no > 0 { wbr; }
                (word)
            }
        },
        Part::Figure(Figure { shown, value, at, unit }) => html! {
            @let unit = (*unit != 1.0).then_some(unit);
            data value=(value) data-at=(jq_path(at)) data-unit=[unit] { (shown) }
        },
    }
}

/// A JSON pointer as jq writes it, to be pasted: `/runs/0/tier` as `.runs[0].tier`.
fn jq_path(pointer: &str) -> String {
    let key = |key: &str| {
        let key = key.replace("~1", "/").replace("~0", "~");
        let is_word = key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        match key.parse::<usize>() {
            Ok(place) => format!("[{place}]"),
            Err(_) if is_word => format!(".{key}"),
            Err(_) => format!(".{}", serde_json::Value::from(key)),
        }
    };
    pointer.split('/').skip(1).map(key).collect()
}

/// A verdict, told by a sign, words and colour.
pub(super) fn badge(status: Status, words: &Markup) -> Markup {
    let (class, sign) = match status {
        Status::Good => ("good", "✔"),
        Status::OverBudget => ("over", "▲"),
        Status::Incomplete => ("over", "◌"),
        Status::Invalid => ("bad", "✘"),
    };
    html! { span.badge.(class) { span aria-hidden="true" { (sign) } " " (words) } }
}

fn status_of(kept: Option<bool>) -> Status {
    match kept {
        Some(true) => Status::Good,
        Some(false) => Status::OverBudget,
        None => Status::Incomplete,
    }
}

fn width(share: f64) -> String {
    format!("width:{:.1}%", (100.0 * share).clamp(0.0, 100.0))
}
