//! What a scenario's tasks are given, in one of four forms, and where the right answers come from.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;
use stepmark_workflow::yaml::{Fields, Findings, Node, Place, quoted};

use super::read::Whole;
use super::{Expected, Oracle, Program, expected, generator};
use crate::workload::{Inputs, Text};

/// How long an oracle's program has, unless its scenario tells.
const TIMEOUT_S: u64 = 60;
const TIMEOUT_S_MAX: u64 = 3_600;
/// Most words of a program's command.
const WORDS_MAX: usize = 100;

/// So many inputs of a list are tried on a formula when it is read, and of a generator.
const LISTED_TRIED_MAX: usize = 1_000;
const GENERATED_TRIED: u64 = 100;

const FORMS: [&str; 4] = ["input", "cases", "inputs", "generator"];

pub(super) fn read(
    fields: &Fields<'_>,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<(Inputs, Oracle)> {
    // All that is there is read, whether it belongs together or not, so that each error is found.
    let input = fields.get("input").map(|node| node.json("input", findings));
    let answer = fields.get("expected").map(|node| expected::fixed(node, whole, findings));
    let cases = fields.get("cases").map(|node| cases(node, whole, findings));
    let listed = fields.get("inputs").map(|node| listed(node, findings));
    let generator = fields.get("generator").map(|node| generator::read(node, findings));
    let oracle = fields.get("oracle").map(|node| oracle(node, whole, findings));

    match form(fields, findings)? {
        "input" => Some((Inputs::list(vec![input??]), Oracle::Table(vec![answer??]))),
        "cases" => {
            let (inputs, table) = cases??.into_iter().unzip();
            Some((Inputs::list(inputs), Oracle::Table(table)))
        }
        form => {
            let (inputs, tried) = if form == "inputs" {
                let listed = listed??;
                let tried = listed.iter().take(LISTED_TRIED_MAX).cloned().collect();
                (Inputs::list(listed), tried)
            } else {
                let generator = generator??;
                let tried = (0..GENERATED_TRIED).map(|number| generator.input(number)).collect();
                (Inputs::generated(generator), tried)
            };
            let oracle = oracle.flatten();
            try_out(oracle.as_ref(), &whole.texts.borrow(), tried, findings);
            Some((inputs, oracle?))
        }
    }
}

/// The one form in which the tasks are given something, with the right kind of answers beside it.
fn form(fields: &Fields<'_>, findings: &mut Findings<'_>) -> Option<&'static str> {
    let given = |name: &&str| fields.get(name).is_some();
    let forms: Vec<&str> = FORMS.into_iter().filter(given).collect();
    let Some((form, others)) = forms.split_first() else {
        let message = "a scenario needs `input`, `cases`, `inputs` or `generator`";
        let hint = "`input` with `expected`, `cases` with both in each, `inputs` or `generator` \
                    with an `oracle`";
        findings.error_with(fields.at(FORMS[0]), message, Some(hint.to_owned()));
        return None;
    };
    for other in others {
        let message = format!("`{other}` beside `{form}`: tasks are given one of them");
        let hint = Some(format!("there is one of: {}", FORMS.join(", ")));
        findings.error_with(fields.at(other), &message, hint);
    }
    let (needed, hint) = match *form {
        "input" => (Some("expected"), "`input` goes with `expected`, `inputs` with an `oracle`"),
        "cases" => (None, "each of the `cases` has its own `expected`"),
        _ => (
            Some("oracle"),
            "write `oracle: {formula: …}`, shaped like `expected`, or `oracle: {program: …}`",
        ),
    };
    // What belongs to another form that is there as well is no second error.
    let mut right = others.is_empty();
    for answer in ["expected", "oracle"].into_iter().filter(|_| others.is_empty()) {
        let (at, message) = match (needed == Some(answer), given(&answer)) {
            (true, false) => (form, format!("`{form}` needs `{answer}` beside it")),
            (false, true) => (&answer, format!("`{answer}` has no place beside `{form}`")),
            _ => continue,
        };
        findings.error_with(fields.at(at), &message, Some(hint.to_owned()));
        right = false;
    }
    right.then_some(form)
}

