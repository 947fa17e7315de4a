//! Workflows in languages with an interpreter: their tests are run by the command that
//! `stepmark workflow new` prints.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use super::{ROOT, cargo, change, copy, new, run};

const SHAPES: [&str; 4] = ["linear", "diamond", "decision", "batch"];

/// Builds the worker core as each language's library: the first that asks, and before anybody has
/// cargo at work on something else, which would be waited for.
pub fn build_libraries() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let (built, said) = cargo(Path::new(ROOT), &["build", "--quiet", "--workspace", "--lib"]);
        assert!(built, "{said}");
    });
}

fn library(language: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join(format!("debug/libstepmark_{language}.so"))
}

/// Makes a workflow of each shape, changes each, and runs their tests by one command before and
/// after. In the path of the handlers `*` is the workflow's name; `passed` and `failed` is what
/// tells that all four did.
fn each_shape_s_test_tells_what_is_wrong(
    language: &str,
    handlers: &str,
    changes: [(&str, &str); 4],
    [passed, failed]: [&str; 2],
) {
    build_libraries();
    let root = copy(
        &format!("authored_{language}"),
        &["Makefile", "engine/bindings", "fixtures", "scenarios"],
    );
    for shape in SHAPES {
        let name = format!("authored_{shape}");
        let made = new(&root, &[&name, "--language", language, "--shape", shape]);
        assert_eq!(made.code, Some(0), "{made:?}");
        // The command that is run below, of them all at once.
        let command = format!("make test-{language} OWN={name}\n");
        assert!(made.stdout.contains(&command), "{}", made.stdout);
    }
    for check in [&["scenario", "check"][..], &["workflow", "check", "fixtures/workflows"]] {
        let checked = run(&root, check);
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
    let test = || {
        let names = SHAPES.map(|shape| format!("authored_{shape}")).join(" ");
        // The library is built already.
        let arguments = ["CARGO=true", &format!("test-{language}"), &format!("OWN={names}")];
        let mut make = Command::new("make");
        make.args(arguments).current_dir(&root).env("STEPMARK_NATIVE", library(language));
        let output = make.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (good, said) = test();
    assert!(good && said.contains(passed), "{said}");

    for (shape, (from, to)) in SHAPES.into_iter().zip(changes) {
        change(&root, &handlers.replace('*', &format!("authored_{shape}")), from, to);
    }
    let scenario = format!("scenarios/tier6/authored_decision_{language}.yaml");
    change(&root, &scenario, "number: 6}", "number: 32768}");
    let (good, said) = test();
    assert!(!good && said.contains(failed), "{said}");
    for told in [
        format!("wrong answers in the scenario authored_linear_{language}\n"),
        "the step double has the result {\"value\":18} and not {\"value\":12}\n".to_owned(),
        "the step add is Error and not Complete\n".to_owned(),
        "the step add failed at attempt 1: no twice".to_owned(),
        "the step choose failed at attempt 1: number is 32768, not an integer".to_owned(),
        "input {\"number\":100}:\n".to_owned(),
        "the step double is Skipped and not Complete\n".to_owned(),
        "the step work_003 is missing".to_owned(),
    ] {
        assert!(said.contains(&told), "{told}\n{said}");
    }
}

#[test]
fn each_shape_in_python_passes_as_it_is_and_tells_what_a_changed_handler_gets_wrong() {
    each_shape_s_test_tells_what_is_wrong(
        "python",
        "scenarios/handlers/python/handlers/own/*.py",
        [
            ("given(step) * 2", "given(step) * 3"),
            ("value_of(step, \"double\")", "value_of(step, \"twice\")"),
            ("number < LARGE", "number <= LARGE"),
            ("BATCH_SIZE = 2", "BATCH_SIZE = 3"),
        ],
        ["4 passed in", "4 failed in"],
    );
}

#[test]
fn each_shape_in_ruby_passes_as_it_is_and_tells_what_a_changed_handler_gets_wrong() {
    each_shape_s_test_tells_what_is_wrong(
        "ruby",
        "scenarios/handlers/ruby/own/*.rb",
        [
            ("given(step) * 2", "given(step) * 3"),
            ("value_of(step, \"double\")", "value_of(step, \"twice\")"),
            ("number < LARGE", "number <= LARGE"),
            ("BATCH_SIZE = 2", "BATCH_SIZE = 3"),
        ],
        ["4 runs, 4 assertions, 0 failures, 0 errors", "4 failures, 0 errors"],
    );
}

#[test]
fn each_shape_in_typescript_passes_as_it_is_and_tells_what_a_changed_handler_gets_wrong() {
    each_shape_s_test_tells_what_is_wrong(
        "typescript",
        "scenarios/handlers/typescript/own/*.ts",
        [
            ("given(step) * 2", "given(step) * 3"),
            ("valueOf(step, \"double\")", "valueOf(step, \"twice\")"),
            ("number < LARGE", "number <= LARGE"),
            ("BATCH_SIZE = 2", "BATCH_SIZE = 3"),
        ],
        [" 4 pass\n 0 fail\n", " 0 pass\n 4 fail\n"],
    );
}
