//! What is to be known of a language to make a workflow in it.

use super::{python, ruby, rust, typescript};
use crate::language::Language;

/// How a workflow is written in a language. In paths and texts `@name@` is the workflow's name, and
/// `@Name@` the same as `CamelCase`.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Where a workflow's handlers are, below the project's root.
    pub(super) handlers: &'static str,
    /// Their texts, in the order of the shapes.
    pub(super) texts: [&'static str; 4],
    /// Where their test is, and its text; none where the handlers' own file has it.
    pub(super) test: Option<(&'static str, &'static str)>,
    /// The command that runs this test.
    pub(super) test_command: &'static str,
    /// The list of modules, below the project's root, and how it is written with one more; none
    /// where modules are found by their presence.
    pub(super) list: Option<List>,
    /// Why a module can't be called so. It is given those that are there, too.
    pub(super) refusal: fn(&str, &[String]) -> Option<String>,
}

/// A list of modules as a file.
#[derive(Debug)]
pub(super) struct List {
    /// Where it is, below the project's root.
    pub(super) path: &'static str,
    /// The line above which new modules are registered.
    pub(super) mark: &'static str,
    /// The list with one more module; nothing when it has no `mark`.
    pub(super) with: fn(&str, &str) -> Option<String>,
}

/// How workflows are written in this language.
pub(super) const fn of(language: Language) -> &'static Dialect {
    match language {
        Language::Rust => &rust::DIALECT,
        Language::Ruby => &ruby::DIALECT,
        Language::Python => &python::DIALECT,
        Language::TypeScript => &typescript::DIALECT,
    }
}

/// The texts of this name of every shape, in their order.
macro_rules! texts {
    ($file:literal) => {
        [
            include_str!(concat!("linear/", $file)),
            include_str!(concat!("diamond/", $file)),
            include_str!(concat!("decision/", $file)),
            include_str!(concat!("batch/", $file)),
        ]
    };
}
pub(super) use texts;

/// A name as `CamelCase`.
pub(super) fn camel_case(name: &str) -> String {
    let capitalised = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => String::new(),
    };
    name.split('_').map(capitalised).collect()
}
