//! Workflows in Python: modules of a package, found by their presence.

use super::dialect::{Dialect, texts};

pub(super) const DIALECT: Dialect = Dialect {
    handlers: "scenarios/handlers/python/handlers/own/@name@.py",
    texts: texts!("handlers.py"),
    test: Some(("scenarios/handlers/python/handlers/own/test_@name@.py", include_str!("test.py"))),
    test_command: "make test-python OWN=@name@",
    list: None,
    refusal,
};

const KEYWORDS: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif",
    "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
    "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// What the package of the modules has under these names, modules would take the place of.
const TAKEN: &[&str] = &["importlib", "pkgutil", "register"];

fn refusal(name: &str, _there: &[String]) -> Option<String> {
    if KEYWORDS.contains(&name) {
        Some("it is a keyword of Python".to_owned())
    } else if TAKEN.contains(&name) {
        Some("the package of the modules means something else by it".to_owned())
    } else if name == "conftest" || name.starts_with("test_") || name.ends_with("_test") {
        Some("pytest would take the module for its own or for a test".to_owned())
    } else {
        None
    }
}
