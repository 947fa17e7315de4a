//! One trace out of many, in OTLP's JSON. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A span of the client's side, in OTLP's numbers.
const KIND_CLIENT: u8 = 3;

/// The task at the median of those that began after `from_us`.
pub(super) fn at_median(
    tasks: &BTreeMap<String, (i64, i64)>,
    from_us: i64,
) -> Option<(&str, (i64, i64))> {
    let whole = tasks.iter().filter(|(_, (begun_us, _))| *begun_us > from_us);
    let mut whole: Vec<_> =
        whole.map(|(task_uuid, clocks)| (task_uuid.as_str(), *clocks)).collect();
    whole.sort_by_key(|(_, (begun_us, ended_us))| ended_us - begun_us);
    whole.get(whole.len().saturating_sub(1) / 2).copied()
}

/// What these requests hold of a task's trace, below the client's own span; nothing when they hold
/// none of it. As engine/src/traces.rs has it, the task's UUID is the trace's id, and its last
/// eight bytes are the root's.
pub(super) fn trace<'b>(
    task_uuid: &str,
    (begun_us, ended_us): (i64, i64),
    requests: impl Iterator<Item = &'b [u8]>,
) -> Option<Value> {
    let trace_id = task_uuid.replace('-', "");
    let requests = requests.filter_map(|body| serde_json::from_slice::<Value>(body).ok());
    let mut resources: Vec<Value> = requests.flat_map(|body| of(&body, &trace_id)).collect();
    if resources.is_empty() {
        return None;
    }
    let service = json!({"key": "service.name", "value": {"stringValue": "stepmark-client"}});
    let root = json!({
        "traceId": trace_id,
        "spanId": trace_id.get(16..)?,
        "name": "task",
        "kind": KIND_CLIENT,
        "startTimeUnixNano": format!("{begun_us}000"),
        "endTimeUnixNano": format!("{ended_us}000"),
    });
    resources.insert(
        0,
        json!({
            "resource": {"attributes": [service]},
            "scopeSpans": [{"scope": {"name": "stepmark"}, "spans": [root]}],
        }),
    );
    Some(json!({"resourceSpans": resources}))
}

/// A request's resources, with the spans of this trace alone; without those that have none.
fn of(request: &Value, trace_id: &str) -> Vec<Value> {
    let keep = |list: &mut Value, keep: &mut dyn FnMut(&mut Value) -> bool| {
        let Some(list) = list.as_array_mut() else { return false };
        list.retain_mut(keep);
        !list.is_empty()
    };
    let mut resources = request["resourceSpans"].clone();
    keep(&mut resources, &mut |resource| {
        keep(&mut resource["scopeSpans"], &mut |scope| {
            keep(&mut scope["spans"], &mut |span| span["traceId"] == trace_id)
        })
    });
    match resources {
        Value::Array(resources) => resources,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TASK: &str = "01901111-2222-7333-8444-555566667777";
    const TRACE: &str = "01901111222273338444555566667777";

    #[test]
    fn the_task_at_the_median_is_one_whose_spans_are_all_there() {
        let clocks = [("a", (10, 11)), ("b", (20, 29)), ("c", (30, 33)), ("d", (40, 45))];
        let tasks = clocks.map(|(task, clocks)| (task.to_owned(), clocks)).into();
        assert_eq!(at_median(&tasks, 0), Some(("c", (30, 33))));
        assert_eq!(at_median(&tasks, 10), Some(("d", (40, 45))));
        assert_eq!(at_median(&tasks, 40), None);
    }

    #[test]
    fn a_trace_has_its_own_spans_and_the_clients_as_their_root() {
        let span = |trace: &str, name: &str| json!({"traceId": trace, "name": name});
        let request = |spans: Vec<Value>| {
            let scopes = json!([{"scope": {}, "spans": spans}]);
            json!({"resourceSpans": [{"resource": {}, "scopeSpans": scopes}]}).to_string()
        };
        let other = "00000000222273338444555566667777";
        let requests = [
            request(vec![span(TRACE, "create"), span(other, "create")]),
            request(vec![span(other, "claim")]),
            "no JSON".to_owned(),
            request(vec![span(other, "queue"), span(TRACE, "claim")]),
        ];
        let found = trace(TASK, (5, 9), requests.iter().map(String::as_bytes)).unwrap();
        let spans: Vec<&Value> = found["resourceSpans"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|resource| resource["scopeSpans"][0]["spans"].as_array().unwrap())
            .collect();
        let names: Vec<&Value> = spans.iter().map(|span| &span["name"]).collect();
        assert_eq!(names, ["task", "create", "claim"]);
        assert_eq!(
            (&spans[0]["spanId"], &spans[0]["traceId"]),
            (&json!(TRACE[16..]), &json!(TRACE))
        );
        assert_eq!(spans[0]["startTimeUnixNano"], "5000");
        let none = request(vec![span(other, "create")]);
        assert!(trace(TASK, (5, 9), [none.as_bytes()].into_iter()).is_none());
    }
}
