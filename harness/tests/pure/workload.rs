//! What tasks are given, and the right answers that are computed from it.

use proptest::prelude::*;
use serde_json::{Value, json};
use stepmark_harness::scenario::{Oracle, Scenario};
use stepmark_harness::workload::{Computed, Field, Generator, Inputs};
use stepmark_workflow::yaml::Diagnostic;

fn generator() -> Generator {
    let fields = [
        ("count", Field::Integer { min: -10, max: 10, step: 4 }),
        ("price", Field::Decimal { min: -150, max: 99_995, places: 2 }),
        ("name", Field::Text { chars_min: 0, chars_max: 45 }),
        ("colour", Field::OneOf(vec![json!("red"), json!(["blue", null])])),
        ("kind", Field::Constant(json!({"nested": [1, 2.5]}))),
    ];
    Generator { seed: 7, fields: fields.map(|(name, field)| (name.to_owned(), field)).into() }
}

#[test]
fn a_seed_makes_the_same_inputs_in_every_version() {
    let first: Vec<Value> = (0..3).map(|number| generator().input(number)).collect();
    insta::assert_snapshot!("generated", serde_json::to_string_pretty(&first).unwrap());
}

#[test]
fn a_field_more_changes_none_of_the_others_and_another_seed_changes_all() {
    let (few, mut other) = (generator(), generator());
    let mut more = generator();
    more.fields.insert(0, ("extra".to_owned(), Field::Text { chars_min: 9, chars_max: 9 }));
    for number in 0..50 {
        let mut input = more.input(number);
        input.as_object_mut().unwrap().remove("extra");
        assert_eq!(input, few.input(number));
    }
    other.seed = 8;
    assert!((0..50).all(|number| other.input(number) != few.input(number)));
}

#[test]
fn every_value_of_a_field_comes_up() {
    let inputs: Vec<Value> = (0..2_000).map(|number| generator().input(number)).collect();
    for count in [-10, -6, -2, 2, 6, 10] {
        let share = inputs.iter().filter(|input| input["count"] == count).count();
        assert!((200..500).contains(&share), "{count}: {share}");
    }
    let lengths = inputs.iter().map(|input| input["name"].as_str().unwrap().len());
    assert_eq!((lengths.clone().min(), lengths.max()), (Some(0), Some(45)));
    assert!(inputs.iter().any(|input| input["price"].as_str().unwrap().starts_with("-0.")));
}

proptest! {
    #[test]
    fn generated_values_keep_their_bounds(
        seed: u64, number: u64, (min, max) in (any::<i64>(), any::<i64>()), step in 1..u64::MAX,
        places in 0..=15_u32,
    ) {
        let (min, max) = (min.min(max), min.max(max));
        let (low, high) = (min % 1_000_000, max % 1_000_000);
        let decimals = (low.min(high), low.max(high));
        let fields = [
            ("whole", Field::Integer { min, max, step }),
            ("decimal", Field::Decimal { min: decimals.0, max: decimals.1, places }),
        ];
        let fields = fields.map(|(name, field)| (name.to_owned(), field)).into();
        let input = Generator { seed, fields }.input(number);
        let whole = input["whole"].as_i64().unwrap();
        prop_assert!((min..=max).contains(&whole));
        prop_assert_eq!(whole.abs_diff(min) % step, 0);
        let written = input["decimal"].as_str().unwrap();
        let behind = written.split_once('.').map_or(0, |(_, behind)| behind.len());
        prop_assert_eq!(behind, places as usize, "{}", written);
        let units: i64 = written.replace('.', "").parse().unwrap();
        prop_assert!((decimals.0..=decimals.1).contains(&units), "{written}");
    }
}

#[test]
fn inputs_take_turns_and_generated_ones_begin_anew_only_when_told_to() {
    let listed = Inputs::list(vec![json!("a"), json!("b")]);
    let given = [0, 1, 2, 1 << 40].map(|number| listed.of(number).into_owned());
    assert_eq!(given, ["a", "b", "a", "a"]);
    assert_eq!(listed.clone().repeated_after(9).count(), Some(2));
    let endless = Inputs::generated(generator());
    assert_eq!(endless.count(), None);
    let repeated = endless.clone().repeated_after(5);
    assert_eq!(repeated.of(13), endless.of(3));
    assert_ne!(endless.of(13), endless.of(3));
}

