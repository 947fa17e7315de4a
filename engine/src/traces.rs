//! OpenTelemetry traces, where `--otlp-endpoint` asks for them: one trace a task.
//!
//! Messages carry nothing of it, because every process can name what it has not seen. The trace's
//! id is the task's UUID. Its root, the span of whoever asked for the task, has the UUID's last
//! eight bytes as its id, and the span of an attempt at a step the first eight of SHA-256 over
//! `TASK_UUID/STEP_NUMBER/ATTEMPT`; a redrive counts attempts anew, so that spans of theirs then
//! have the ids of those before. All other ids are random.
//!
//! | span | below | written by | from | to |
//! |---|---|---|---|---|
//! | `create` | the root | orchestrator | the statement | the task's commit, its messages sent |
//! | `step NAME` | the root | orchestrator | Enqueued | its outcome is processed |
//! | `queue` | the step | orchestrator | Enqueued | InProgress: with the broker, by the audit |
//! | `claim` | the step | worker | the statement | its rows are there |
//! | `handler` | the step | worker | the handler's begin | its outcome |
//! | `complete` | the step | worker | the outcome | it is stored, its message sent |
//! | `process` | the step | orchestrator | the statement | its commit, its messages sent |
//!
//! Nothing of it is on a task's way: spans are written when what they are about is over, a worker's
//! when the outcome is stored. A step that a sweep ends, or a cancel, has no `step` and no `queue`;
//! a handler that comes to no outcome has no span.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::config::{Broker, EngineConfig, VERSION};
use crate::messaging::StepId;

/// How long the receiver may take for a batch.
const EXPORT_MAX: Duration = Duration::from_secs(2);

/// How long a program that ends waits for its last spans to be received.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Spans that may wait to be sent; more are dropped, and counted in the log.
const WAITING_MAX: usize = 1 << 14;

/// The session setting by which PostgreSQL is asked for what spans of processing need.
pub const SETTING: (&str, &str) = ("stepmark.traces", "on");

/// The way of spans out of this process. Without an endpoint there is none, and nothing is done.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Exporter>>);

#[derive(Debug)]
struct Exporter {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    broker: Broker,
    queue_prefix: String,
}

/// An attempt at a step, with the parts of it that are over at a worker.
#[derive(Debug, Clone)]
pub struct Attempt {
    task_uuid: Uuid,
    step_id: StepId,
    attempt: i32,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    name: &'static str,
    begun: Instant,
    ended: Instant,
    error: Option<String>,
}

/// The ids of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    trace_id: TraceId,
    span_id: SpanId,
}

/// A step whose outcome was processed, as `process_completions` tells of it.
#[derive(Debug, serde::Deserialize)]
pub struct Processed {
    task_uuid: Uuid,
    step_id: StepId,
    namespace: String,
    name: String,
    attempt: i32,
    /// What the outcome says, if it is a failure.
    error: Option<String>,
    /// When it became Enqueued, in microseconds of Unix time by PostgreSQL's clock.
    enqueued_us: u64,
    /// When it became InProgress, likewise.
    claimed_us: u64,
}

/// A span without what all have in common.
struct Span {
    ids: Ids,
    parent: SpanId,
    name: String,
    kind: SpanKind,
    begun: SystemTime,
    ended: SystemTime,
    error: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Traces {
    /// Starts the thread that sends spans, if the configuration asks for it. It neither waits for
    /// the receiver nor fails without it.
    ///
    /// # Errors
    /// The endpoint is no URL.
    pub fn start(config: &EngineConfig, service: &'static str) -> Result<Self, ExporterBuildError> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(Self(None));
        };
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(EXPORT_MAX)
            .build()?;
        let limits = BatchConfigBuilder::default().with_max_queue_size(WAITING_MAX).build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(limits).build();
        processor.set_resource(
            &Resource::builder()
                .with_service_name(service)
                .with_attribute(KeyValue::new("service.instance.id", config.instance.clone()))
                .with_attribute(KeyValue::new("service.version", VERSION))
                .build(),
        );
        let scope = InstrumentationScope::builder("stepmark").build();
        let (broker, queue_prefix) = (config.broker, config.queue_prefix.clone());
        Ok(Self(Some(Arc::new(Exporter { processor, scope, broker, queue_prefix }))))
    }

    /// An attempt whose claim was begun then, and is over; nothing when there are no traces.
    #[must_use]
    pub fn claimed(
        &self,
        task_uuid: Uuid,
        step_id: StepId,
        attempt: i32,
        since: Instant,
    ) -> Option<Attempt> {
        self.0.as_ref()?;
        let mut claimed = Attempt { task_uuid, step_id, attempt, parts: Vec::with_capacity(2) };
        claimed.part("claim", since, None);
        Some(claimed)
    }

    /// These tasks have been created, in what was begun then.
    pub fn created(&self, task_uuids: impl Iterator<Item = Uuid>, since: Instant) {
        let Some(exporter) = &self.0 else { return };
        let (begun, ended) = (system_time(since), SystemTime::now());
        for task_uuid in task_uuids {
            let (trace_id, parent) = (trace_id(task_uuid), root_id(task_uuid));
            let ids = Ids { trace_id, span_id: random_id() };
            let (name, kind) = ("create".to_owned(), SpanKind::Server);
            let (error, attributes) = (None, Vec::new());
            exporter.end(Span { ids, parent, name, kind, begun, ended, error, attributes });
        }
    }

