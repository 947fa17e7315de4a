//! `stepmark.h` is what the Rust functions are.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use cbindgen::{Builder, Config, Language};

const PREAMBLE: &str = "\
/*
 * stepmark's worker core for handlers in other languages. Made of native/lib.rs: after a change
 * there, UPDATE_HEADER=1 cargo test -p stepmark-typescript writes it anew.
 *
 * Texts cross as UTF-8 with their length in bytes and no NUL at their end. What the caller gives
 * stays the caller's and is read before the function returns. What a function returns is the
 * library's: a text goes back to stepmark_text_free with its length, a worker to
 * stepmark_release, each once. All functions may be called from any thread, and none but
 * stepmark_verdict waits. JSON documents are described in engine/src/worker/bridge/document.rs.
 */";

fn header() -> String {
    let config = Config {
        language: Language::C,
        header: Some(PREAMBLE.to_owned()),
        include_guard: Some("STEPMARK_H".to_owned()),
        cpp_compat: true,
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(str::to_owned).to_vec(),
        usize_is_size_t: true,
        ..Config::default()
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("native/lib.rs");
    let bindings = Builder::new().with_config(config).with_src(source).generate().unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).unwrap()
}

#[test]
fn the_header_is_made_of_the_functions_and_a_c_compiler_takes_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("stepmark.h");
    let header = header();
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, &header).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(committed, header, "UPDATE_HEADER=1 cargo test writes it anew");
    let flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"];
    let compiled = Command::new("cc").args(flags).arg(&path).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}
