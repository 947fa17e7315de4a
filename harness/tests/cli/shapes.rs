//! The approval and the product workflows with the real engine and its handlers in Rust: both
//! boundaries of each decision, files of all sizes, and what is counted behind them.

use std::fs::{self, File};
use std::num::NonZeroU64;
use std::path::Path;

use serde_json::{Value, json};
use stepmark_harness::products::{expected, products, write_csv};

use crate::engine::with_engine;
use crate::forms::assert_right;
use crate::program::{Finished, stepmark};

const BATCH_SIZE: u64 = 200;

/// Runs so many tasks of one scenario on PGMQ.
fn run(name: &str, scenario: &Value, samples: usize) -> Finished {
    let mut program = with_engine(stepmark(name));
    let folder = program.folder.join("scenarios");
    fs::create_dir_all(&folder).unwrap();
    // JSON is YAML, too.
    fs::write(folder.join("scenario.yaml"), scenario.to_string()).unwrap();
    let report = program.folder.join("report");
    program
        .command
        .args(["bench", "--backend", "process", "--broker", "pgmq", "--warmup", "1"])
        .args(["--samples", &samples.to_string(), "--scenarios"])
        .arg(&folder)
        .arg("--report")
        .arg(report);
    program.output()
}

fn scenario(workflow: &Value, budget: &Value, cases: &[Value]) -> Value {
    json!({
        "name": "cases",
        "tier": 5,
        "workflow": workflow,
        "topology": {"orchestrators": 1, "workers": {"rust": 2}},
        "sequential_stages": 3,
        "cases": cases,
        "budget": budget,
    })
}

/// A task over a file of so many rows, which is written to the folder, and its right answer.
fn inventory(folder: &Path, rows: u64) -> Value {
    let path = folder.join(format!("{rows}.csv"));
    write_csv(products(rows, rows), File::create(&path).unwrap()).unwrap();
    json!({
        "input": {"csv_path": path, "batch_size": BATCH_SIZE},
        "expected": expected(products(rows, rows), NonZeroU64::new(BATCH_SIZE).unwrap()),
    })
}

fn inventories(name: &str, sizes: &[u64], budget: &Value) -> Finished {
    let folder = std::env::temp_dir().join(format!("stepmark-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let cases: Vec<Value> = sizes.iter().map(|rows| inventory(&folder, *rows)).collect();
    let workflow = json!({
        "namespace": "csv_processing_rust",
        "template": "csv_product_inventory_analyzer",
    });
    let finished = run(name, &scenario(&workflow, budget, &cases), cases.len() * 2);
    fs::remove_dir_all(&folder).unwrap();
    finished
}

#[test]
fn files_of_no_row_one_row_and_about_a_batch_are_right() {
    assert_right(&inventories("files", &[0, 1, 199, 200, 201, 1_000], &json!({})));
}

#[test]
fn a_hundred_thousand_rows_are_five_hundred_workers_and_read_twice() {
    let steps = 502;
    let budget = json!({
        "step_transitions": {"exactly": 4 * steps},
        "messages": {"exactly": 2 * steps},
        "dependency_evaluations": {"exactly": steps},
    });
    let finished = inventories("large_file", &[100_000], &budget);
    assert_right(&finished);
    let run = &finished.runs()[0];
    let mut file = Vec::new();
    write_csv(products(100_000, 100_000), &mut file).unwrap();
    let read = run["work"]["file_read_bytes"].as_f64().unwrap();
    let whole_files = read / file.len() as f64;
    assert!((1.99..2.01).contains(&whole_files), "read {whole_files} times");
}

#[test]
fn each_branch_is_taken_up_to_its_boundary() {
    let case = |amount: Value, text: &str, branch: &str, by: &str| {
        let approval = |name: &str| match name == branch {
            true => json!({"state": "Complete", "result": {"amount": text, "approved_by": by}}),
            false => json!({"state": "Skipped"}),
        };
        let done = |result: Value| json!({"state": "Complete", "result": result});
        json!({
            "input": {"amount": amount},
            "expected": {"task_state": "Complete", "steps": {
                "validate_request": done(json!({"amount": text})),
                "routing_decision": done(json!({"amount": text, "branch": branch})),
                "auto_approve": approval("auto_approve"),
                "manager_approval": approval("manager_approval"),
                "finance_review": approval("finance_review"),
                "finalize_approval":
                    done(json!({"amount": text, "approved": true, "approved_by": by})),
            }},
        })
    };
    let cases = [
        case(json!(500), "500", "auto_approve", "system"),
        case(json!("999.99"), "999.99", "auto_approve", "system"),
        case(json!(1_000), "1000", "manager_approval", "manager"),
        case(json!("5000.00"), "5000.00", "manager_approval", "manager"),
        case(json!("5000.01"), "5000.01", "finance_review", "finance"),
        case(json!(1_000_000), "1000000", "finance_review", "finance"),
    ];
    let workflow =
        json!({"namespace": "conditional_approval_rust", "template": "approval_routing"});
    // Whichever branch is taken, the work is the same.
    let budget = json!({
        "step_transitions": {"exactly": 18},
        "task_transitions": {"exactly": 14},
        "messages": {"exactly": 8},
        "dependency_evaluations": {"exactly": 4},
    });
    assert_right(&run("branches", &scenario(&workflow, &budget, &cases), 24));
}

#[test]
fn the_scenario_s_file_and_answers_are_those_of_its_seed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut file = Vec::new();
    write_csv(products(1, 1_000), &mut file).unwrap();
    assert!(fs::read(root.join("fixtures/data/products_1000.csv")).unwrap() == file);

    let said = stepmark("products").command.args(["products", "--expected", "200"]).output();
    let said: Value = serde_json::from_slice(&said.unwrap().stdout).unwrap();
    let scenarios = stepmark_harness::scenario::load_all(&root, &root.join("scenarios")).unwrap();
    let scenario = scenarios.into_iter().find(|s| s.name == "batch_csv_1000").unwrap();
    let stepmark_harness::scenario::Oracle::Table(table) = scenario.oracle else {
        panic!("the answers are a table");
    };
    assert_eq!(table, [serde_json::from_value(said).unwrap()]);
}