/// An oracle of formulas over `{n: …, name: …}` for two steps, `a` and `b`, or what is wrong.
fn read(task_state: &str, a: &str, b: &str) -> Result<Computed, Vec<String>> {
    let text = format!(
        "name: x
tier: 1
workflow: {{namespace: n, template: t}}
topology: {{orchestrators: 1, workers: {{rust: 1}}}}
sequential_stages: 1
inputs: [{{n: 6, name: Zoë}}]
oracle:
  formula:
    task_state: {task_state}
    steps:
      a: {a}
      b: {b}
"
    );
    let scenario = Scenario::parse("s.yaml", &text);
    let told = |all: Vec<Diagnostic>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    match scenario.map_err(told)?.oracle {
        Oracle::Formula(computed) => Ok(computed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_formula_gives_its_own_type_and_more_are_put_together() {
    let a = r#"{state: Complete, result: {whole: "${n * 2}", text: "${text(n ^ 30)}",
        truth: "${n > 5}", mixed: "${n}th of ${name}", list: ["${n}", plain], escaped: "$${n}",
        quote: "${'}'}"}}"#;
    let computed = read("Complete", a, "{state: Complete, result: [1.5, ~]}").unwrap();
    let answer = computed.answer(&json!({"n": 6, "name": "Zoë"})).unwrap();
    let exact = json!({
        "whole": 12, "text": "221073919720733357899776", "truth": true, "mixed": "6th of Zoë",
        "list": [6, "plain"], "escaped": "${n}", "quote": "}",
    });
    assert_eq!(answer.steps["a"].result, Some(exact));
    assert_eq!(answer.steps["b"].result, Some(json!([1.5, null])));
}

#[test]
fn a_step_whose_state_is_computed_has_its_result_only_when_it_comes_out_complete() {
    let a = r#"{state: "${n < 10 ? 'Complete' : 'Skipped'}", result: {of: "${100 / (10 - n)}"}}"#;
    let b = "{state: Skipped, result: 1}";
    let computed = read(r#""${n == 0 ? 'Error' : 'Complete'}""#, a, b).unwrap();
    let small = computed.answer(&json!({"n": 0, "name": ""})).unwrap();
    assert_eq!(small.task_state.name(), "Error");
    assert_eq!(small.steps["a"].result, Some(json!({"of": 10})));
    // For n = 10 the result could not even be computed.
    let large = computed.answer(&json!({"n": 10, "name": ""})).unwrap();
    assert_eq!((large.steps["a"].state.name(), &large.steps["a"].result), ("Skipped", &None));
    assert_eq!(large.steps["b"].result, Some(json!(1)), "as it is written");
}

#[test]
fn what_cannot_be_computed_is_named_where_it_stands() {
    let a = r#"{state: "${name}", result: 1}"#;
    let b = r#"{state: Complete, result: ["é ${n} and ${'x' * n}", "${6 ^ 64}"]}"#;
    insta::assert_snapshot!("not_computed", read("Complete", a, b).unwrap_err().join("\n"));
}

#[test]
fn an_input_that_comes_up_only_in_a_run_is_answered_with_the_same_places() {
    let b = "
        state: Complete
        result: >-
          a ${n}
          b ${1 / (n - 7)}";
    let computed = read("Complete", "{state: Complete}", b).unwrap();
    let errors = computed.answer(&json!({"n": 7, "name": ""})).unwrap_err();
    assert_eq!(errors[0].to_string(), "16:17: `/` by zero");
    let errors = computed.answer(&json!({"n": "7"})).unwrap_err();
    assert!(errors[0].to_string().starts_with("16:22: `-` takes whole numbers"), "{errors:?}");
}

#[test]
fn the_texts_of_one_answer_are_bounded() {
    let long = format!("{{state: Complete, result: \"{}\"}}", "${text(2 ^ 60000)}".repeat(60));
    let told = read("Complete", "{state: Complete}", &long).unwrap_err();
    assert!(told[0].contains("the texts of one answer are more than 1048576 bytes"), "{told:?}");
}