    /// The outcome of an attempt is stored, which was begun then.
    pub fn completed(&self, attempt: Option<&Attempt>, since: Instant) {
        let Some((exporter, attempt)) = self.0.as_ref().zip(attempt) else { return };
        let Attempt { task_uuid, step_id, attempt, parts } = attempt;
        let step = Ids::of_attempt(*task_uuid, *step_id, *attempt);
        for part in parts {
            let (begun, ended) = (system_time(part.begun), system_time(part.ended));
            exporter.end(Span { error: part.error.clone(), ..step.part(part.name, begun, ended) });
        }
        exporter.end(step.part("complete", system_time(since), SystemTime::now()));
    }

    /// The outcomes of these steps have been processed, in what was begun then.
    pub fn processed(&self, steps: Vec<Processed>, since: Instant) {
        let Some(exporter) = &self.0 else { return };
        let (begun, ended) = (system_time(since), SystemTime::now());
        for step in steps {
            let ids = Ids::of_attempt(step.task_uuid, step.step_id, step.attempt);
            let (enqueued, claimed) = (unix(step.enqueued_us), unix(step.claimed_us));
            let (system, queue) = match exporter.broker {
                Broker::Pgmq => ("pgmq", "stepmark_dispatch".to_owned()),
                Broker::Rabbitmq => {
                    ("rabbitmq", format!("{}dispatch.{}", exporter.queue_prefix, step.namespace))
                }
            };
            exporter.end(ids.part("process", begun, ended));
            exporter.end(Span {
                kind: SpanKind::Consumer,
                // https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
                attributes: vec![
                    KeyValue::new("messaging.system", system),
                    KeyValue::new("messaging.destination.name", queue),
                    KeyValue::new("messaging.operation.name", "receive"),
                    KeyValue::new("messaging.operation.type", "receive"),
                ],
                ..ids.part("queue", enqueued, claimed)
            });
            exporter.end(Span {
                ids,
                parent: root_id(step.task_uuid),
                name: format!("step {}", step.name),
                kind: SpanKind::Internal,
                begun: enqueued,
                ended,
                error: step.error,
                attributes: vec![
                    KeyValue::new("stepmark.namespace", step.namespace),
                    KeyValue::new("stepmark.attempt", i64::from(step.attempt)),
                ],
            });
        }
    }

    /// Sends what is left, within 3 s; what the receiver doesn't take by then is lost.
    pub async fn close(self) {
        if let Some(exporter) = self.0 {
            let flush = move || exporter.processor.shutdown_with_timeout(FLUSH_MAX);
            let _ = tokio::task::spawn_blocking(flush).await; // the SDK has logged what is lost
        }
    }
}

impl Exporter {
    /// Never waits: a span for which there is no room is dropped.
    fn end(&self, span: Span) {
        let Ids { trace_id, span_id } = span.ids;
        let (flags, state) = (TraceFlags::SAMPLED, TraceState::default());
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(trace_id, span_id, flags, false, state),
            parent_span_id: span.parent,
            parent_span_is_remote: true,
            span_kind: span.kind,
            name: span.name.into(),
            start_time: span.begun,
            end_time: span.ended,
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }
}

impl Attempt {
    /// A part of it is over that was begun then; the error is that of its outcome.
    pub fn part(&mut self, name: &'static str, since: Instant, error: Option<String>) {
        self.parts.push(Part { name, begun: since, ended: Instant::now(), error });
    }
}

impl Ids {
    fn of_attempt(task_uuid: Uuid, step_id: StepId, attempt: i32) -> Self {
        let name = format!("{task_uuid}/{}/{attempt}", step_id.step_no());
        Self { trace_id: trace_id(task_uuid), span_id: first_id(&Sha256::digest(name)) }
    }

    /// A span below.
    fn part(self, name: &str, begun: SystemTime, ended: SystemTime) -> Span {
        Span {
            ids: Self { span_id: random_id(), ..self },
            parent: self.span_id,
            name: name.to_owned(),
            kind: SpanKind::Internal,
            begun,
            ended,
            error: None,
            attributes: Vec::new(),
        }
    }
}

fn trace_id(task_uuid: Uuid) -> TraceId {
    TraceId::from_bytes(task_uuid.into_bytes())
}

fn root_id(task_uuid: Uuid) -> SpanId {
    first_id(&task_uuid.as_bytes()[8..])
}

fn first_id(bytes: &[u8]) -> SpanId {
    SpanId::from_bytes(*bytes.first_chunk().expect("there are eight and more"))
}

fn random_id() -> SpanId {
    SpanId::from_bytes(rand::random_range(1..=u64::MAX).to_be_bytes()) // zero is none
}

fn system_time(at: Instant) -> SystemTime {
    SystemTime::now() - at.elapsed()
}

fn unix(us: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybody_can_name_a_trace_its_root_and_an_attempt() {
        let task_uuid = Uuid::from_u128(0x0190_1111_2222_7333_8444_5555_6666_7777);
        assert_eq!(trace_id(task_uuid).to_string(), "01901111222273338444555566667777");
        assert_eq!(root_id(task_uuid).to_string(), "8444555566667777");
        let attempt = Ids::of_attempt(task_uuid, StepId::new(9, 2), 1);
        assert_eq!(attempt.span_id.to_string(), "9db67d535fb88ec6");
        assert_ne!(attempt, Ids::of_attempt(task_uuid, StepId::new(9, 2), 2));
    }
}
