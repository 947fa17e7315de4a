//! Templates as people write them, right and wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

use stepmark_workflow::Template;
use stepmark_workflow::yaml::{DIAGNOSTICS_MAX, TEXT_BYTES_MAX};

const LINEAR: &str = include_str!("../../../fixtures/workflows/mathematical_sequence.yaml");
const DIAMOND: &str = include_str!("../../../fixtures/workflows/diamond_pattern.yaml");

fn parse(text: &str) -> Template {
    Template::parse("t.yaml", text).unwrap_or_else(|all| {
        panic!("{}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// The errors' first lines, without the file's name.
fn errors(text: &str) -> Vec<String> {
    let all = Template::parse("t.yaml", text).unwrap_err();
    let first_line = |error: &str| error.lines().next().unwrap_or_default().to_owned();
    all.iter().map(|error| first_line(error.to_string().strip_prefix("t.yaml:").unwrap())).collect()
}

/// A template with this block of steps, which starts at line 4.
fn with_steps(steps: &str) -> String {
    format!("namespace: n\nname: t\nsteps:\n{steps}")
}

#[test]
fn the_fixtures_have_the_shapes_of_the_specification() {
    let linear = parse(LINEAR);
    assert_eq!((&*linear.namespace, &*linear.name), ("rust_e2e_linear", "mathematical_sequence"));
    assert_eq!((linear.steps.len(), linear.edges().count(), linear.stages()), (4, 3, 4));
    assert_eq!(linear.edges().collect::<Vec<_>>(), [(0, 1), (1, 2), (2, 3)]);

    let diamond = parse(DIAMOND);
    assert_eq!((&*diamond.namespace, &*diamond.name), ("rust_e2e_diamond", "diamond_pattern"));
    assert_eq!((diamond.steps.len(), diamond.edges().count(), diamond.stages()), (4, 4, 3));
    assert_eq!(diamond.steps[3].parents, [1, 2]);
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let template = parse(&with_steps("  - {name: a, handler: h}\n"));
    assert_eq!((template.version, &*template.description), (1, ""));
    let step = &template.definition()["steps"][0];
    assert_eq!(step["depends_on"], serde_json::json!([]));
    let retry = serde_json::json!(
        {"max_attempts": 3, "backoff_initial_ms": 100, "backoff_max_ms": 30_000}
    );
    assert_eq!(step["retry"], retry);
}

#[test]
fn steps_may_stand_before_the_steps_they_wait_for() {
    let template = parse(&with_steps(
        "  - {name: b, handler: h, depends_on: [a]}\n  - {name: a, handler: h}\n",
    ));
    assert_eq!(template.edges().collect::<Vec<_>>(), [(1, 0)]);
    assert_eq!(template.stages(), 2);
}

#[test]
fn the_content_hash_sees_the_definition_and_nothing_else() {
    let plain = parse(&with_steps("  - name: a\n    handler: h\n"));
    let dressed = Template::parse(
        "other.yaml",
        "# a comment\nversion: 1\nsteps: [{handler: h, name: a, retry: {max_attempts: 3}}]\n\
         name: t\nnamespace: \"n\"\n",
    );
    assert_eq!(plain.content_hash(), dressed.unwrap().content_hash());
    assert_eq!(plain.content_hash().len(), 64);

    let other = parse(&with_steps("  - {name: a, handler: h, retry: {max_attempts: 4}}\n"));
    assert_ne!(plain.content_hash(), other.content_hash());
}

#[test]
fn every_error_of_a_file_is_found_at_once_and_at_its_position() {
    let text = "\
namespace: 'n; DROP TABLE tasks'
name: t
verison: 2
version: 0
steps:
  - name: a
    handlr: h
    depends_on: [a, b, b]
  - name: a
    handler: h
    retry: {max_attempts: 0, backoff_max_ms: 5}
  - name: b
    handler: H
    depends_on: [bb]
  - name: 7
    handler: h
";
    assert_eq!(
        errors(text),
        [
            "1:12: namespace `n; DROP TABLE tasks` is no name",
            "3:1: a template has no field `verison`",
            "4:10: version must be from 1 to 2147483647, not 0",
            "6:5: a step needs a field `handler`",
            "7:5: a step has no field `handlr`",
            "8:18: the step `a` depends on itself",
            "8:24: the dependency `b` is given twice",
            "9:11: a step `a` stands at line 6 already",
            "11:12: backoff_initial_ms (100) is more than backoff_max_ms (5)",
            "11:27: max_attempts must be from 1 to 100, not 0",
            "13:14: handler `H` is no name",
            "15:11: name must be a text, not the number 7",
        ]
    );
}

#[test]
fn an_error_shows_its_line_with_a_caret_and_a_hint() {
    let text = with_steps("  - name: a\n    handlr: h\n    handler: h\n");
    let all = Template::parse("fixtures/t.yaml", &text).unwrap_err();
    assert_eq!(
        all[0].to_string(),
        "fixtures/t.yaml:5:5: a step has no field `handlr`\n \
         5 |     handlr: h\n   \
           |     ^\n   \
           = did you mean `handler`?"
    );
}

#[test]
fn a_missing_step_is_named_with_the_one_that_was_meant() {
    let text =
        with_steps("  - {name: load, handler: h}\n  - {name: b, handler: h, depends_on: [laod]}\n");
    let all = Template::parse("t.yaml", &text).unwrap_err();
    assert_eq!(all[0].message, "there is no step `laod`");
    assert_eq!(all[0].hint.as_deref(), Some("did you mean `load`?"));
}

#[test]
fn every_knot_of_steps_is_printed_as_a_cycle() {
    let text = with_steps(
        "  - {name: a, handler: h, depends_on: [c]}
  - {name: b, handler: h, depends_on: [a]}
  - {name: c, handler: h, depends_on: [b]}
  - {name: behind, handler: h, depends_on: [c, y]}
  - {name: x, handler: h, depends_on: [y]}
  - {name: y, handler: h, depends_on: [x]}
",
    );
    assert_eq!(errors(&text), ["5:40: a cycle: a → b → c → a", "8:40: a cycle: y → x → y"]);
}

#[test]
fn duplicate_keys_are_errors() {
    let text = format!("name: again\n{}", with_steps("  - {name: a, handler: h}\n"));
    assert_eq!(errors(&text), ["3:1: `name` is given twice"]);
}

#[test]
fn what_is_no_template_at_all_is_said_plainly() {
    assert_eq!(errors(""), ["1:1: a template must be a mapping, not nothing"]);
    assert_eq!(errors("- a\n"), ["1:1: a template must be a mapping, not a list"]);
    assert_eq!(
        errors("{}"),
        [
            "1:1: a template needs a field `namespace`",
            "1:1: a template needs a field `name`",
            "1:1: a template needs a field `steps`",
        ]
    );
    assert_eq!(errors(&with_steps("  []\n")), ["4:3: a template needs at least one step"]);
    assert_eq!(errors("name: [a\n").len(), 1);
    let twice = errors(&format!("{LINEAR}---\n{LINEAR}"));
    assert_eq!(twice, ["18:1: a second document starts here, but one file holds one"]);
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", "));
    }
    let found = errors(&bomb);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("the aliases stand for more than 100000 values"), "{found:?}");
}

