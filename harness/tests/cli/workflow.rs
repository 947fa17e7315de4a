//! `stepmark workflow`: what it says of broken templates, and what it draws and plans.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Finished, stepmark};

const BROKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/broken");
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/workflows");

fn workflow(name: &str, args: &[&str]) -> Finished {
    let mut program = stepmark(&format!("workflow_{name}"));
    program.command.arg("workflow").args(args);
    program.output()
}

/// What a broken template's own first lines say of it: `# LINE:COL: start of the message`.
fn expected(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("# "));
    lines.map(|line| format!("{}:{line}", path.display())).collect()
}

fn templates(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_error_of_a_folder_is_told_at_its_position_and_there_are_no_others() {
    let finished = workflow("broken", &["check", BROKEN]);
    assert_eq!((finished.code, &*finished.stdout), (Some(2), ""), "{finished:?}");
    let told: Vec<&str> = finished.stderr.lines().filter(|l| l.starts_with(BROKEN)).collect();
    let wanted: Vec<String> = templates(BROKEN).iter().flat_map(|path| expected(path)).collect();
    assert!(templates(BROKEN).len() >= 38 && wanted.len() > templates(BROKEN).len());
    for (told, wanted) in told.iter().zip(&wanted) {
        assert!(told.starts_with(wanted.as_str()), "told {told}\nwanted {wanted}");
    }
    assert_eq!(told.len(), wanted.len(), "{}", finished.stderr);
    let count = format!("{} errors", wanted.len());
    assert!(finished.stderr.contains(&count), "{}", finished.stderr);
    // The offending line, a caret under the column, and a hint.
    let shown =
        "\n 9 |     depends_on: [chrage]\n   |                  ^\n   = did you mean `charge`?";
    assert!(finished.stderr.contains(shown), "{}", finished.stderr);
}

#[test]
fn the_project_s_own_templates_are_right_and_have_their_handlers() {
    let finished = workflow("fixtures", &["check", FIXTURES]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let count = templates(FIXTURES).len();
    assert_eq!(finished.stdout, format!("{count} templates are right\n"));
}

#[test]
fn a_handler_that_no_worker_has_is_told_with_the_one_that_was_meant() {
    let registry = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("registry");
    fs::write(&registry, "rust_e2e_linear/squares\n").unwrap();
    let template = format!("{FIXTURES}/mathematical_sequence.yaml");
    let registry = registry.display().to_string();
    let finished = workflow("handlers", &["check", &template, "--handlers", &registry]);
    assert_eq!(finished.code, Some(2));
    let told = format!("{template}:8:14: no worker has a handler `square` in namespace");
    assert!(finished.stderr.contains(&told), "{}", finished.stderr);
    assert!(finished.stderr.contains("did you mean `squares`?"), "{}", finished.stderr);
    fs::write(&registry, "square\n").unwrap();
    let finished = workflow("registry", &["check", &template, "--handlers", &registry]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("registry:1: not of the form"), "{}", finished.stderr);
}

#[test]
fn what_is_not_there_or_far_too_large_is_said() {
    let nowhere = workflow("nowhere", &["check", "/nowhere/at/all.yaml"]);
    assert_eq!(nowhere.code, Some(2));
    assert!(nowhere.stderr.contains("/nowhere/at/all.yaml: No such file"), "{nowhere:?}");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("odd_templates");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.display().to_string();
    let empty = workflow("empty", &["check", &path]);
    assert_eq!(empty.code, Some(2));
    assert!(empty.stderr.contains("no *.yaml or *.yml in this folder"), "{empty:?}");
    // Sparse, so that 100 MB cost no disk.
    let large = fs::File::create(folder.join("large.yaml")).unwrap();
    large.set_len(100 << 20).unwrap();
    let large = workflow("large", &["check", &path]);
    assert_eq!(large.code, Some(2));
    assert!(large.stderr.contains("are more than the 1048576 allowed"), "{large:?}");
}

#[test]
fn the_graph_is_drawn_in_three_languages_and_the_plan_is_counted() {
    let dag = format!("{FIXTURES}/complex_dag.yaml");
    let arrows = |format: &str, arrow: &str| {
        let finished = workflow(format, &["graph", &dag, "--format", format]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout.matches(arrow).count()
    };
    assert_eq!((arrows("mermaid", " --> "), arrows("dot", " -> ")), (9, 9));
    assert_eq!(arrows("svg", "data-edge="), 9);
    let plan = workflow("plan", &["plan", &dag, "--json"]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(
        (&plan["steps"], &plan["edges"], &plan["stages"]),
        (&7.into(), &9.into(), &4.into())
    );
    let told = workflow("plan_told", &["plan", &dag]).stdout;
    assert!(told.contains("fan-in up to 3, fan-out up to 2"), "{told}");
}