fn cases(
    node: &Node,
    whole: &Whole<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<(Json, Expected)>> {
    let items = node.list("cases", findings)?;
    if items.is_empty() {
        findings.error(node.at, "`cases` needs at least one case");
    }
    let read: Vec<_> = items.iter().map(|node| case(node, whole, findings)).collect();
    read.into_iter().collect()
}

fn case(node: &Node, whole: &Whole<'_>, findings: &mut Findings<'_>) -> Option<(Json, Expected)> {
    let fields = Fields::read(node, "a case", &["input", "expected"], findings)?;
    let input = fields.required("input", findings);
    let input = input.and_then(|node| node.json("input", findings));
    let answer = fields.required("expected", findings);
    let answer = answer.and_then(|node| expected::fixed(node, whole, findings));
    Some((input?, answer?))
}

fn listed(node: &Node, findings: &mut Findings<'_>) -> Option<Vec<Json>> {
    let items = node.list("inputs", findings)?;
    if items.is_empty() {
        findings.error(node.at, "`inputs` needs at least one input");
        return None;
    }
    let read: Vec<_> = items.iter().map(|node| node.json("inputs", findings)).collect();
    read.into_iter().collect()
}

fn oracle(node: &Node, whole: &Whole<'_>, findings: &mut Findings<'_>) -> Option<Oracle> {
    let fields = Fields::read(node, "an oracle", &["formula", "program"], findings)?;
    let formula = fields.get("formula").map(|node| expected::computed(node, whole, findings));
    let program = fields.get("program").map(|node| program(node, whole, findings));
    match (formula, program) {
        (Some(formula), None) => formula.map(Oracle::Formula),
        (None, Some(program)) => program.map(Oracle::Program),
        (None, None) => {
            findings.error(node.at, "an oracle needs `formula` or `program`");
            None
        }
        (Some(_), Some(_)) => {
            let at = fields.at("program");
            findings.error(at, "`program` beside `formula`: an oracle is one of them");
            None
        }
    }
}

fn program(node: &Node, whole: &Whole<'_>, findings: &mut Findings<'_>) -> Option<Program> {
    let fields = Fields::read(node, "a program", &["command", "timeout_s"], findings)?;
    let timeout_s = match fields.get("timeout_s") {
        None => Some(TIMEOUT_S),
        Some(node) => node.integer("timeout_s", 1, TIMEOUT_S_MAX, findings),
    };
    let node = fields.required("command", findings)?;
    let items = node.list("command", findings)?;
    if items.is_empty() || items.len() > WORDS_MAX {
        let message = format!("command must be 1 to {WORDS_MAX} words, not {}", items.len());
        findings.error(node.at, &message);
    }
    let words: Vec<_> = items
        .iter()
        .map(|item| {
            let word = item.text("a word of command", findings)?;
            if word.contains('\0') {
                findings.error(item.at, "a word of command has no NUL");
            }
            Some((word, item))
        })
        .collect();
    let words: Vec<(&str, &Node)> = words.into_iter().collect::<Option<_>>()?;
    // The program, and the script behind an interpreter.
    let is_script = |word: &str| word.contains('/') && !word.starts_with('-');
    let (first, second) = (words.first(), words.get(1).filter(|(word, _)| is_script(word)));
    for (word, item) in first.into_iter().chain(second) {
        if !(whole.is_there)(word) {
            let message = format!("there is no {}", quoted(word));
            let hint =
                "a name without `/` is looked for in PATH, others from the project's root on";
            findings.error_with(item.at, &message, Some(hint.to_owned()));
        }
    }
    let command = words.iter().map(|(word, _)| (*word).to_owned()).collect();
    Some(Program { command, timeout: Duration::from_secs(timeout_s?) })
}

/// Looks for names that no input has, and computes some of the answers. What goes wrong is noted
/// once at each place, with the first input that it went wrong for.
fn try_out(
    oracle: Option<&Oracle>,
    texts: &[Text],
    inputs: Vec<Json>,
    findings: &mut Findings<'_>,
) {
    let mut places: BTreeSet<Place> = BTreeSet::new();
    for text in texts {
        if findings.is_full() {
            return;
        }
        let unknown = text.unknown_names(&inputs);
        places.extend(unknown.iter().map(|error| error.at));
        expected::note(unknown, findings);
    }
    let Some(Oracle::Formula(computed)) = oracle else {
        return;
    };
    for (number, input) in inputs.iter().enumerate() {
        let mut errors = computed.answer(input).err().unwrap_or_default();
        errors.retain(|error| places.insert(error.at));
        for error in &mut errors {
            error.message.push_str(&format!(" (input {number}, counted from 0)"));
        }
        expected::note(errors, findings);
        if findings.is_full() {
            return;
        }
    }
}
