//! Workflows in Rust: modules, which stand in a list.

use super::dialect::{Dialect, List, texts};

pub(super) const DIALECT: Dialect = Dialect {
    handlers: "scenarios/handlers/rust/src/own/@name@.rs",
    texts: texts!("handlers.rs"),
    test: None,
    test_command: "cargo test -p stepmark-handlers-rust own::@name@::",
    list: Some(List { path: "scenarios/handlers/rust/src/own.rs", mark: MARK, with }),
    refusal,
};

const MARK: &str = "// New workflows come above this line.";

/// Names that a module of one's own workflow can't have: Rust's keywords, and what the list of the
/// modules has.
const TAKEN: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "own",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "stepmark_engine",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

fn refusal(name: &str, _there: &[String]) -> Option<String> {
    TAKEN.contains(&name).then(|| "it means something else in Rust, or in this project".to_owned())
}

/// The list with one more module, in the order that rustfmt keeps; nothing when it has no [`MARK`].
fn with(list: &str, name: &str) -> Option<String> {
    let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
    let mark = lines.iter().position(|line| line.trim() == MARK)?;
    lines.insert(mark, format!("    {name}::register,"));
    let of = |line: &String| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned());
    let modules: Vec<(usize, String)> =
        lines.iter().enumerate().filter_map(|(at, line)| Some((at, of(line)?))).collect();
    let declared = format!("mod {name};");
    match (modules.iter().find(|(_, other)| name < other.as_str()), modules.last()) {
        (Some((at, _)), _) => lines.insert(*at, declared),
        (None, Some((last, _))) => lines.insert(last + 1, declared),
        (None, None) => {
            // The first module stands before what the list uses.
            let at = lines.iter().position(|line| line.starts_with("use "))?;
            lines.splice(at..at, [declared, String::new()]);
        }
    }
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: &str = "//! Own.\n\nuse a::B;\n\nconst W: &[R] = &[\n    \
                        // New workflows come above this line.\n];\n";

    #[test]
    fn a_module_is_declared_in_order_and_registered_last() {
        let names = ["b", "a10", "ab", "a9", "a_b", "a09"];
        let list = names.iter().fold(LIST.to_owned(), |list, name| with(&list, name).unwrap());
        let wanted = "//! Own.\n\nmod a09;\nmod a10;\nmod a9;\nmod a_b;\nmod ab;\nmod b;\n\n\
                      use a::B;\n\nconst W: &[R] = &[\n    b::register,\n    \
                      a10::register,\n    ab::register,\n    a9::register,\n    \
                      a_b::register,\n    a09::register,\n    \
                      // New workflows come above this line.\n];\n";
        assert_eq!(list, wanted);
    }

    #[test]
    fn a_list_without_its_mark_is_left_alone() {
        assert_eq!(with("//! Own.\nuse a::B;\n", "b"), None);
    }
}
