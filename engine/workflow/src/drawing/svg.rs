//! The graph as SVG: a row a stage, each step under the middle of its parents where there is room.

use std::fmt::Write;

use super::{is_branch, label};
use crate::{StepTemplate, StepType, Template};

/// Lengths are in pixels.
const CHAR_WIDTH: f64 = 7.3;
/// The handler's type is so much smaller than the name's.
const HANDLER_SCALE: f64 = 10.0 / 13.0;
/// The title is bold.
const TITLE_SCALE: f64 = 1.15;
const BOX_PADDING: f64 = 12.0;
const BOX_HEIGHT: f64 = 34.0;
const ROW_HEIGHT: f64 = 92.0;
const GAP: f64 = 24.0;
const MARGIN: f64 = 20.0;
/// How far each box of a pile stands out behind the one before it.
const PILE_SHIFT: f64 = 3.0;
/// How far a decision's tips stand out.
const SLANT: f64 = 12.0;
/// Space for the title.
const HEAD: f64 = 34.0;

const STYLE: &str = "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1c2733}\
.title{font-weight:bold}.handler{font-size:10px;fill:#5c6b7a}\
rect,polygon{fill:#eef4fb;stroke:#4a7fb5;stroke-width:1.2}\
.decision{fill:#fdf3e1;stroke:#c4882a}.convergence{fill:#eaf6ee;stroke:#3f8f5f}\
.batch{fill:#f3eefb;stroke:#7a58b5}path{fill:none;stroke:#8795a5;stroke-width:1.3}\
.branch{stroke-dasharray:5 4}";

const ARROW: &str = "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
<path d=\"M0 0L8 4L0 8z\" style=\"fill:#8795a5;stroke:none\"/></marker></defs>";

/// Where a step's box is: its middle, and its width.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    x: f64,
    width: f64,
    row: usize,
}

/// The graph as a picture of its own, as wide as its widest row.
#[must_use]
pub fn svg(template: &Template) -> String {
    let places = places(template);
    let right = places.iter().map(|place| place.x + place.width / 2.0).fold(0.0, f64::max);
    let title = format!("{}/{} v{}", template.namespace, template.name, template.version);
    let width = right.max(MARGIN + TITLE_SCALE * text_width(&title)) + MARGIN;
    let rows = places.iter().map(|place| place.row + 1).max().unwrap_or(0);
    let height = HEAD + rows as f64 * ROW_HEIGHT - (ROW_HEIGHT - BOX_HEIGHT) + 2.0 * MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n{ARROW}\n\
         <rect width=\"100%\" height=\"100%\" style=\"fill:#fff;stroke:none\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"{:.0}\">{title}</text>\n",
        MARGIN + 8.0
    );
    for (parent_no, child_no) in template.edges() {
        let (parent, child) = (places[parent_no], places[child_no]);
        let is_pile = template.steps[child_no].step_type == StepType::BatchWorker;
        let pile = if is_pile { 2.0 * PILE_SHIFT } else { 0.0 };
        let (from, to) = (top(parent.row) + BOX_HEIGHT, top(child.row) - pile);
        let bend = (to - from) / 2.0;
        // A String takes everything that is written to it, here and below.
        let _ = writeln!(
            text,
            "<path {}d=\"M{:.1} {from:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {to:.1}\" \
             marker-end=\"url(#tip)\" data-edge=\"{} {}\"/>",
            if is_branch(template, parent_no, child_no) { "class=\"branch\" " } else { "" },
            parent.x,
            parent.x,
            from + bend,
            child.x,
            to - bend,
            child.x,
            template.steps[parent_no].name,
            template.steps[child_no].name,
        );
    }
    for (step, place) in template.steps.iter().zip(&places) {
        let top = top(place.row);
        let _ = writeln!(
            text,
            "<g>{}<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"handler\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
            outline(step, *place),
            place.x,
            top + 15.0,
            label(step),
            place.x,
            top + 28.0,
            step.handler
        );
    }
    text.push_str("</svg>\n");
    text
}

/// The step's outline, by its type.
fn outline(step: &StepTemplate, place: Place) -> String {
    let (left, top) = (place.x - place.width / 2.0, top(place.row));
    let (right, middle, bottom) = (left + place.width, top + BOX_HEIGHT / 2.0, top + BOX_HEIGHT);
    let tip = SLANT;
    let rect = |x: f64, y: f64, class: &str, radius: f64| {
        let width = place.width;
        format!(
            "<rect {class}x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{BOX_HEIGHT}\" rx=\"{radius}\"/>"
        )
    };
    match step.step_type {
        StepType::Standard => rect(left, top, "", 6.0),
        StepType::DeferredConvergence => rect(left, top, "class=\"convergence\" ", 17.0),
        StepType::Decision => format!(
            "<polygon class=\"decision\" points=\"{left:.1},{middle:.1} {:.1},{top:.1} \
             {:.1},{top:.1} {right:.1},{middle:.1} {:.1},{bottom:.1} {:.1},{bottom:.1}\"/>",
            left + tip,
            right - tip,
            right - tip,
            left + tip
        ),
        StepType::Batchable => format!(
            "<polygon class=\"batch\" points=\"{:.1},{top:.1} {:.1},{top:.1} {right:.1},\
             {bottom:.1} {left:.1},{bottom:.1}\"/>",
            left + tip / 2.0,
            right - tip / 2.0
        ),
        // A pile of boxes.
        StepType::BatchWorker => [2.0 * PILE_SHIFT, PILE_SHIFT, 0.0]
            .map(|shift| rect(left + shift, top - shift, "class=\"batch\" ", 3.0))
            .concat(),
    }
}

fn top(row: usize) -> f64 {
    MARGIN + HEAD + row as f64 * ROW_HEIGHT
}

fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHAR_WIDTH
}

/// A place for every step: rows by stage, each row in the order of its steps' parents, and the
/// whole row under the middle of the picture.
fn places(template: &Template) -> Vec<Place> {
    let mut places = vec![Place::default(); template.steps.len()];
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (step_no, row) in template.levels().into_iter().enumerate() {
        places[step_no].row = row;
        let step = &template.steps[step_no];
        let text = text_width(&label(step)).max(text_width(&step.handler) * HANDLER_SCALE);
        let slant = if step.step_type == StepType::Decision { SLANT } else { 0.0 };
        places[step_no].width = text + 2.0 * BOX_PADDING + slant;
        if rows.len() <= row {
            rows.resize_with(row + 1, Vec::new);
        }
        rows[row].push(step_no);
    }
    let row_width = |row: &Vec<usize>| {
        let boxes: f64 = row.iter().map(|step_no| places[*step_no].width + GAP).sum();
        boxes - GAP
    };
    let widest = rows.iter().map(row_width).fold(0.0, f64::max);
    let widths: Vec<f64> = rows.iter().map(row_width).collect();
    for (row, width) in rows.iter_mut().zip(widths) {
        let middle = |step_no: &usize| {
            let parents = &template.steps[*step_no].parents;
            let sum: f64 = parents.iter().map(|parent_no| places[*parent_no].x).sum();
            sum / parents.len().max(1) as f64
        };
        row.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
        let mut left = MARGIN + (widest - width) / 2.0;
        for step_no in row {
            let place = &mut places[*step_no];
            place.x = left + place.width / 2.0;
            left += place.width + GAP;
        }
    }
    places
}
