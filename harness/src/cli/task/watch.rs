//! `stepmark task watch`.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use chrono::Utc;
use console::Term;
use stepmark_workflow::TaskState;
use tokio::time::sleep;
use uuid::Uuid;

use super::{GOOD, INVALID, complain, interrupted, show};
use crate::cli::api::{Api, Failure, print, said, unwritten};
use crate::client::ClientError;
use crate::task::changes::changes;
use crate::task::document::{Graph, Task};
use crate::task::drawing::{Look, draw};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// A look's own time that passes until the next: a large graph is asked for less often.
const PAUSE_LOOKS: u32 = 4;
/// Pause until an orchestrator that is away is asked again.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(api: &Api, id: Uuid) -> Result<u8, Failure> {
    let mut shown = Shown::new(api.json);
    let id = id.to_string();
    let ended = tokio::select! {
        ended = follow(api, &id, &mut shown) => ended,
        () = interrupted() => Ok(None),
    };
    shown.close();
    match ended? {
        Some(TaskState::Complete) => Ok(GOOD),
        Some(state) => {
            let document = api.get(&["tasks", &id], &[], Duration::ZERO).await?;
            let task: Task = api.read(&document)?;
            for reason in show::reasons(&task) {
                eprintln!("{reason}");
            }
            Ok(complain(INVALID, &format!("the task is {state}")))
        }
        None => Ok(complain(INVALID, &"interrupted: the task goes on")),
    }
}

/// Shows the task until it ends: its state then.
async fn follow(api: &Api, id: &str, shown: &mut Shown) -> Result<Option<TaskState>, Failure> {
    loop {
        let asked = Instant::now();
        match look(api, id).await {
            Ok((document, graph)) => {
                let state = graph.state;
                shown.show(document, graph)?;
                if state.is_terminal() {
                    return Ok(Some(state));
                }
                sleep(PAUSE.max(PAUSE_LOOKS * asked.elapsed())).await;
            }
            Err(error) if error.retry_after().is_some() && shown.graph.is_some() => {
                shown.notice(&said(&error))?;
                sleep(AWAY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn look(api: &Api, id: &str) -> Result<(String, Graph), ClientError> {
    let document = api.get(&["tasks", id, "graph"], &[], Duration::ZERO).await?;
    let graph = api.read(&document)?;
    Ok((document, graph))
}

/// What has been shown of the task.
struct Shown {
    json: bool,
    /// Where it is drawn; none where each change is a line.
    terminal: Option<Term>,
    colour: bool,
    document: String,
    graph: Option<Graph>,
    /// The terminal's lines and columns at the last drawing, and how many lines that had.
    size: (u16, u16),
    drawn: usize,
    is_away: bool,
}

impl Shown {
    fn new(json: bool) -> Shown {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let terminal = Some(Term::stdout());
        let terminal = terminal.filter(|it| !json && it.is_term() && variable("TERM") != "dumb");
        if let Some(Err(error)) = terminal.as_ref().map(Term::hide_cursor) {
            tracing::debug!(%error, "the cursor stays");
        }
        let colour = variable("NO_COLOR").is_empty();
        let (document, graph) = (String::new(), None);
        let size = terminal.as_ref().map(Term::size).unwrap_or_default();
        Shown { json, terminal, colour, document, graph, size, drawn: 0, is_away: false }
    }

    fn show(&mut self, document: String, graph: Graph) -> Result<(), Failure> {
        if self.is_away && self.terminal.is_none() {
            eprintln!("stepmark: the orchestrator is back");
        }
        self.is_away = false;
        if self.json {
            if self.document != document {
                print(&document)?;
            }
        } else if self.terminal.is_none() {
            for line in changes(self.graph.as_ref(), &graph) {
                print(&line)?;
            }
        }
        (self.document, self.graph) = (document, Some(graph));
        self.draw(None)
    }

    /// Says that the orchestrator is away: below the drawing, or once in a line of its own.
    fn notice(&mut self, why: &str) -> Result<(), Failure> {
        let notice = format!("stepmark: no answer, trying again: {why}");
        if !std::mem::replace(&mut self.is_away, true) && self.terminal.is_none() {
            eprintln!("{notice}");
        }
        self.draw(Some(notice))
    }

    /// Draws the graph over the last drawing. One write, so that it does not flicker.
    fn draw(&mut self, notice: Option<String>) -> Result<(), Failure> {
        let (Some(terminal), Some(graph)) = (&self.terminal, &self.graph) else {
            return Ok(());
        };
        let size = terminal.size();
        let (lines, columns) = (usize::from(size.0), usize::from(size.1));
        // The end is drawn whole, and may be scrolled back to. Else a line is left for the notice,
        // and one for the cursor.
        let room = (!graph.state.is_terminal()).then(|| lines.saturating_sub(2));
        let look = Look { columns, lines: room, colour: self.colour };
        let mut drawing = draw(graph, Utc::now(), look);
        drawing.extend(notice.map(|it| console::truncate_str(&it, columns, "…").into_owned()));
        let mut text = match self.drawn {
            // A terminal of another size has broken the lines anew: nobody knows where they are.
            _ if size != self.size => "\x1b[2J\x1b[H".to_owned(),
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r"),
        };
        for line in &drawing {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        (self.size, self.drawn) = (size, drawing.len());
        let mut stdout = stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(unwritten)
    }

    fn close(&self) {
        if let Some(Err(error)) = self.terminal.as_ref().map(Term::show_cursor) {
            tracing::debug!(%error, "the cursor stays hidden");
        }
    }
}