#[test]
fn depth_and_size_are_bounded() {
    assert_eq!(errors(&format!("name: {}{}", "[".repeat(500), "]".repeat(500))).len(), 1);
    let large = format!("# {}\n{LINEAR}", "x".repeat(TEXT_BYTES_MAX));
    assert!(errors(&large)[0].contains("more than the 1048576 allowed"));
    let many = with_steps(&"  - {}\n".repeat(5_000));
    assert_eq!(errors(&many).len(), DIAGNOSTICS_MAX);
}

#[test]
fn the_largest_graphs_parse_and_their_cycles_are_found() {
    let line = |last: usize| -> String {
        let step = |no| format!("  - {{name: s{no}, handler: h, depends_on: [s{}]}}\n", no - 1);
        let first = format!("  - {{name: s0, handler: h, depends_on: [s{last}]}}\n");
        first + &(1..10_000).map(step).collect::<String>()
    };
    let open = line(0).replacen(", depends_on: [s0]", "", 1);
    assert_eq!(parse(&with_steps(&open)).stages(), 10_000);
    let closed = errors(&with_steps(&line(9_999)));
    assert_eq!(closed.len(), 1);
    assert!(closed[0].contains("s0 → s1 → s2 → s3 → s4 → s5 → … → s9994"), "{closed:?}");
    let more = with_steps(&"  - {name: a, handler: h}\n".repeat(10_001));
    assert_eq!(errors(&more), ["4:3: 10001 steps are more than the 10000 allowed"]);
}
