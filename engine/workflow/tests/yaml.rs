//! YAML with positions, as the harness's scenario files use it too.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;
use stepmark_workflow::Template;
use stepmark_workflow::yaml::{self, Diagnostic, Fields, Findings, Location, Node, Spanned};

const DIAMOND: &str = include_str!("../../../fixtures/workflows/diamond_pattern.yaml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    workers: Spanned<u32>,
    mode: Option<Mode>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Closed,
    Open,
}

fn refused(text: &str) -> Diagnostic {
    yaml::parse::<Scenario>("s.yaml", text).unwrap_err()
}

#[test]
fn a_value_knows_its_position_and_can_be_refused_there_later() {
    let text = "mode: open\nworkers: 0\n";
    let scenario: Scenario = yaml::parse("s.yaml", text).unwrap();
    assert_eq!(scenario.mode, Some(Mode::Open));
    let mut findings = Findings::new("s.yaml", text);
    findings.error(scenario.workers.referenced, "at least one worker is needed");
    let found = findings.into_result().unwrap_err();
    assert_eq!((found[0].line, found[0].column), (2, 10));
}

#[test]
fn what_a_type_does_not_take_is_shown_where_it_stands() {
    for (text, expected) in [
        ("workers: 1\nwrokers: 2\n", "s.yaml:2:1: unknown field `wrokers`"),
        ("workers: 1\nmode: opne\n", "s.yaml:2:7: unknown value `opne`"),
        ("workers: 1\nworkers: 2\n", "s.yaml:2:1: `workers` is given twice"),
        ("workers: x\n", "s.yaml:1:10: invalid u32"),
        ("mode: open\n", "s.yaml:1:1: missing field `workers`"),
    ] {
        let shown = refused(text).to_string();
        assert_eq!(shown.lines().next().unwrap(), expected);
    }
    assert_eq!(refused("wrokers: 2\n").hint.unwrap(), "did you mean `workers`?");
    assert_eq!(refused("x: 2\n").hint.unwrap(), "expected one of: workers, mode");
}

#[test]
fn a_long_line_is_shown_around_its_error() {
    let text = format!("{{workers: 1, {}nope: 2}}", " ".repeat(5_000));
    let diagnostic = refused(&text);
    assert_eq!(diagnostic.column, 5_014);
    let shown = diagnostic.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let (line, caret) = (lines[1].split_once('|').unwrap().1, lines[2].split_once('|').unwrap().1);
    assert!(line.len() < 130);
    assert_eq!(line.find("nope"), caret.find('^'));
}

#[test]
fn nothing_out_of_a_file_reaches_a_terminal_raw() {
    let diagnostic = Diagnostic::new("s.yaml", "\u{1b}[2Jx", Location::UNKNOWN, "a\u{1b}b\nc");
    assert!(!diagnostic.to_string().contains('\u{1b}'));
    assert_eq!(diagnostic.message, "a\\u{1b}b\\nc");
    let long = yaml::quoted(&"x".repeat(1_000));
    assert!(long.chars().count() < 70, "{long}");
}

#[test]
fn words_that_older_yaml_took_for_truth_values_are_texts() {
    let steps = "[{name: y, handler: no}, {name: n, handler: off, depends_on: [y]}]";
    let text = format!("{{namespace: on, name: yes, steps: {steps}}}");
    assert_eq!(Template::parse("t.yaml", &text).unwrap().steps[1].name, "n");
}

/// What reading a document's root with `read` gives, and the errors that it notes.
fn reading<T>(text: &str, read: impl FnOnce(&Node, &mut Findings<'_>) -> T) -> (T, Vec<String>) {
    let root = yaml::parse_node("s.yaml", text).unwrap();
    let mut findings = Findings::new("s.yaml", text);
    let value = read(&root, &mut findings);
    let found = findings.into_result().err().unwrap_or_default();
    let shown = found.iter().map(|d| {
        let hint = d.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}:{}: {}{hint}", d.line, d.column, d.message)
    });
    (value, shown.collect())
}

#[test]
fn any_value_is_json_exactly_or_an_error() {
    let text = "{a: [1, -2, 1.5, true, ~, x], b: {c: 18446744073709551615}}";
    let (json, errors) = reading(text, |root, findings| root.json("input", findings));
    let exact = json!({"a": [1, -2, 1.5, true, null, "x"], "b": {"c": u64::MAX}});
    assert_eq!((json, errors), (Some(exact), vec![]));

    let text = "a: 18446744073709551616\nb: {c: 1, c: 2}\n";
    let (json, errors) = reading(text, |root, findings| root.json("input", findings));
    let too_large = "1:4: input has the number 18446744073709552000, which no JSON number holds \
                     exactly (put it between quotes to make it a text)";
    assert_eq!(json, None);
    assert_eq!(errors, [too_large, "2:11: `c` is given twice"]);
}

#[test]
fn numbers_have_bounds_and_choices_are_suggested() {
    let number = |text: &str| reading(text, |root, f| root.number("max", 0.0, 10.0, f));
    assert_eq!(number("2.5"), (Some(2.5), vec![]));
    assert_eq!(number("10"), (Some(10.0), vec![]));
    assert_eq!(number("-1"), (None, vec!["1:1: max must be from 0 to 10, not -1".to_owned()]));
    assert_eq!(number("x").1, ["1:1: max must be a number, not the text `x`"]);
    let state = |text: &str| {
        reading(text, |root, f| root.choice("state", [("Complete", "Complete")].into_iter(), f))
    };
    assert_eq!(state("Complete"), (Some("Complete"), vec![]));
    assert_eq!(state("Complet").1, ["1:1: state can't be `Complet` (did you mean `Complete`?)"]);
    assert_eq!(state("Gone").1, ["1:1: state can't be `Gone` (it is one of: Complete)"]);
}

#[test]
fn a_field_knows_where_its_name_stands() {
    let ((), errors) = reading("a:\n  - 1\n", |root, findings| {
        let fields = Fields::read(root, "it", &["a"], findings).unwrap();
        findings.error(fields.at("a"), "here");
    });
    assert_eq!(errors, ["1:1: here"]);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = Template::parse("t.yaml", &text);
    }

    #[test]
    fn no_slip_in_a_template_makes_the_parser_panic_or_point_outside_of_the_file(
        at in 0..DIAMOND.len(),
        cut in 0..20_usize,
        put in "[\\[\\]{}:,&*!|>'\"#\\-a-z0-9 \n]{0,6}",
    ) {
        let end = (at + cut).min(DIAMOND.len());
        let text = format!("{}{put}{}", &DIAMOND[..at], &DIAMOND[end..]);
        if let Err(all) = Template::parse("t.yaml", &text) {
            prop_assert!(!all.is_empty());
            for diagnostic in all {
                prop_assert!(diagnostic.line as usize <= text.lines().count() + 1);
            }
        }
    }
}
