//! Tests of handlers: a scenario's tasks run in memory, judged by the scenario's own answers.

use std::path::Path;

use stepmark_engine::worker::{Worker, testing};
use stepmark_harness::language::Language;
use stepmark_harness::oracle::{self, Answer, AnsweredStep};
use stepmark_harness::scenario::{self, Scenario};
use stepmark_harness::workload::Workload;
use stepmark_servers::Guardian;

/// Most tasks that are tried of a scenario whose inputs are made up.
const GENERATED_MAX: u64 = 100;

/// Fails unless the worker gives the right answer to each input of a scenario, and says which step
/// of which task has ended how, and how it had to.
pub async fn assert_right(worker: &Worker, name: &str) {
    let root = root();
    let scenario = scenario::select(scenarios(), None, &[name.to_owned()]);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}")).remove(0);
    let template = scenario::template_of(root, &scenario.workflow).unwrap();
    let tasks = scenario.inputs.count().unwrap_or(GENERATED_MAX);
    // Where workers run, for the files that an input names.
    std::env::set_current_dir(root).unwrap();
    let folder = std::env::temp_dir().join(format!("stepmark_{name}_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let guardian = Guardian::start().unwrap();
    guardian.watch_dir(&folder).unwrap(); // for what a program that is the oracle is asked and says
    let workload = Workload::prepare(&scenario, tasks, root, &folder, &guardian).await.unwrap();
    let mut wrong = String::new();
    for number in 0..tasks {
        let input = workload.inputs().of(number);
        let task = testing::run(worker, &template, &input).await;
        let task = task.unwrap_or_else(|error| panic!("input {input}: {error}"));
        let failed = task.steps.iter().filter_map(|(step, ended)| {
            let message = ended.error.as_ref()?["message"].as_str()?;
            Some(format!("the step {step} failed at attempt {}: {message}", ended.attempts))
        });
        let failed: Vec<String> = failed.collect();
        let steps = task.steps.into_iter().map(|(name, step)| AnsweredStep {
            name,
            state: step.state,
            result: step.result,
        });
        let answer =
            Answer { task_uuid: number.to_string(), state: task.state, steps: steps.collect() };
        let judged = oracle::judge_answer(&workload.expected(number).unwrap(), &answer);
        if judged.is_empty() {
            continue;
        }
        wrong += &format!("\ninput {input}:");
        for line in judged.iter().map(ToString::to_string).chain(failed) {
            wrong += &format!("\n  {line}");
        }
    }
    assert!(wrong.is_empty(), "wrong answers in the scenario {name}{wrong}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap()
}

fn scenarios() -> Vec<Scenario> {
    let all = scenario::load_all(root(), &root().join("scenarios"));
    all.unwrap_or_else(|errors| panic!("{errors}"))
}

/// Those of one's own have tests of their own.
#[tokio::test]
async fn the_benchmark_s_scenarios_are_answered_right() {
    let of_it = scenarios()
        .into_iter()
        .filter(|scenario| scenario.tier <= 5 && scenario.language == Language::Rust);
    let names: Vec<String> = of_it.map(|scenario| scenario.name).collect();
    assert!(names.contains(&"linear_rust".to_owned()), "{names:?}");
    for name in names {
        assert_right(&crate::worker(), &name).await;
    }
}
