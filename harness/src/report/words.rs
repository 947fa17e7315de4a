//! A run in words, and what its name is.

use crate::verdict::RunReport;

impl RunReport {
    /// Whether each client waits for its task before it starts the next.
    #[must_use]
    pub fn is_closed_loop(&self) -> bool {
        self.rate.is_none()
    }

    /// Whether it ran on the scenario's own cluster.
    #[must_use]
    pub fn is_on_own(&self) -> bool {
        self.on == "own"
    }

    /// Whether it is one task at a time on the scenario's own cluster.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_on_own() && self.is_alone()
    }

    /// Whether it is one task at a time.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.is_closed_loop() && self.concurrency == 1
    }

    /// The load in few words: `closed, 64` at once, or `Poisson, 50/s`.
    #[must_use]
    pub fn load(&self) -> String {
        match self.rate {
            None => format!("closed, {}", self.concurrency),
            Some(rate) => format!("{}, {}/s", self.arrivals(), rate.asked_per_s),
        }
    }

    /// The load in a sentence's words.
    #[must_use]
    pub fn load_in_words(&self) -> String {
        match (self.rate, self.concurrency) {
            (Some(rate), _) => format!("{} at {} a second", self.mode, rate.asked_per_s),
            (None, 1) => format!("{}, one at a time", self.mode),
            (None, at_once) => format!("{}, {at_once} at once", self.mode),
        }
    }

    /// The cluster in a sentence's words.
    #[must_use]
    pub fn cluster_in_words(&self) -> String {
        match self.on.as_str() {
            "own" => "own cluster".to_owned(),
            "ten" => "ten instances".to_owned(),
            grid => format!("cluster {grid}"),
        }
    }

    /// Like the run's files: scenario, broker, load and cluster, the last two where they are not
    /// the plain ones.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = format!("{}-{}", self.scenario, self.broker.name());
        match self.rate {
            Some(rate) => name += &format!("-{}ps", rate.asked_per_s),
            None if self.concurrency != 1 => name += &format!("-{}", self.concurrency),
            None => {}
        }
        if !self.is_on_own() {
            name += &format!("-{}", self.on);
        }
        name
    }

    /// Milliseconds during which load was on, by the throughput.
    #[must_use]
    pub fn busy_ms(&self) -> Option<f64> {
        let tasks = self.samples as f64 * f64::from(self.tasks_a_sample);
        self.throughput_per_s.filter(|rate| *rate > 0.0).map(|rate| 1e3 * tasks / rate)
    }

    /// Sequential stages of the scenario.
    #[must_use]
    pub fn stages(&self) -> Option<f64> {
        let (p50, stage) = self.latency_ms.p50.zip(self.stage_ms)?;
        (stage > 0.0).then(|| (p50 / stage).round())
    }

    /// How arrivals are spread: the mode's last word.
    fn arrivals(&self) -> &str {
        self.mode.rsplit(' ').next().unwrap_or(&self.mode)
    }
}
