//! `stepmark workflow new`: what it writes is right as it is, and its test notices what is wrong.

mod languages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Finished, stepmark};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const OWN: &str = "scenarios/handlers/rust/src/own.rs";
const TIER: &str = "scenarios/tier6";

/// A copy of these parts of the project.
fn copy(name: &str, parts: &[&str]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    for part in parts {
        let into = folder.join(part);
        fs::create_dir_all(into.parent().unwrap()).unwrap();
        // With the files' times: cargo builds anew only what has changed.
        let copied =
            Command::new("cp").arg("-a").arg(Path::new(ROOT).join(part)).arg(into).status();
        assert!(copied.unwrap().success(), "{part}");
    }
    folder
}

/// What the program reads and writes here.
fn small_copy(name: &str) -> PathBuf {
    copy(name, &["fixtures", "scenarios"])
}

fn run(root: &Path, args: &[&str]) -> Finished {
    let mut program = stepmark(&format!("{}_program", root.file_name().unwrap().display()));
    program.command.args(args).env("STEPMARK_ROOT", root).current_dir(root);
    program.output()
}

fn new(root: &Path, args: &[&str]) -> Finished {
    run(root, &[&["workflow", "new"], args].concat())
}

/// Every file below a folder with its text.
fn all(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut open = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Gives the workspace's crates another version, so that what cargo makes of the copy does not get
/// into the way of what it has made of the original; the crates of others are built once for both.
fn renamed(root: &Path) {
    for file in ["Cargo.toml", "Cargo.lock"] {
        let path = root.join(file);
        let built = fs::metadata(&path).unwrap().modified().unwrap();
        let mut lines = fs::read_to_string(&path).unwrap();
        for before in ["[workspace.package]\n", "name = \"stepmark-"] {
            let mut parts = lines.split(before).map(str::to_owned);
            let first = parts.next().unwrap();
            let others = parts.map(|part| part.replacen("\"0.1.0\"", "\"0.1.0-copy\"", 1));
            lines = std::iter::once(first).chain(others).collect::<Vec<_>>().join(before);
        }
        assert!(lines.contains("0.1.0-copy"), "{file}");
        fs::write(&path, lines).unwrap();
        fs::File::open(path).unwrap().set_modified(built).unwrap();
    }
}

/// Runs cargo in the copy: whether it was content, and all that it said.
fn cargo(root: &Path, args: &[&str]) -> (bool, String) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut command = Command::new(env!("CARGO"));
    // What cargo has told this test of its own package is not meant for another.
    let told = std::env::vars().map(|(name, _)| name);
    for name in told.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("STEPMARK_"))
    {
        command.env_remove(name);
    }
    command.args(args).current_dir(root).env("CARGO_TARGET_DIR", target);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// In this file, this in place of that.
fn change(root: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(root.join(file)).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{file}: {from}");
    fs::write(root.join(file), text.replace(from, to)).unwrap();
}

