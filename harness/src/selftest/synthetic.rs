//! A system whose latencies are known, because it makes them up: the API of an orchestrator, behind
//! which nothing is done but to wait. It has a thread and a runtime of its own, and keeps its own
//! record of how long each task really took.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

/// How the system behaves.
#[derive(Debug, Clone)]
pub(super) struct Behaviour {
    /// The median of a task's time, which is log-normal.
    pub median: Duration,
    /// The standard deviation of its logarithm.
    pub sigma: f64,
    /// It tells of an end only at multiples of this, from the task's beginning.
    pub poll: Option<Duration>,
    /// From the task of this number on, it stands still for so long: nothing ends in that time.
    pub stall: Option<(u64, Duration)>,
    /// The task of this number has a wrong result.
    pub wrong: Option<u64>,
}

/// The system, as long as it is kept.
pub(super) struct Synthetic {
    /// Its base URL.
    pub url: String,
    system: Arc<System>,
    /// Dropped, it ends.
    _stop: oneshot::Sender<()>,
}

struct System {
    behaviour: Behaviour,
    inner: Mutex<Inner>,
}

struct Inner {
    random: StdRng,
    begun: u64,
    stalled_until: Option<Instant>,
    tasks: HashMap<Uuid, Task>,
    took: Vec<Duration>,
}

#[derive(Clone, Copy)]
struct Task {
    number: u64,
    begun: Instant,
    ends: Instant,
}

impl Synthetic {
    /// Starts it.
    ///
    /// # Errors
    /// No port or thread is to be had.
    pub async fn start(behaviour: Behaviour) -> std::io::Result<Synthetic> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let inner = Inner {
            random: StdRng::seed_from_u64(1),
            begun: 0,
            stalled_until: None,
            tasks: HashMap::new(),
            took: Vec::new(),
        };
        let system = Arc::new(System { behaviour, inner: Mutex::new(inner) });
        let app = Router::new()
            .route("/v1/tasks", post(create))
            .route("/v1/tasks/{task_uuid}", get(tell))
            .with_state(Arc::clone(&system));
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("synthetic".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let serve = async {
                    // Else an answer may wait 40 ms for the acknowledgement of the one before.
                    let listener = TcpListener::from_std(listener)?.tap_io(|connection| {
                        if let Err(error) = connection.set_nodelay(true) {
                            tracing::debug!(%error, "TCP_NODELAY");
                        }
                    });
                    axum::serve(listener, app).await
                };
                tokio::select! {
                    served = serve => if let Err(error) = served {
                        tracing::error!(%error, "the synthetic system");
                    },
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Synthetic { url, system, _stop: stop })
    }

    /// How long each task has taken by its own record, from the request to the answer.
    pub fn took(&self) -> Vec<Duration> {
        self.system.lock().took.clone()
    }

    /// Forgets what it has recorded so far.
    pub fn forget(&self) {
        self.system.lock().took.clear();
    }
}

impl System {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // What a panic leaves behind is whole: each holder changes it in one step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a task, and decides when it ends.
    fn begin(&self) -> Uuid {
        let Behaviour { median, sigma, poll, stall, .. } = self.behaviour;
        let mut inner = self.lock();
        let (number, begun) = (inner.begun, Instant::now());
        inner.begun += 1;
        let took = median.mul_f64((sigma * normal(&mut inner.random)).exp());
        let mut ends = begun + took;
        if let Some(poll) = poll {
            let polls = (took.as_secs_f64() / poll.as_secs_f64()).ceil();
            ends = begun + poll.mul_f64(polls);
        }
        if let Some((at, length)) = stall
            && at == number
        {
            inner.stalled_until = Some(begun + length);
        }
        ends = inner.stalled_until.map_or(ends, |until| ends.max(until));
        let task_uuid = Uuid::new_v4();
        inner.tasks.insert(task_uuid, Task { number, begun, ends });
        task_uuid
    }

    fn end(&self, task_uuid: &Uuid) -> Value {
        let mut inner = self.lock();
        let task = inner.tasks.remove(task_uuid);
        inner.took.extend(task.map(|task| task.begun.elapsed()));
        let is_wrong = task.is_some_and(|task| self.behaviour.wrong == Some(task.number));
        let value = if is_wrong { "41" } else { "42" };
        json!([{"name": "wait", "state": "Complete", "result": {"value": value}}])
    }
}

async fn create(State(system): State<Arc<System>>) -> Json<Value> {
    Json(json!({"task_uuid": system.begin(), "state": "StepsInProcess"}))
}

async fn tell(State(system): State<Arc<System>>, Path(task_uuid): Path<Uuid>) -> Json<Value> {
    let ends = system.lock().tasks.get(&task_uuid).map(|task| task.ends);
    if let Some(ends) = ends {
        sleep_until(ends).await;
    }
    // A stall that began in the meantime holds it too.
    let stalled_until = system.lock().stalled_until;
    if let Some(until) = stalled_until {
        sleep_until(until).await;
    }
    let steps = system.end(&task_uuid);
    Json(json!({"task_uuid": task_uuid, "state": "Complete", "steps": steps}))
}

/// About normal: the sum of twelve uniform numbers (the central limit theorem; its tails end at 6).
fn normal(random: &mut StdRng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}
