//! `stepmark scenario`: what it says of broken scenarios, and what it lists.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{Finished, Program, stepmark};

const BROKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/broken_scenarios");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// A scenario for each form in which tasks are given something.
pub const FORMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/scenarios");

fn scenario(name: &str, args: &[&str]) -> Finished {
    let mut program = stepmark(&format!("scenario_{name}"));
    program.command.arg("scenario").args(args);
    program.output()
}

/// The files of a folder and of its tiers, in the order in which they are read.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// What a broken scenario's own first lines say of it: `# LINE:COL: start of the message`.
fn expected(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("# "));
    lines.map(|line| format!("{}:{line}", path.display())).collect()
}

fn assert_all_are_told(finished: &Finished) {
    assert_eq!((finished.code, &*finished.stdout), (Some(2), ""), "{finished:?}");
    let told: Vec<&str> = finished.stderr.lines().filter(|l| l.starts_with(BROKEN)).collect();
    let files = files(BROKEN.as_ref());
    let wanted: Vec<String> = files.iter().flat_map(|path| expected(path)).collect();
    assert!(files.len() >= 24 && wanted.len() >= 55, "{} in {}", wanted.len(), files.len());
    for (told, wanted) in told.iter().zip(&wanted) {
        assert!(told.starts_with(wanted.as_str()), "told {told}\nwanted {wanted}");
    }
    assert_eq!(told.len(), wanted.len(), "{}", finished.stderr);
    let count = format!("stepmark: {} errors\n", wanted.len());
    assert!(finished.stderr.starts_with(&count), "{}", finished.stderr);
}

#[test]
fn every_error_of_all_scenarios_is_told_at_its_position_and_there_are_no_others() {
    let finished = scenario("broken", &["check", BROKEN]);
    assert_all_are_told(&finished);
    // The offending line, a caret under the column, and a hint.
    let shown = "_5: {state: Complete, result: {value: \"2821109907456\"}}\n    \
                 |     ^\n    = did you mean `linear_step_4`?";
    assert!(finished.stderr.contains(shown), "{}", finished.stderr);
}

#[test]
fn a_run_tells_the_same_before_anything_is_started() {
    let mut program = stepmark("scenario_bench");
    program.command.args(["bench", "--scenarios", BROKEN]);
    assert_all_are_told(&program.output());
}

#[test]
fn the_project_s_own_scenarios_are_right_by_folder_and_by_file() {
    let all = scenario("own", &["check"]);
    let tiers = fs::read_dir(Path::new(ROOT).join("scenarios")).unwrap();
    let tiers = tiers.map(|entry| entry.unwrap().path());
    let tiers = tiers.filter(|path| path.display().to_string().contains("scenarios/tier"));
    let count = tiers.map(|path| files(&path).len()).sum::<usize>();
    assert_eq!((all.code, all.stdout), (Some(0), format!("{count} scenarios are right\n")));
    let tier = format!("{ROOT}/scenarios/tier1");
    let file = format!("{tier}/linear_rust.yaml");
    // A file that is named twice is no name used twice.
    let some = scenario("some", &["check", &tier, &file]);
    assert_eq!(some.stdout, "2 scenarios are right\n", "{some:?}");
}

#[test]
fn scenarios_are_listed_with_what_their_tasks_are_given_and_who_knows_the_answers() {
    let finished = scenario("listed", &["list", FORMS]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    insta::assert_snapshot!("scenario_list", finished.stdout);
}

#[test]
fn a_template_that_is_broken_is_told_and_its_scenarios_are_not_blamed() {
    let mut program = stepmark("scenario_template");
    let templates = program.folder.join("fixtures/workflows");
    fs::create_dir_all(&templates).unwrap();
    fs::write(templates.join("x.yaml"), "namespace: rust_e2e_linear\nname: x\nsteps: []\n")
        .unwrap();
    program.command.env("STEPMARK_ROOT", &program.folder);
    let finished =
        run(program, &["scenario", "check", &format!("{ROOT}/scenarios/tier1/linear_rust.yaml")]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.starts_with("stepmark: 1 error\n"), "{finished:?}");
    assert!(finished.stderr.contains("x.yaml:3:8: a template needs at least one step"));
}

#[test]
fn what_is_not_there_is_said() {
    let nowhere = scenario("nowhere", &["check", "/nowhere/at/all.yaml"]);
    assert_eq!(nowhere.code, Some(2));
    assert!(nowhere.stderr.contains("/nowhere/at/all.yaml: No such file"), "{nowhere:?}");
    let program = stepmark("scenario_empty");
    let folder = program.folder.display().to_string();
    let empty = run(program, &["scenario", "check", &folder]);
    assert_eq!(empty.code, Some(2));
    assert!(empty.stderr.contains("no *.yaml or *.yml in this folder"), "{empty:?}");
}

fn run(mut program: Program, args: &[&str]) -> Finished {
    program.command.args(args);
    program.output()
}