#[test]
fn each_shape_s_test_passes_as_it_is_and_tells_what_a_changed_handler_gets_wrong() {
    languages::build_libraries();
    let parts = ["Cargo.toml", "Cargo.lock", "rustfmt.toml", "engine", "fixtures", "harness"];
    let root = copy("authored", &[&parts[..], &["migrations", "scenarios"]].concat());
    renamed(&root);
    let shapes = ["linear", "diamond", "decision", "batch"];
    for shape in shapes {
        let made =
            new(&root, &[&format!("authored_{shape}"), "--language", "rust", "--shape", shape]);
        assert_eq!(made.code, Some(0), "{made:?}");
    }
    let (formatted, said) = cargo(&root, &["fmt", "--all", "--check"]);
    assert!(formatted, "{said}");
    for check in [&["scenario", "check"][..], &["workflow", "check", "fixtures/workflows"]] {
        let checked = run(&root, check);
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
    let test = ["test", "--offline", "-p", "stepmark-handlers-rust", "own::authored_"];
    let (passed, said) = cargo(&root, &test);
    assert!(passed && said.contains("test result: ok. 4 passed"), "{said}");

    for (shape, from, to) in [
        ("linear", "i64::from(number) * 2", "i64::from(number) * 3"),
        ("diamond", "value_of(&step, \"double\")?", "value_of(&step, \"twice\")?"),
        ("decision", "value < LARGE", "value <= LARGE"),
        ("batch", "BATCH_SIZE: usize = 2", "BATCH_SIZE: usize = 3"),
    ] {
        change(&root, &format!("scenarios/handlers/rust/src/own/authored_{shape}.rs"), from, to);
    }
    let scenario = "scenarios/tier6/authored_decision_rust.yaml";
    change(&root, scenario, "number: 6}", "number: 32768}");
    let (passed, said) = cargo(&root, &test);
    assert!(!passed && said.contains("test result: FAILED. 0 passed; 4 failed"), "{said}");
    for told in [
        "wrong answers in the scenario authored_linear_rust\ninput {\"number\":6}:\n  \
         the step double has the result {\"value\":18} and not {\"value\":12}\n",
        "  the step add is Error and not Complete\n",
        "  the step add failed at attempt 1: no twice\n",
        "  the step choose failed at attempt 1: ",
        "input {\"number\":100}:\n",
        "  the step double is Skipped and not Complete\n",
        "  the step work_003 is missing\n",
    ] {
        assert!(said.contains(told), "{told}\n{said}");
    }
}

#[test]
fn what_was_written_is_told_with_what_to_do_next() {
    let root = small_copy("authoring_told");
    let handlers = "scenarios/handlers";
    for (language, files, test) in [
        ("rust", &["rust/src/own/told.rs"][..], "cargo test -p stepmark-handlers-rust own::told::"),
        ("ruby", &["ruby/own/told.rb", "ruby/own/told_test.rb"], "make test-ruby OWN=told"),
        (
            "python",
            &["python/handlers/own/told.py", "python/handlers/own/test_told.py"],
            "make test-python OWN=told",
        ),
        (
            "typescript",
            &["typescript/own/told.ts", "typescript/own/told.test.ts"],
            "make test-typescript OWN=told",
        ),
    ] {
        let before = all(&root);
        let made = new(&root, &["told", "--language", language]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let mut wanted = String::new();
        let common = [
            format!("fixtures/workflows/told_{language}.yaml"),
            format!("scenarios/tier6/told_{language}.yaml"),
        ];
        let own = files.iter().map(|file| format!("{handlers}/{file}"));
        for file in common.into_iter().chain(own) {
            let text = fs::read_to_string(root.join(&file)).unwrap();
            assert!(!text.contains('@'), "{file}");
            wanted += &format!("new      {file}\n");
        }
        if language == "rust" {
            wanted += &format!("changed  {OWN}\n");
        }
        wanted += &format!(
            "\nIts test, its picture and its run on real servers:\n  {test}\n  stepmark workflow \
             graph fixtures/workflows/told_{language}.yaml\n  stepmark bench --scenario \
             told_{language}\n"
        );
        assert_eq!(made.stdout, wanted);
        assert_eq!(all(&root).len(), before.len() + 2 + files.len(), "{language}");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let root = small_copy("authoring_refused");
    assert_eq!(new(&root, &["there"]).code, Some(0));
    assert_eq!(new(&root, &["a_1", "--language", "ruby"]).code, Some(0));
    fs::create_dir(root.join("scenarios/handlers/python/handlers/own/folder")).unwrap();
    let namespace = root.join("fixtures/workflows/of_mine.yaml");
    let template = "{namespace: taken_rust, name: t, steps: [{name: a, handler: a}]}";
    fs::write(&namespace, template).unwrap();
    let before = all(&root);
    let long = "a".repeat(59);
    for (args, says) in [
        (&["there"][..], "fixtures/workflows/there_rust.yaml is there already"),
        (&["There"], "a name is a to z, then up to 57 of a to z, 0 to 9 and _"),
        (&[long.as_str()], "up to 57"),
        (&["../up"], "a name is a to z"),
        (&["two__lines"], "a module's name has no __ in it"),
        (&["match"], "it means something else in Rust"),
        (&["own"], "it means something else in Rust, or in this project"),
        (&["taken"], "the namespace taken_rust has a template already"),
        (&["linear"], "the scenario `linear_rust` is in another file already"),
        (&["x", "--language", "cobol"], "[possible values: rust, ruby, python, typescript]"),
        (&["class", "--language", "python"], "it is a keyword of Python"),
        (&["register", "--language", "python"], "the package of the modules means something else"),
        (&["test_x", "--language", "python"], "pytest would take the module for"),
        (&["conftest", "--language", "python"], "pytest would take the module for its own"),
        (&["folder", "--language", "python"], "handlers/own/folder is there already"),
        (&["conditional_approval", "--language", "python"], "conditional_approval_python.yaml is"),
        (&["a1", "--language", "ruby"], "its module would be A1, which is that of a_1.rb"),
        (&["a_1", "--language", "ruby"], "fixtures/workflows/a_1_ruby.yaml is there already"),
        (&["e_n_d", "--language", "ruby"], "its module would be END, which means something else"),
        (&["x_test", "--language", "ruby"], "the file would be taken for a test"),
        (&["x_spec", "--language", "typescript"], "Bun would take the module for a test"),
        (&[long.as_str(), "--language", "typescript"], "up to 51"),
        (&["x", "--shape", "round"], "[possible values: linear, diamond, decision, batch]"),
    ] {
        let refused = new(&root, args);
        assert_eq!((refused.code, &*refused.stdout), (Some(2), ""), "{refused:?}");
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    assert_eq!(all(&root), before);
    change(&root, OWN, "// New workflows come above this line.", "");
    let refused = new(&root, &["x"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("above which new workflows go"), "{}", refused.stderr);
}

#[test]
fn when_one_file_cannot_be_written_none_is() {
    let root = small_copy("authoring_disk");
    let _ = fs::remove_dir_all(root.join(TIER));
    fs::write(root.join(TIER), "a file in the folder's place").unwrap();
    let before = all(&root);
    for language in ["rust", "ruby", "python", "typescript"] {
        let failed = new(&root, &["x", "--language", language]);
        assert_eq!((failed.code, &*failed.stdout), (Some(3), ""), "{failed:?}");
        let told = format!("scenarios/tier6/x_{language}.yaml: ");
        assert!(failed.stderr.contains(&told), "{}", failed.stderr);
        assert_eq!(all(&root), before);
    }
}
