//! What changes the revision of a source tree, and what doesn't.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use stepmark_revision::{source_hash, watched};

/// A small source tree of its own for the test of this name.
fn tree(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("revision").join(name);
    if root.exists() {
        fs::remove_dir_all(&root).unwrap();
    }
    for file in [
        "Cargo.lock",
        "Cargo.toml",
        "engine/Cargo.toml",
        "engine/bindings/python/src/lib.rs",
        "engine/bindings/ruby/src/lib.rs",
        "engine/bindings/typescript/native/lib.rs",
        "engine/src/lib.rs",
        "engine/tests/life.rs",
        "migrations/0001_tables.sql",
        "scenarios/handlers/rust/src/main.rs",
    ] {
        write(&root, file, file);
    }
    root
}

fn write(root: &Path, file: &str, content: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn equal_trees_have_the_same_revision_wherever_they_stand() {
    let revision = source_hash(&tree("here")).unwrap();
    assert_eq!(revision, source_hash(&tree("there")).unwrap());
    assert_eq!(revision.len(), 16);
    assert!(revision.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn a_changed_added_moved_or_removed_source_file_changes_the_revision() {
    let root = tree("changes");
    let mut revisions = vec![source_hash(&root).unwrap()];
    write(&root, "engine/src/lib.rs", "changed");
    revisions.push(source_hash(&root).unwrap());
    write(&root, "engine/bindings/python/src/lib.rs", "changed");
    revisions.push(source_hash(&root).unwrap());
    write(&root, "engine/sql/claim.sql", "added");
    revisions.push(source_hash(&root).unwrap());
    fs::rename(root.join("engine/sql"), root.join("engine/moved")).unwrap();
    revisions.push(source_hash(&root).unwrap());
    fs::remove_file(root.join("migrations/0001_tables.sql")).unwrap();
    revisions.push(source_hash(&root).unwrap());
    let different = revisions.iter().collect::<std::collections::HashSet<_>>().len();
    assert_eq!(different, revisions.len(), "{revisions:?}");
}

#[test]
fn moving_bytes_from_one_file_to_the_next_changes_the_revision() {
    let root = tree("split");
    write(&root, "migrations/a", "12");
    write(&root, "migrations/b", "3");
    let before = source_hash(&root).unwrap();
    write(&root, "migrations/a", "1");
    write(&root, "migrations/b", "23");
    assert_ne!(before, source_hash(&root).unwrap());
}

#[test]
fn what_ends_up_in_no_binary_does_not_count() {
    let root = tree("skipped");
    let before = source_hash(&root).unwrap();
    for file in [
        "README.md",
        "engine/README.md",
        "engine/.hidden",
        "engine/.git/config",
        "engine/benches/speed.rs",
        "engine/bindings/python/package/native.so",
        "engine/target/debug/lib.rlib",
        "engine/tests/more.rs",
        "harness/src/main.rs",
        "scenarios/handlers/python/handlers.py",
    ] {
        write(&root, file, "other");
    }
    assert_eq!(before, source_hash(&root).unwrap());
}

#[test]
fn cargo_watches_whole_folders_but_steps_around_skipped_ones() {
    let root = tree("watched");
    let below: Vec<String> = watched(&root)
        .unwrap()
        .iter()
        .map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        below,
        [
            "Cargo.lock",
            "Cargo.toml",
            "engine/Cargo.toml",
            "engine/bindings/python/src",
            "engine/bindings/ruby/src",
            "engine/bindings/typescript/native",
            "engine/src",
            "migrations",
            "scenarios/handlers/rust",
        ]
    );
}

#[test]
fn a_missing_part_is_an_error_that_names_it() {
    let root = tree("missing");
    fs::remove_dir_all(root.join("migrations")).unwrap();
    let error = source_hash(&root).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("migrations"), "{error}");
}

#[test]
fn this_source_tree_has_a_revision() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert_eq!(source_hash(&root).unwrap().len(), 16);
}
