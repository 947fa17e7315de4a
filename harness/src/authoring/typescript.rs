//! Workflows in TypeScript: modules, imported by their paths, so that any name is good that doesn't
//! look like that of a test.

use super::dialect::{Dialect, texts};

pub(super) const DIALECT: Dialect = Dialect {
    handlers: "scenarios/handlers/typescript/own/@name@.ts",
    texts: texts!("handlers.ts"),
    test: Some(("scenarios/handlers/typescript/own/@name@.test.ts", include_str!("test.ts"))),
    test_command: "make test-typescript OWN=@name@",
    list: None,
    refusal,
};

fn refusal(name: &str, _there: &[String]) -> Option<String> {
    let test = name.ends_with("_test") || name.ends_with("_spec");
    test.then(|| "Bun would take the module for a test".to_owned())
}
