//! Tasks that are played: each step's times drawn, and the critical path found.

use serde_json::{Value, json};

use super::shapes::Shape;

/// Numbers from a fixed generator (Knuth's MMIX): the same on every machine.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// Uniform, from 0 to 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About `ms`, sometimes much more.
    pub fn about(&mut self, ms: f64) -> f64 {
        let bell: f64 = (0..6).map(|_| self.uniform()).sum::<f64>() / 3.0;
        let tail = if self.uniform() < 0.03 { 1.0 + 4.0 * self.uniform() } else { 1.0 };
        ms * (0.75 + 0.25 * bell) * tail
    }
}

/// What the parts of a task take, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub create: f64,
    pub claim: f64,
    pub handler: f64,
    pub process: f64,
    pub retry: f64,
    pub next: f64,
    pub notify: f64,
}

/// A stretch of a task's time.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    pub step: Option<usize>,
    pub segment: &'static str,
    pub from: f64,
    pub to: f64,
    pub on_path: bool,
}

#[derive(Debug, Clone)]
pub struct Task {
    pub stretches: Vec<Stretch>,
    pub latency: f64,
}

pub const SEGMENTS: [&str; 7] = [
    "create",
    "enqueue → claim",
    "handler",
    "result → processed",
    "wait for retry",
    "next enqueue",
    "notify",
];

/// Plays a task: a step is enqueued when the last of its parents has been processed.
pub fn play(shape: &Shape, pace: Pace, draw: &mut Draw) -> Task {
    let no_of = |name: &str| shape.steps.iter().position(|(step, _)| *step == name);
    let created = draw.about(pace.create);
    let mut stretches =
        vec![Stretch { step: None, segment: "create", from: 0.0, to: created, on_path: true }];
    let mut ends: Vec<f64> = Vec::new();
    let mut waited_for = Vec::new();
    for (no, (_, parents)) in shape.steps.iter().enumerate() {
        let last = parents.iter().filter_map(|name| no_of(name));
        let last = last.max_by(|a, b| ends[*a].total_cmp(&ends[*b]));
        let mut now = last.map_or(created, |parent: usize| ends[parent]);
        let mut go = |segment, ms: f64| {
            let to = now + ms;
            stretches.push(Stretch { step: Some(no), segment, from: now, to, on_path: false });
            now = to;
        };
        if last.is_some() {
            go("next enqueue", draw.about(pace.next));
        }
        go("enqueue → claim", draw.about(pace.claim));
        if pace.retry > 0.0 && no == 1 {
            go("handler", draw.about(pace.handler));
            go("wait for retry", draw.about(pace.retry));
            go("enqueue → claim", draw.about(pace.claim));
        }
        go("handler", draw.about(pace.handler));
        go("result → processed", draw.about(pace.process));
        ends.push(now);
        waited_for.push(last);
    }
    let mut on_path = ends.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|it| it.0);
    let end = on_path.map_or(created, |no| ends[no]);
    while let Some(no) = on_path {
        stretches.iter_mut().filter(|it| it.step == Some(no)).for_each(|it| it.on_path = true);
        on_path = waited_for[no];
    }
    let latency = end + draw.about(pace.notify);
    stretches.push(Stretch {
        step: None,
        segment: "notify",
        from: end,
        to: latency,
        on_path: true,
    });
    Task { stretches, latency }
}

/// To the microsecond, as the recorder has it.
pub fn rounded(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// The value at a quantile, by nearest rank.
pub fn at(sorted: &[f64], quantile: f64) -> f64 {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Where the time of these tasks went, as a report has it.
pub fn breakdown(shape: &Shape, tasks: &[Task]) -> Value {
    let all: f64 = tasks.iter().map(|task| task.latency).sum();
    let segments = SEGMENTS.iter().filter_map(|segment| {
        let of = |task: &Task| -> f64 {
            let its = task.stretches.iter().filter(|it| it.on_path && it.segment == *segment);
            its.map(|it| it.to - it.from).sum()
        };
        let times = sorted(tasks.iter().map(of).collect());
        let sum: f64 = times.iter().sum();
        (sum > 0.0).then(|| {
            json!({"segment": segment, "p50_ms": rounded(at(&times, 0.5)),
                   "p95_ms": rounded(at(&times, 0.95)), "share": sum / all})
        })
    });
    let steps = shape.steps.iter().enumerate().map(|(no, (step, parents))| {
        let its = |task: &Task, segment: &str| -> f64 {
            let its = task.stretches.iter();
            let its = its.filter(|it| it.step == Some(no) && it.segment == segment);
            its.map(|it| it.to - it.from).sum()
        };
        let median = |segment: &str| {
            rounded(at(&sorted(tasks.iter().map(|task| its(task, segment)).collect()), 0.5))
        };
        let claim = |task: &Task| {
            let claims = task.stretches.iter();
            let mut claims = claims.filter(|it| it.segment == "enqueue → claim");
            claims.find(|it| it.step == Some(no)).map_or(0.0, |it| it.from)
        };
        let on_path =
            |task: &&Task| task.stretches.iter().any(|it| it.step == Some(no) && it.on_path);
        let share = tasks.iter().filter(on_path).count() as f64 / tasks.len() as f64;
        json!({
            "step": step, "parents": parents, "tasks": tasks.len(), "on_path": share,
            "enqueued_ms": rounded(at(&sorted(tasks.iter().map(claim).collect()), 0.5)),
            "claim_ms": median("enqueue → claim"), "handler_ms": median("handler"),
            "process_ms": median("result → processed"),
        })
    });
    let (segments, steps): (Vec<Value>, Vec<Value>) = (segments.collect(), steps.collect());
    let waterfalls = [waterfall(shape, tasks, "P50", 0.5), waterfall(shape, tasks, "P99", 0.99)];
    json!({"tasks": tasks.len(), "sums_within_2_percent": 0.998, "segments": segments,
           "steps": steps, "waterfalls": waterfalls})
}

fn waterfall(shape: &Shape, tasks: &[Task], of: &str, quantile: f64) -> Value {
    let latency = at(&sorted(tasks.iter().map(|task| task.latency).collect()), quantile);
    let Some(task) = tasks.iter().find(|task| task.latency == latency) else { return Value::Null };
    let bars = task.stretches.iter().map(|it| {
        json!({"step": it.step.map(|no| shape.steps[no].0), "segment": it.segment,
               "from_ms": rounded(it.from), "to_ms": rounded(it.to), "on_path": it.on_path})
    });
    json!({"of": of, "latency_ms": rounded(latency), "bars": bars.collect::<Vec<_>>()})
}
