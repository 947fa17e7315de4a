//! What a handler returns and raises.

use serde_json::{Value, json};

use crate::cluster::{states, step};
use crate::process::{Language, Workers, cluster, create};

crate::in_every_language!(
    what_a_handler_raises_is_told_with_its_class_and_stack,
    what_can_t_be_a_result_fails_the_step_and_says_why,
    retries_checkpoints_and_the_log_arrive,
    decisions_and_batches_are_made,
);

const ONCE: &str = ", retry: {max_attempts: 1}";
const TWICE: &str = ", retry: {max_attempts: 2, backoff_initial_ms: 1, backoff_max_ms: 1}";

async fn what_a_handler_raises_is_told_with_its_class_and_stack(language: Language) {
    let templates = [("raise", TWICE), ("fail", TWICE), ("system_exit", ONCE), ("nobody", ONCE)];
    let cluster = cluster(language, &templates, &[]);
    let workers = Workers::start(language, &cluster, &[]);
    let failed = async |template| {
        let task = create(&cluster, language, template, json!({})).await;
        let task = cluster.ended(&task, "Error").await;
        step(&task, "only").clone()
    };
    let raised = failed("raise").await;
    assert_eq!(raised["attempts"], 2);
    let error = &raised["error"];
    assert_eq!((&error["kind"], &error["message"]), (&json!("handler"), &json!("no luck")));
    assert_eq!(error["exception"], language.exception());
    assert!(error["stack"].as_str().unwrap().contains("faults."), "{error}");
    let failed_for_good = failed("fail").await;
    assert_eq!(failed_for_good["attempts"], 1);
    assert_eq!(failed_for_good["error"]["message"], "bad input");
    let exited = failed("system_exit").await;
    assert!(!exited["error"]["message"].as_str().unwrap().is_empty(), "{exited}");
    let missing = failed("nobody").await;
    assert!(missing["error"]["message"].as_str().unwrap().contains("no handler"), "{missing}");
    assert_eq!(workers.drain().await, "exit status: 0");
    assert_eq!(workers.ends().len(), 1, "{}", workers.log());
    cluster.audit_is_sound().await;
}

async fn what_can_t_be_a_result_fails_the_step_and_says_why(language: Language) {
    let templates = [("not_json", TWICE), ("big", TWICE), ("big_integer", TWICE), ("echo", ONCE)];
    let cluster = cluster(language, &templates, &[]);
    let workers = Workers::start(language, &cluster, &[]);
    for (template, why) in
        [("not_json", "JSON"), ("big", "the limit is 1048576"), ("big_integer", "beyond 2^53")]
    {
        let task = create(&cluster, language, template, json!({})).await;
        let task = cluster.ended(&task, "Error").await;
        let only = step(&task, "only");
        // It would be the same again.
        assert_eq!(only["attempts"], 1, "{only}");
        let message = only["error"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{template}: {message}");
    }
    // What can be one comes back as it went, whatever the characters.
    let context = json!({
        "text": "é\u{1f600}\u{2028}\"\\\n", "integer": 9_007_199_254_740_991_i64, "none": null,
        "float": 0.1, "list": [[], {}, true]
    });
    let task = create(&cluster, language, "echo", context.clone()).await;
    let task = cluster.ended(&task, "Complete").await;
    let right = json!({"context": context, "parent_results": {}, "input": null, "attempt": 1});
    assert_eq!(step(&task, "only")["result"], right);
    assert_eq!(workers.drain().await, "exit status: 0");
    assert_eq!(workers.ends().len(), 1, "{}", workers.log());
}

async fn retries_checkpoints_and_the_log_arrive(language: Language) {
    let templates = [("retry", TWICE), ("checkpoint", TWICE), ("log", ONCE), ("wait", ONCE)];
    let cluster = cluster(language, &templates, &[]);
    let workers = Workers::start(language, &cluster, &[]);
    let complete = async |template, context: Value| {
        let task = create(&cluster, language, template, context).await;
        let task = cluster.ended(&task, "Complete").await;
        step(&task, "only")["result"].clone()
    };
    assert_eq!(complete("retry", json!({})).await, json!({"attempt": 2}));
    assert_eq!(complete("checkpoint", json!({})).await, json!({"checkpoint": {"done": 1}}));
    complete("log", json!({})).await;
    assert!(workers.log().contains("hello from the handler"), "{}", workers.log());
    // Handlers that wait overlap: one after the other these would take 20 s.
    let begun = std::time::Instant::now();
    let waits = (0..40).map(|_| complete("wait", json!({"ms": 500})));
    futures_util::future::join_all(waits).await;
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    assert_eq!(workers.drain().await, "exit status: 0");
}

async fn decisions_and_batches_are_made(language: Language) {
    let choice = "{namespace: NAMESPACE, name: choice, steps: [
        {name: decide, type: decision, handler: decide, branches: [left, right]},
        {name: left, handler: echo, depends_on: [decide]},
        {name: right, handler: echo, depends_on: [decide]}]}";
    let batches = "{namespace: NAMESPACE, name: batches, steps: [
        {name: split, type: batchable, handler: split},
        {name: work, type: batch_worker, handler: work, depends_on: [split],
            retry: {max_attempts: 1}, on_failure: continue_on_failure},
        {name: all, type: deferred_convergence, handler: gather, depends_on: [work]}]}";
    let cluster = cluster(language, &[], &[choice, batches]);
    let workers = Workers::start(language, &cluster, &[]);
    let task = create(&cluster, language, "choice", json!({"choose": ["right"]})).await;
    let task = cluster.ended(&task, "Complete").await;
    assert_eq!((states(&task)["left"], states(&task)["right"]), ("Skipped", "Complete"));
    let given = json!({"batches": [1, 20, {"no": "number"}, 300]});
    let task = create(&cluster, language, "batches", given).await;
    let task = cluster.ended(&task, "Complete").await;
    let doubled: Vec<Value> = [2, 40, 600].map(|it| json!({"doubled": it})).into();
    let right = json!({"results": doubled, "failures": ["work_003"]});
    assert_eq!(step(&task, "all")["result"], right);
    assert_eq!(workers.drain().await, "exit status: 0");
    cluster.audit_is_sound().await;
}
