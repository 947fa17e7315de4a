//! What clients send by mistake or malice: each is told what is wrong, and the process lives.

use serde_json::json;

use crate::client::Client;
use crate::support::{Database, Orchestrator};

/// A request with this context, as text.
fn with_context(context: &str) -> String {
    format!(
        r#"{{"namespace": "rust_e2e_linear", "template": "mathematical_sequence",
            "context": {context}}}"#
    )
}

fn orchestrator() -> (Orchestrator, Client) {
    let orchestrator = Orchestrator::start(&Database::migrated(), &[]);
    let client = Client::of(&orchestrator);
    (orchestrator, client)
}

async fn still_works(client: &Client) {
    assert_eq!(client.get("/healthz").await.status, 200);
    assert_eq!(client.get("/readyz").await.status, 200);
    assert_eq!(client.post_text(with_context("{}")).await.status, 201);
}

#[tokio::test]
async fn an_unknown_template_is_answered_with_those_there_are() {
    let (_orchestrator, client) = orchestrator();
    let body = json!({"namespace": "rust_e2e_linear", "template": "sequence"});
    let detail = client.post(&body).await.problem(404);
    assert!(detail.contains("\"sequence\""), "{detail}");
    assert!(detail.contains("rust_e2e_diamond/diamond_pattern"), "{detail}");
    let body = json!({"namespace": "rust_e2e_linear", "template": "mathematical_sequence",
        "version": 7});
    let detail = client.post(&body).await.problem(404);
    assert!(detail.contains("no version 7; there is 1"), "{detail}");
    still_works(&client).await;
}

