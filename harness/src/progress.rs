//! What a person sees while a run is under way: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{prefix} {bar:30} {pos}/{len} tasks, {per_sec}, {eta} left {msg}";

/// Says on standard error how far things are.
#[derive(Debug)]
pub struct Progress {
    on_terminal: bool,
    bar: ProgressBar,
}

impl Progress {
    /// A bar when standard error is a terminal.
    pub fn new() -> Progress {
        Progress { on_terminal: std::io::stderr().is_terminal(), bar: ProgressBar::hidden() }
    }

    /// Says that something begins.
    pub fn say(&self, what: &str) {
        self.bar.suspend(|| eprintln!("{what}"));
    }

    /// Tasks begin, this many.
    pub fn begin(&mut self, what: &str, tasks: u64) {
        if !self.on_terminal {
            return self.say(&format!("{what}: {tasks} tasks"));
        }
        let style = ProgressStyle::with_template(TEMPLATE);
        self.bar = ProgressBar::new(tasks)
            .with_style(style.expect("the template is a constant that indicatif accepts"))
            .with_prefix(what.to_owned());
    }

    /// So many more tasks have ended.
    pub fn advance(&self, tasks: u64) {
        self.bar.inc(tasks);
    }

    /// The tasks are over.
    pub fn end(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}
