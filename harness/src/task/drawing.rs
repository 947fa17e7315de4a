//! A task's graph as lines of text, as wide and as high as there is room.

use chrono::{DateTime, Utc};
use console::{Style, measure_text_width, pad_str, truncate_str};
use stepmark_workflow::state::{StepState, TaskState};

use super::document::Graph;
use super::stages::{Entry, counted, stages};
use super::words::{duration, plain};

/// Columns that names may take before they are cut; half of those that there are at most.
const NAME_COLUMNS_MAX: usize = 40;

/// How a drawing may look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Columns that there are.
    pub columns: usize,
    /// Lines that there are; as many as it takes when not told.
    pub lines: Option<usize>,
    /// Whether it may have colours.
    pub colour: bool,
}

/// The task as it is `now`, by stage: each step with its state, its time, and what it waits for.
pub fn draw(graph: &Graph, now: DateTime<Utc>, look: Look) -> Vec<String> {
    let stages = stages(graph);
    let entries = || stages.iter().flatten();
    let names = entries().map(|entry| measure_text_width(&entry.label())).max();
    let name = names.unwrap_or_default().min(NAME_COLUMNS_MAX).min(look.columns / 2);
    // A batch's counts are longer than any state, and need not align.
    let single = entries().filter(|entry| entry.steps.len() == 1);
    let state = single.map(|entry| entry.states().len()).max().unwrap_or_default();
    let number = stages.len().to_string().len();
    let time = entries().map(|entry| time(entry, now).len()).max().unwrap_or_default();
    let widths = Widths { name, state, time };
    let mut body = Vec::new();
    for (stage, entries) in stages.iter().enumerate() {
        for (place, entry) in entries.iter().enumerate() {
            let margin = match (place, entries.len()) {
                (0, 1) => format!("{:>number$} ─", stage + 1),
                (0, _) => format!("{:>number$} ┬", stage + 1),
                (place, count) if place + 1 == count => format!("{:number$} └", ""),
                _ => format!("{:number$} ├", ""),
            };
            body.push((entry.is_over(), line(&margin, entry, widths, now, look.colour)));
        }
    }
    let mut lines = header(graph, now, look.colour);
    let room = look.lines.map(|most| most.saturating_sub(lines.len()));
    lines.extend(window(body, room));
    for line in &mut lines {
        *line = truncate_str(line, look.columns, "…").into_owned();
    }
    lines
}

#[derive(Clone, Copy)]
struct Widths {
    name: usize,
    state: usize,
    time: usize,
}

/// How long it has taken, or takes.
fn time(entry: &Entry, now: DateTime<Utc>) -> String {
    let time = entry.time().map(|(from, to)| duration(to.map_or(now, |to| to.0) - from.0));
    time.unwrap_or_default()
}

fn header(graph: &Graph, now: DateTime<Utc>, colour: bool) -> Vec<String> {
    let state = painted(graph.state.name(), task_style(graph.state), colour);
    let time = graph.finished_at.map_or(now, |end| end.0) - graph.created_at.0;
    let (namespace, template) = (plain(&graph.namespace), plain(&graph.template));
    let counts = counted(graph.steps.iter().map(|step| step.state));
    let steps = match graph.steps.len() {
        1 => "1 step".to_owned(),
        many => format!("{many} steps"),
    };
    vec![
        format!("{namespace}/{template}  {state}  {}", duration(time)),
        format!("{}  {steps}: {counts}", plain(&graph.task_uuid)),
    ]
}

fn line(margin: &str, entry: &Entry, widths: Widths, now: DateTime<Utc>, colour: bool) -> String {
    let (glyph, style) = glyph(entry.state());
    let name = plain(&entry.label());
    let name = pad_str(&name, widths.name, console::Alignment::Left, Some("…"));
    let states = format!("{:state$}", entry.states(), state = widths.state);
    let time = format!("{:width$}", time(entry, now), width = widths.time);
    let attempt = match entry.attempt() {
        attempt @ 2.. => format!("  attempt {attempt}"),
        _ => String::new(),
    };
    let parents = match entry.parents.is_empty() {
        true => String::new(),
        false => format!("  ← {}", plain(&entry.parents.join(", "))),
    };
    let glyph = painted(glyph, style.clone(), colour);
    let states = painted(&states, style, colour);
    let parents = painted(&parents, Style::new().dim(), colour);
    format!("{margin} {glyph} {name}  {states}  {time}{attempt}{parents}").trim_end().to_owned()
}

fn painted(text: &str, style: Style, colour: bool) -> String {
    match text.is_empty() {
        true => String::new(),
        false => style.force_styling(colour).apply_to(text).to_string(),
    }
}

fn glyph(state: StepState) -> (&'static str, Style) {
    let style = Style::new();
    match state {
        StepState::Pending => ("·", style.dim()),
        StepState::Enqueued => ("○", style),
        StepState::InProgress => ("●", style.cyan()),
        StepState::EnqueuedForOrchestration => ("◐", style.cyan()),
        StepState::WaitingForRetry => ("↻", style.yellow()),
        StepState::Complete => ("✔", style.green()),
        StepState::Error => ("✘", style.red()),
        StepState::Skipped => ("–", style.dim()),
        StepState::Cancelled => ("⊘", style.magenta()),
    }
}

fn task_style(state: TaskState) -> Style {
    let style = Style::new().bold();
    match state {
        TaskState::Complete => style.green(),
        TaskState::Error => style.red(),
        TaskState::Cancelled => style.magenta(),
        TaskState::WaitingForRetry => style.yellow(),
        _ => style.cyan(),
    }
}

/// As many of the lines as there is room for, from the last one before those that are not over.
fn window(lines: Vec<(bool, String)>, room: Option<usize>) -> Vec<String> {
    let count = lines.len();
    let Some(room) = room.filter(|room| *room < count) else {
        return lines.into_iter().map(|(_, line)| line).collect();
    };
    // Two of them tell what is above and below.
    let room = room.saturating_sub(2).max(1);
    let first = lines.iter().position(|(is_over, _)| !is_over).unwrap_or(count);
    let above = first.saturating_sub(1).min(count - room);
    let below = count - room - above;
    let shown = lines.into_iter().skip(above).take(room).map(|(_, line)| line);
    let more = |count: usize, arrow| (count > 0).then(|| format!("  {arrow} {count} more"));
    more(above, '↑').into_iter().chain(shown).chain(more(below, '↓')).collect()
}