#[tokio::test]
async fn a_hostile_namespace_is_only_a_name_that_is_not_there() {
    let (_orchestrator, client) = orchestrator();
    let long = "x".repeat(500_000);
    for namespace in
        ["'; DROP TABLE tasks; --", "../../etc/passwd", "RUST_E2E_LINEAR", "", "ж", "a b", &long]
    {
        let body = json!({"namespace": namespace, "template": "mathematical_sequence"});
        let detail = client.post(&body).await.problem(404);
        assert!(detail.len() < 5_000, "{} bytes of detail", detail.len());
    }
    let field = format!(r#"{{"{long}": 1}}"#);
    let detail = client.post_text(field).await.problem(422);
    assert!(detail.len() < 5_000, "{} bytes of detail", detail.len());
    still_works(&client).await;
}

#[tokio::test]
async fn what_is_not_json_or_cannot_be_kept_is_refused_with_the_place() {
    let (_orchestrator, client) = orchestrator();
    let deep = |depth: usize| {
        with_context(&format!(r#"{{"a": {}{}}}"#, "[".repeat(depth), "]".repeat(depth)))
    };
    for (body, says) in [
        ("".to_owned(), "EOF"),
        ("{".to_owned(), "line 1 column 1"),
        ("template".to_owned(), "line 1"),
        (format!("{} x", with_context("{}")), "trailing"),
        (with_context("{,}"), "line 2"),
        (with_context("{'a': 1}"), "line 2"),
        (with_context("{\"a\": NaN}"), "line 2"),
        (with_context("{\"a\": 01}"), "line 2"),
        (deep(64), "64 levels"),
        (deep(200_000), "64 levels"),
        (with_context(r#"{"a": "\u0000"}"#), "\\u0000"),
        (with_context(r#"{"\u0000": 1}"#), "\\u0000"),
        (with_context(r#"{"a": "\ud83d"}"#), "surrogate"),
        (with_context(r#"{"a": "\ude00\ud83d"}"#), "surrogate"),
        (
            r#"{"namespace": "n", "template": "t", "idempotency_key": "\u0000"}"#.to_owned(),
            "\\u0000",
        ),
    ] {
        let shown: String = body.chars().take(200).collect();
        let answer = client.post_text(body).await;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text);
        let detail = answer.problem(400);
        assert!(detail.contains(says), "{shown}: {detail}");
    }
    let detail = client.post_text(b"{\"a\": \"\xff\"}".to_vec()).await.problem(400);
    assert!(detail.contains("UTF-8"), "{detail}");
    still_works(&client).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whatever_its_size() {
    let (_orchestrator, client) = orchestrator();
    for bytes in [1 << 20, 3 << 20, 12 << 20] {
        let body = with_context(&format!(r#"{{"a": "{}"}}"#, "x".repeat(bytes)));
        let detail = client.post_text(body).await.problem(413);
        assert!(detail.contains("STEPMARK_BODY_BYTES_MAX"), "{detail}");
    }
    let fits = with_context(&format!(r#"{{"a": "{}"}}"#, "x".repeat(1_000_000)));
    assert_eq!(client.post_text(fits).await.status, 201);
    still_works(&client).await;
}

#[tokio::test]
async fn wrong_missing_and_unknown_fields_are_named() {
    let (_orchestrator, client) = orchestrator();
    let names = r#""namespace": "n", "template": "t""#;
    for (body, says) in [
        ("{}".to_owned(), "namespace"),
        (r#"{"namespace": "n"}"#.to_owned(), "template"),
        (format!("{{{names}, \"contxt\": {{}}}}"), "contxt"),
        (format!("{{{names}, \"version\": \"1\"}}"), "i32"),
        (format!("{{{names}, \"version\": 1.5}}"), "i32"),
        (format!("{{{names}, \"version\": 99999999999}}"), "i32"),
        (format!("{{{names}, \"context\": []}}"), "context must be a JSON object"),
        (format!("{{{names}, \"context\": \"x\"}}"), "context must be a JSON object"),
        (format!("{{{names}, \"idempotency_key\": 1}}"), "string"),
        (format!("{{{names}, \"idempotency_key\": \"\"}}"), "idempotency_key must have"),
        (format!("{{{names}, \"idempotency_key\": \"{}\"}}", "k".repeat(256)), "255"),
        (format!("{{{names}, \"template\": \"u\"}}"), "duplicate field"),
        (r#"{"namespace": 1, "template": "t"}"#.to_owned(), "string"),
        (r#"["n", "t"]"#.to_owned(), ""),
        ("null".to_owned(), ""),
    ] {
        let answer = client.post_text(body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        let detail = answer.problem(422);
        assert!(detail.contains(says), "{body}: {detail}");
    }
    still_works(&client).await;
}

#[tokio::test]
async fn numbers_are_kept_to_the_last_digit_and_what_no_number_can_hold_is_refused() {
    let (_orchestrator, client) = orchestrator();
    let digits = "1234567890".repeat(30);
    let context = format!(r#"{{"big": {digits}, "small": -0.{digits}, "wide": 1e400}}"#);
    let created = client.post_text(with_context(&context)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = format!("/v1/tasks/{}", created.json()["task_uuid"].as_str().unwrap());
    let text = client.get(&path).await.text;
    assert!(text.contains(&digits), "{text}");
    assert!(text.contains(&format!("-0.{digits}")), "{text}");
    assert!(text.contains(&format!("1{}", "0".repeat(400))), "{text}");

    let detail = client.post_text(with_context(r#"{"a": 1e999999}"#)).await.problem(422);
    assert!(detail.contains("context can't be stored"), "{detail}");
    still_works(&client).await;
}

#[tokio::test]
async fn wrong_ids_waits_types_methods_and_paths_are_told() {
    let (_orchestrator, client) = orchestrator();
    let nobody = "/v1/tasks/00000000-0000-0000-0000-000000000000";
    assert!(client.get(nobody).await.problem(404).contains("00000000"));
    assert!(client.get(&format!("{nobody}?wait=5")).await.problem(404).contains("00000000"));
    client.get(&format!("{nobody}/transitions")).await.problem(404);
    for id in ["nonsense", "00000000", "%27%20OR%201=1", "%ff", "%00"] {
        client.get(&format!("/v1/tasks/{id}")).await.problem(422);
        client.get(&format!("/v1/tasks/{id}/transitions")).await.problem(422);
    }
    for query in
        ["wait=-1", "wait=301", "wait=1e400", "wait=NaN", "wait=inf", "wait=x", "wait=", "wat=1"]
    {
        client.get(&format!("{nobody}?{query}")).await.problem(422);
    }
    let tasks = format!("{}/v1/tasks", client.url);
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let request = client.http.post(&tasks).body(with_context("{}"));
        let request = match content_type {
            Some(value) => request.header("content-type", value),
            None => request,
        };
        let detail = Client::send(request).await.problem(415);
        assert!(detail.contains("application/json"), "{detail}");
    }
    for request in [
        client.http.delete(format!("{}{nobody}", client.url)),
        client.http.put(&tasks),
        client.http.post(format!("{}/healthz", client.url)),
    ] {
        Client::send(request).await.problem(405);
    }
    for path in ["/", "/v1", "/v2/tasks", "/v1/tasks/", "/v1/tasks/a/b/c", "/%00"] {
        client.get(path).await.problem(404);
    }
    still_works(&client).await;
}
