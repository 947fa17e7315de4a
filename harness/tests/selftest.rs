//! The instrument held against what is known. In a program of its own: cargo runs no other beside
//! it, and a busy machine is not what is to be measured.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

#[test]
fn the_instrument_tells_what_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_stepmark")).arg("selftest").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("    ok  ").count(), 8, "{said}");
}
