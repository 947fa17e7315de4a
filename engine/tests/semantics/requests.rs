//! The routes that end, list, prune and draw tasks, and pause namespaces, as clients use and misuse
//! them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use reqwest::Method;
use serde_json::{Value, json};
use stepmark_engine::config::Broker;

use crate::client::{Answer, Client};
use crate::cluster::{Cluster, obedient, post};
use crate::support::{Database, Orchestrator};

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

const ONE: &str = "{namespace: n, name: one, steps: [{name: a, handler: work}]}";

const GRAPH: &str = "
namespace: n
name: graph
steps:
  - {name: which, type: decision, handler: choose, branches: [divide, plain]}
  - {name: plain, handler: work, depends_on: [which]}
  - {name: divide, type: batchable, handler: divide, depends_on: [which]}
  - {name: part, type: batch_worker, handler: work, depends_on: [divide]}
  - {name: join, type: deferred_convergence, handler: collect, depends_on: [plain, part]}
";

/// The methods and paths of the OpenAPI document, with a task and a namespace put in.
async fn operations(client: &Client) -> Vec<(Method, String)> {
    let document = client.get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{task_uuid}", NOBODY).replace("{namespace}", "n");
        for method in methods.as_object().unwrap().keys() {
            operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    operations
}

#[tokio::test]
async fn the_document_has_every_route_and_each_under_v1_needs_the_token() {
    let orchestrator = Orchestrator::start(&Database::migrated(), &["--token", "open sesame"]);
    let client = Client::of(&orchestrator);
    let operations = operations(&client).await;
    let known: BTreeSet<String> =
        operations.iter().map(|(method, path)| format!("{method} {path}")).collect();
    let of_task = |what: &str| format!("/v1/tasks/{NOBODY}{what}");
    let routes = [
        ("GET", "/healthz".to_owned()),
        ("GET", "/metrics".to_owned()),
        ("GET", "/readyz".to_owned()),
        ("GET", "/v1/namespaces".to_owned()),
        ("POST", "/v1/namespaces/n/pause".to_owned()),
        ("POST", "/v1/namespaces/n/resume".to_owned()),
        ("GET", "/v1/tasks".to_owned()),
        ("POST", "/v1/tasks".to_owned()),
        ("POST", "/v1/tasks/prune".to_owned()),
        ("GET", of_task("")),
        ("POST", of_task("/cancel")),
        ("GET", of_task("/graph")),
        ("POST", of_task("/redrive")),
        ("GET", of_task("/transitions")),
    ];
    let routes: BTreeSet<String> =
        routes.iter().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(known, routes);
    for (method, path) in operations.into_iter().filter(|(_, path)| path.starts_with("/v1")) {
        for header in [None, Some("Bearer open"), Some("Bearer open sesame ")] {
            let request = client.http.request(method.clone(), format!("{}{path}", client.url));
            let request = match header {
                Some(header) => request.header("authorization", header),
                None => request,
            };
            let status = Client::send(request).await.status;
            // A header's value ends where its spaces begin: the last one is the token itself.
            let served = header.is_some_and(|header| header.contains("sesame"));
            assert_eq!(status != 401, served, "{method} {path}: {status} with {header:?}");
        }
    }
}

async fn get(client: &Client, path: &str) -> Answer {
    client.get(path).await
}

#[tokio::test]
async fn wrong_ids_states_limits_and_names_are_told() {
    let cluster = Cluster::start(Broker::Pgmq, &[ONE], &[]);
    let client = &cluster.client;
    for what in ["cancel", "redrive"] {
        for id in ["nonsense", "00000000", "%27%20OR%201=1", "%ff", "%00"] {
            post(client, &format!("/v1/tasks/{id}/{what}"), None).await.problem(422);
        }
        post(client, &format!("/v1/tasks/{NOBODY}/{what}"), None).await.problem(404);
        get(client, &format!("/v1/tasks/{NOBODY}/{what}")).await.problem(405);
    }
    for id in ["nonsense", "%ff", "%00"] {
        get(client, &format!("/v1/tasks/{id}/graph")).await.problem(422);
    }
    get(client, &format!("/v1/tasks/{NOBODY}/graph")).await.problem(404);

    for query in [
        "state=complete",
        "state=",
        "state=%00",
        "state=Error&state=Error",
        "namespace=%00",
        "template=a%00b",
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=99999999999999999999",
        "limit=x",
        "after=x",
        "after=9223372036854775808",
        "before=1",
    ] {
        let answer = get(client, &format!("/v1/tasks?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
        answer.problem(422);
    }
    let long = format!("namespace={}", "x".repeat(20_000));
    for query in
        ["namespace=%ff", "namespace='; DROP TABLE tasks; --", "after=-9223372036854775808", &long]
    {
        let answer = get(client, &format!("/v1/tasks?{query}")).await;
        assert_eq!(answer.json(), json!({"tasks": [], "next": null}), "{query}");
    }
    for namespace in ["other", "N", "%00", "%ff", "'", "..%2f..", &"x".repeat(20_000)] {
        for what in ["pause", "resume"] {
            let path = format!("/v1/namespaces/{namespace}/{what}");
            let status = if namespace == "%ff" { 422 } else { 404 };
            let detail = post(client, &path, None).await.problem(status);
            assert!(detail.len() < 5_000, "{} bytes of detail", detail.len());
        }
    }
    get(client, "/v1/namespaces/n/pause").await.problem(405);
    let task = cluster.create("one", json!({})).await;
    let redriven = post(client, &format!("/v1/tasks/{task}/redrive"), None).await.problem(409);
    assert!(redriven.contains("StepsInProcess"), "{redriven}");
    assert_eq!(get(client, "/healthz").await.status, 200);
}

async fn post_text(client: &Client, path: &str, body: &str) -> Answer {
    let request = client.http.post(format!("{}{path}", client.url));
    Client::send(request.header("content-type", "application/json").body(body.to_owned())).await
}

#[tokio::test]
async fn bodies_that_are_none_are_refused_and_change_nothing() {
    let cluster = Cluster::start(Broker::Pgmq, &[ONE], &[]);
    let client = &cluster.client;
    let task = cluster.create("one", json!({})).await;
    let cancel = format!("/v1/tasks/{task}/cancel");
    for (body, status) in [
        ("{", 400),
        ("{} {}", 400),
        (r#"{"reason": "\u0000"}"#, 400),
        (r#"{"reason": "\ud83d"}"#, 400),
        (r#"{"reason": ""}"#, 422),
        (r#"{"reason": 1}"#, 422),
        (r#"{"why": "x"}"#, 422),
        ("\"x\"", 422),
        (&format!(r#"{{"reason": "{}"}}"#, "x".repeat(1001)), 422),
        (&format!(r#"{{"reason": "{}"}}"#, "x".repeat(2 << 20)), 413),
    ] {
        post_text(client, &cancel, body).await.problem(status);
    }
    let plain = client.http.post(format!("{}{cancel}", client.url)).body("reason=x");
    Client::send(plain).await.problem(415);
    for (body, status) in [
        ("", 400),
        ("{}", 422),
        (r#"{"older_than_ms": -1}"#, 422),
        (r#"{"older_than_ms": 1.5}"#, 422),
        (r#"{"older_than_ms": "1"}"#, 422),
        (r#"{"older_than_ms": 9223372036854775808}"#, 422),
        (r#"{"older_than_ms": 0, "limit": 0}"#, 422),
        (r#"{"older_than_ms": 0, "limit": 10001}"#, 422),
        (r#"{"older_than_ms": 0, "states": ["StepsInProcess"]}"#, 422),
        (r#"{"older_than_ms": 0, "states": ["Pending"]}"#, 422),
        (r#"{"older_than_ms": 0, "states": ["done"]}"#, 422),
        (r#"{"older_than_ms": 0, "states": "Complete"}"#, 422),
        (r#"{"older_than_ms": 0, "states": ["\u0000"]}"#, 400),
        (r#"{"older_than_ms": 0, "everything": true}"#, 422),
    ] {
        let answer = post_text(client, "/v1/tasks/prune", body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        answer.problem(status);
    }
    // Older than time itself: nothing is.
    for older_than_ms in [i64::MAX, 300_000_000_000_000, 9_000_000_000_000_000] {
        let body = json!({"older_than_ms": older_than_ms, "after": i64::MIN});
        let answer = post(client, "/v1/tasks/prune", Some(body)).await;
        assert_eq!(answer.status, 200, "{older_than_ms}: {}", answer.text);
        assert_eq!(answer.json()["pruned"], 0);
    }
    for fields in [
        json!({"priority": 10}),
        json!({"priority": -1}),
        json!({"priority": 99999}),
        json!({"delay_ms": 0}),
        json!({"delay_ms": i64::MAX}),
        json!({"deadline_ms": 0}),
        json!({"deadline_ms": -1}),
        json!({"deadline_ms": 1.5}),
    ] {
        let mut body = json!({"namespace": "n", "template": "one"});
        body.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
        client.post(&body).await.problem(422);
    }
    let task = client.get(&format!("/v1/tasks/{task}")).await.json();
    assert_eq!(task["state"], "StepsInProcess");
    let reason = json!({"reason": "ж".repeat(1000)});
    let answer = post(client, &cancel, Some(reason.clone())).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let path = cancel.replace("/cancel", "");
    assert_eq!(client.get(&path).await.json()["reason"], reason["reason"]);
    // Cancelled once: a second reason comes too late.
    assert_eq!(post(client, &cancel, Some(json!({"reason": "again"}))).await.status, 200);
    assert_eq!(client.get(&path).await.json()["reason"], reason["reason"]);
    cluster.audit_is_sound().await;
}

/// All pages of a list, in order.
async fn pages(client: &Client, query: &str, limit: usize) -> Vec<String> {
    let (mut tasks, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/tasks?limit={limit}{query}{after}");
        let page = client.get(&path).await.json();
        let listed = page["tasks"].as_array().unwrap();
        assert!(listed.len() <= limit, "{page}");
        tasks.extend(listed.iter().map(|it| it["task_uuid"].as_str().unwrap().to_owned()));
        if page["next"].is_null() {
            return tasks;
        }
        after = format!("&after={}", page["next"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_complete_and_repeat_nothing_while_tasks_are_created() {
    let elsewhere = ONE.replace("namespace: n", "namespace: m");
    let failing = "{namespace: n, name: failing, steps: [{name: a, handler: nobody}]}";
    let cluster = Cluster::start(Broker::Pgmq, &[ONE, &elsewhere, failing], &[]);
    let client = &cluster.client;
    let _worker = cluster.worker(obedient(), &[]);
    let mut by_kind: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for nr in 0..60 {
        let (kind, body) = match nr % 4 {
            0 => ("Complete", json!({"namespace": "n", "template": "one"})),
            1 => ("Error", json!({"namespace": "n", "template": "failing"})),
            2 => ("elsewhere", json!({"namespace": "m", "template": "one"})),
            _ => ("Pending", json!({"namespace": "n", "template": "one", "delay_ms": 900_000})),
        };
        by_kind.entry(kind).or_default().push(client.create(&body).await);
    }
    for (kind, tasks) in by_kind.iter().filter(|(kind, _)| ["Complete", "Error"].contains(kind)) {
        for task in tasks {
            cluster.ended(task, kind).await;
        }
    }
    for (query, kinds) in [
        ("&state=Complete", &["Complete"][..]),
        ("&state=Error", &["Error"]),
        ("&state=Error&namespace=m", &[]),
        ("&state=Pending&template=one", &["Pending"]),
        ("&state=Cancelled", &[]),
        ("&namespace=m", &["elsewhere"]),
        ("&template=failing", &["Error"]),
        ("&namespace=n&template=one", &["Complete", "Pending"]),
        ("", &["Complete", "Error", "Pending", "elsewhere"]),
    ] {
        let expected: BTreeSet<&String> = kinds.iter().flat_map(|kind| &by_kind[kind]).collect();
        for limit in [7, 15, 1000] {
            let listed = pages(client, query, limit).await;
            assert_eq!(listed.iter().collect::<BTreeSet<_>>(), expected, "{query} {limit}");
            assert_eq!(listed.len(), expected.len(), "{query} {limit}: repeated");
            // A task's id begins with the time of its request.
            assert!(listed.is_sorted_by(|a, b| a > b), "{query}: not the newest first");
        }
    }
    let all: Vec<String> = by_kind.into_values().flatten().collect();
    let creating = tokio::spawn({
        let client = client.clone();
        async move {
            for _ in 0..100 {
                client.create(&json!({"namespace": "m", "template": "one"})).await;
            }
        }
    });
    while !creating.is_finished() {
        let listed = pages(client, "", 9).await;
        let distinct: HashSet<&String> = listed.iter().collect();
        assert_eq!(distinct.len(), listed.len(), "repeated");
        assert!(all.iter().all(|task| distinct.contains(task)), "one is missing");
    }
    creating.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_has_the_templates_edges_and_those_made_at_run_time() {
    let cluster = Cluster::start(Broker::Pgmq, &[GRAPH], &[]);
    let context = json!({"which": ["divide", "plain"], "divide": 3});
    let task = cluster.create("graph", context).await;
    let path = format!("/v1/tasks/{task}/graph");
    let before = cluster.client.get(&path).await.json();
    let expected = [("which", vec![]), ("plain", vec!["which"]), ("divide", vec!["which"])];
    let mut expected: BTreeMap<&str, Vec<&str>> = expected.into_iter().collect();
    expected.insert("join", vec!["plain", "divide"]);
    assert_eq!(edges(&before), expected);

    let _worker = cluster.worker(obedient(), &[]);
    let ended = cluster.ended(&task, "Complete").await;
    let after = cluster.client.get(&path).await.json();
    for part in ["part_001", "part_002", "part_003"] {
        expected.insert(part, vec!["divide"]);
    }
    expected.insert("join", vec!["plain", "part_001", "part_002", "part_003"]);
    assert_eq!(edges(&after), expected);
    assert_eq!((&after["state"], &after["finished_at"]), (&ended["state"], &ended["finished_at"]));
    for (step, drawn) in
        ended["steps"].as_array().unwrap().iter().zip(after["steps"].as_array().unwrap())
    {
        for field in ["name", "type", "state", "attempts"] {
            assert_eq!(step[field], drawn[field], "{drawn}");
        }
        assert!(drawn["started_at"].as_str() < drawn["since"].as_str(), "{drawn}");
    }
}

/// The names of each step's parents, by its own.
fn edges(graph: &Value) -> BTreeMap<&str, Vec<&str>> {
    let steps = graph["steps"].as_array().unwrap();
    let name = |number: &Value| {
        let found = steps.iter().find(|it| it["step_no"] == *number).unwrap();
        found["name"].as_str().unwrap()
    };
    let edges = steps.iter().map(|step| {
        let parents = step["parents"].as_array().unwrap().iter().map(name).collect();
        (step["name"].as_str().unwrap(), parents)
    });
    edges.collect()
}
