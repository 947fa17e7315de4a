//! The rules of the house: sizes and names.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const LINE_CHARS_MAX: usize = 100;
/// Words that say nothing of what a thing does.
const EMPTY_WORDS: &[&str] =
    &["Manager", "Processor", "Coordinator", "Helper", "Common", "Util", "Shared"];

/// The kinds of files, and how what a file is for begins.
const COMMENTS: [(&str, &str); 5] =
    [("rs", "//!"), ("sql", "--"), ("py", "\"\"\""), ("rb", ""), ("ts", "/**")];

fn kind_of(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut open: Vec<PathBuf> =
        ["engine", "harness", "migrations", "scenarios"].map(|part| root.join(part)).into();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.ends_with("prebuilds") {
            continue; // what `make bindings` has made
        } else if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if kind_of(&path).is_some_and(|kind| COMMENTS.iter().any(|it| it.0 == kind)) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    assert!(found.len() > 100, "only {} source files were found", found.len());
    found
}

#[test]
fn files_and_lines_are_short() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{}: {lines} lines", path.display()));
        }
        for (nr, line) in text.lines().enumerate() {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX {
                long.push(format!("{}:{}: {chars} chars", path.display(), nr + 1));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    for (path, text) in sources() {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let kind = kind_of(&path);
        let (_, begin) = COMMENTS.iter().find(|it| Some(it.0) == kind).unwrap();
        // Ruby's first line may be a directive.
        let text = text.trim_start_matches("# frozen_string_literal: true").trim_start();
        assert!(text.starts_with(begin), "{}", path.display());
    }
}

#[test]
fn names_say_something() {
    for (path, text) in sources() {
        for line in text.lines().map(str::trim_start) {
            let line = line.trim_start_matches("pub ").trim_start_matches("pub(super) ");
            let name = ["struct ", "enum ", "trait "].iter().find_map(|k| line.strip_prefix(k));
            let name = name.unwrap_or_default();
            let empty = EMPTY_WORDS.iter().find(|word| name.contains(*word));
            assert_eq!(empty, None, "{}: {line}", path.display());
        }
    }
}
