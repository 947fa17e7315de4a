//! Workflows in Ruby: files, each with the module of its name in `CamelCase`, found by their
//! presence.

use super::dialect::{Dialect, camel_case, texts};

pub(super) const DIALECT: Dialect = Dialect {
    handlers: "scenarios/handlers/ruby/own/@name@.rb",
    texts: texts!("handlers.rb"),
    test: Some(("scenarios/handlers/ruby/own/@name@_test.rb", include_str!("test.rb"))),
    test_command: "make test-ruby OWN=@name@",
    list: None,
    refusal,
};

/// Modules that can't be: Ruby's keywords in capitals, and what the modules' own module has.
const TAKEN: &[&str] = &["BEGIN", "END", "FILES"];

fn refusal(name: &str, there: &[String]) -> Option<String> {
    let module = camel_case(name);
    if name.ends_with("_test") {
        return Some("the file would be taken for a test".to_owned());
    }
    if TAKEN.contains(&module.as_str()) {
        return Some(format!("its module would be {module}, which means something else in Ruby"));
    }
    let other = there.iter().find(|other| *other != name && camel_case(other) == module)?;
    Some(format!("its module would be {module}, which is that of {other}.rb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_never_have_the_same_module() {
        let there = ["a_1".to_owned(), "parse".to_owned(), "class".to_owned()];
        let refused = ["a1", "a_1_", "parse_", "b_e_g_i_n", "a_test"];
        assert!(refused.iter().all(|name| refusal(name, &there).is_some()));
        // Those of the same name are told of as files, and no word of Ruby's is in CamelCase.
        let taken = ["a_1", "a_11", "par_se", "end", "string"];
        assert!(taken.iter().all(|name| refusal(name, &there).is_none()));
    }
}
