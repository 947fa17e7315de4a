//! Tasks in memory: every type of step and every kind of failure, without a server.
//! `api/in_memory.rs` holds the same against an engine.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/kinds.rs"]
mod kinds;

use serde_json::{Value, json};
use stepmark_engine::worker::testing::{self, ContextError, EndedTask};
use stepmark_workflow::{StepState, TaskState};

use kinds::{kind, kinds_worker};

async fn ended(name: &str) -> EndedTask {
    let (template, context) = kind(name);
    testing::run(&kinds_worker(), &template, &context).await.unwrap()
}

/// The task's state, and each step's with its attempts: `a Complete 1, b Skipped 0`.
fn told(task: &EndedTask) -> (TaskState, String) {
    let steps = task.steps.iter();
    let steps = steps.map(|(name, step)| format!("{name} {} {}", step.state, step.attempts));
    (task.state, steps.collect::<Vec<_>>().join(", "))
}

fn result<'t>(task: &'t EndedTask, step: &str) -> &'t Value {
    task.steps[step].result.as_ref().unwrap()
}

fn message<'t>(task: &'t EndedTask, step: &str) -> &'t str {
    let step = &task.steps[step];
    assert_eq!((step.state, &step.result), (StepState::Error, &None));
    step.error.as_ref().unwrap()["message"].as_str().unwrap()
}

#[tokio::test]
async fn steps_run_in_order_and_are_given_context_and_parents() {
    let task = ended("linear").await;
    assert_eq!(told(&task), (TaskState::Complete, "a Complete 1, b Complete 1".into()));
    let (first, second) = (result(&task, "a"), result(&task, "b"));
    assert_eq!(first["step"], json!(["kinds", "a", "given", "standard"]));
    assert_eq!((&first["token"], &first["context"]), (&json!("/a"), &json!({})));
    assert_eq!((&first["parents"], &first["input"]), (&json!({}), &Value::Null));
    assert_eq!(second["parents"], json!({"a": first}));
}

#[tokio::test]
async fn a_retry_comes_at_once_goes_on_from_the_checkpoint_and_leaves_no_error() {
    let task = ended("retried").await;
    assert_eq!(told(&task), (TaskState::Complete, "a Complete 3, b Complete 1".into()));
    assert_eq!(*result(&task, "a"), json!({"before": {"at": 1}}));
    assert_eq!(task.steps["a"].error, None);
}

#[tokio::test]
async fn failures_end_their_task_with_their_words() {
    let task = ended("exhausted").await;
    assert_eq!(told(&task), (TaskState::Error, "a Error 2, b Pending 0".into()));
    assert!(message(&task, "a").starts_with("attempt 2, before it Some("));
    let task = ended("permanent").await;
    let steps = "a Error 1, b Complete 1, c Pending 0";
    assert_eq!(told(&task), (TaskState::Error, steps.into()));
    assert_eq!(message(&task, "a"), "refused\u{fffd}");
    let panicked = ended("panicking").await;
    assert_eq!(message(&panicked, "a"), "the handler panicked: out of cheese");
    let missing = ended("missing").await;
    assert!(message(&missing, "a").starts_with("no handler \"nobody\" in namespace \"kinds\""));
    let misfit = ended("misfit").await;
    assert!(message(&misfit, "a").starts_with("the handler answered branches"));
    let unstorable = ended("unstorable").await;
    assert!(message(&unstorable, "a").contains("\\u0000"), "{unstorable:?}");
}

#[tokio::test]
async fn a_decision_s_branches_run_or_are_skipped_with_what_hangs_on_them() {
    let task = ended("one_branch").await;
    let steps = "both Skipped 0, decide Complete 1, join Complete 1, left Complete 1, \
                 right Skipped 0";
    assert_eq!(told(&task), (TaskState::Complete, steps.into()));
    let left = result(&task, "left");
    assert_eq!(left["parents"], json!({"decide": "decided"}));
    assert_eq!(result(&task, "join")["parents"], json!({"left": left}));
    let task = ended("both_branches").await;
    assert!(task.steps.values().all(|step| step.state == StepState::Complete), "{task:?}");
    let task = ended("no_branch").await;
    let skipped = task.steps.values().filter(|step| step.state == StepState::Skipped).count();
    assert_eq!((task.state, skipped), (TaskState::Complete, 4));
    let task = ended("strange_branch").await;
    let says = "decide chose join, up, which is none of its branches: they are left, right";
    assert_eq!((task.state, message(&task, "decide")), (TaskState::Error, says));
    assert_eq!(task.steps["left"].state, StepState::Pending);
}

#[tokio::test]
async fn batches_become_instances_that_the_convergence_is_given_in_order() {
    let task = ended("batches").await;
    let steps = "merge Complete 1, split Complete 1, work_001 Complete 1, work_002 Complete 1, \
                 work_003 Complete 1";
    assert_eq!(told(&task), (TaskState::Complete, steps.into()));
    let made = [(1, 20), (2, 40), (3, 60)]
        .map(|(nr, twice)| json!({"twice": twice, "of": format!("work_{nr:03}")}));
    assert_eq!(result(&task, "merge")["results"], json!(made));
    let none = ended("no_batches").await;
    assert_eq!(told(&none), (TaskState::Complete, "merge Complete 1, split Complete 1".into()));
    assert_eq!(result(&none, "merge")["all"], json!({"split": {"batches": 0}}));
    let many = ended("too_many_batches").await;
    let says = "split made 4 batches, its template allows 3 (batches_max)";
    assert_eq!(message(&many, "split"), says);
}

#[tokio::test]
async fn a_failed_instance_ends_its_batch_or_is_told_to_the_convergence() {
    let (template, _) = kind("failing_batch");
    let context = json!({"batches": [1, "bad", 3]});
    let task = testing::run(&kinds_worker(), &template, &context).await.unwrap();
    let steps = "merge Pending 0, split Complete 1, work_001 Complete 1, work_002 Error 1, \
                 work_003 Cancelled 0";
    assert_eq!(told(&task), (TaskState::Error, steps.into()));
    let task = ended("tolerated_batch").await;
    let steps = "merge Complete 1, split Complete 1, work_001 Complete 1, work_002 Error 1, \
                 work_003 Complete 1";
    assert_eq!(told(&task), (TaskState::Complete, steps.into()));
    let merged = result(&task, "merge");
    assert_eq!(merged["failures"]["work_002"]["message"], "no number");
    assert_eq!(merged["results"][1]["twice"], 60);
    let failed = ended("failed_batches").await;
    assert_eq!(result(&failed, "merge")["results"], json!([]));
}

#[tokio::test]
async fn a_context_that_the_api_refuses_is_refused() {
    let (template, _) = kind("linear");
    let refused = async |context| {
        testing::run(&kinds_worker(), &template, &context).await.unwrap_err().to_string()
    };
    assert_eq!(refused(json!([1])).await, ContextError::NoObject.to_string());
    assert!(refused(json!({"a": "\0"})).await.contains("can't be stored by PostgreSQL"));
}
