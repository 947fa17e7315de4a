//! A scenario's generator of inputs.

use stepmark_workflow::yaml::{Fields, Findings, Node, Value, quoted};

use crate::workload::{
    DECIMAL_UNITS_MAX, FIELDS_MAX, Field, Generator, PLACES_MAX, TEXT_CHARS_MAX,
};

const KINDS: [&str; 5] = ["integer", "decimal", "text", "one_of", "constant"];

/// Significant digits that a number in YAML keeps.
const NUMBER_DIGITS_MAX: usize = 15;

pub(super) fn read(node: &Node, findings: &mut Findings<'_>) -> Option<Generator> {
    let fields = Fields::read(node, "a generator", &["seed", "fields"], findings)?;
    let seed = fields.required("seed", findings);
    let seed = seed.and_then(|node| node.integer("seed", 0, u64::MAX, findings));
    let node = fields.required("fields", findings)?;
    let entries = node.entries("fields", findings)?;
    if entries.is_empty() {
        findings.error(node.at, "a generator needs at least one field");
    }
    if entries.len() > FIELDS_MAX {
        let message = format!("{} fields are more than the {FIELDS_MAX} allowed", entries.len());
        findings.error(node.at, &message);
        return None;
    }
    let read = entries.iter().map(|(key, node)| Some((key.value.clone(), field(node, findings)?)));
    // All are read, so that each error is found.
    let read: Vec<_> = read.collect();
    Some(Generator { seed: seed?, fields: read.into_iter().collect::<Option<_>>()? })
}

fn field(node: &Node, findings: &mut Findings<'_>) -> Option<Field> {
    let kinds = Fields::read(node, "a generated field", &KINDS, findings)?;
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| kinds.get(kind).is_some()).collect();
    let [kind] = given[..] else {
        // An unknown kind was noted already.
        let is_empty = matches!(&node.value, Value::Mapping(entries) if entries.is_empty());
        if is_empty || given.len() > 1 {
            let hint = Some(format!("it is one of: {}", KINDS.join(", ")));
            findings.error_with(node.at, "a generated field has exactly one kind", hint);
        }
        return None;
    };
    let node = kinds.get(kind)?;
    match kind {
        "integer" => integer(node, findings),
        "decimal" => decimal(node, findings),
        "text" => text(node, findings),
        "one_of" => {
            let items = node.list("one_of", findings)?;
            if items.is_empty() {
                findings.error(node.at, "one_of needs at least one value");
            }
            let values: Vec<_> = items.iter().map(|item| item.json("one_of", findings)).collect();
            values.into_iter().collect::<Option<_>>().map(Field::OneOf)
        }
        _ => node.json("constant", findings).map(Field::Constant),
    }
}

fn integer(node: &Node, findings: &mut Findings<'_>) -> Option<Field> {
    let fields = Fields::read(node, "integer", &["min", "max", "step"], findings)?;
    let mut end = |name| {
        let node = fields.required(name, findings)?;
        node.integer(name, i64::MIN, i64::MAX, findings)
    };
    let (min, max) = (end("min"), end("max"));
    let step = match fields.get("step") {
        None => Some(1),
        Some(node) => node.integer("step", 1, u64::MAX, findings),
    };
    let (min, max) = in_order(node, min?, max?, findings);
    Some(Field::Integer { min, max, step: step? })
}

fn text(node: &Node, findings: &mut Findings<'_>) -> Option<Field> {
    let fields = Fields::read(node, "text", &["chars_min", "chars_max"], findings)?;
    let mut end = |name| {
        let node = fields.required(name, findings)?;
        node.integer(name, 0, TEXT_CHARS_MAX, findings)
    };
    let (min, max) = (end("chars_min"), end("chars_max"));
    let (chars_min, chars_max) = (min?, max?);
    if chars_min > chars_max {
        let message = format!("chars_min ({chars_min}) is more than chars_max ({chars_max})");
        findings.error(node.at, &message);
    }
    Some(Field::Text { chars_min, chars_max })
}

fn decimal(node: &Node, findings: &mut Findings<'_>) -> Option<Field> {
    let fields = Fields::read(node, "decimal", &["min", "max", "places"], findings)?;
    let places = fields.required("places", findings);
    let places = places.and_then(|node| node.integer("places", 0, PLACES_MAX, findings))?;
    let mut end = |name| {
        let node = fields.required(name, findings)?;
        units(node, name, places, findings)
    };
    let (min, max) = (end("min"), end("max"));
    let (min, max) = in_order(node, min?, max?, findings);
    Some(Field::Decimal { min, max, places })
}

fn in_order(node: &Node, min: i64, max: i64, findings: &mut Findings<'_>) -> (i64, i64) {
    if min > max {
        findings.error(node.at, "min is more than max");
    }
    (min, max)
}

/// A decimal number, as a number or a text, in units of the last of its places.
fn units(node: &Node, what: &str, places: u32, findings: &mut Findings<'_>) -> Option<i64> {
    let written = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => {
            let message = format!("{what} must be a decimal number, not {}", other.kind());
            findings.error(node.at, &message);
            return None;
        }
    };
    let digits = written.bytes().filter(u8::is_ascii_digit).count();
    if matches!(node.value, Value::Float(_)) && digits > NUMBER_DIGITS_MAX {
        let message = format!("{what} has more digits than a number in YAML keeps");
        let hint = Some("put it between quotes to make it a text".to_owned());
        findings.error_with(node.at, &message, hint);
        return None;
    }
    let units = in_units(&written, places);
    if units.is_none() {
        let most = DECIMAL_UNITS_MAX / 10_i64.pow(places);
        let message = format!(
            "{what} must be a decimal number from -{most} to {most} with at most {places} places, \
             not {}",
            quoted(&written)
        );
        findings.error(node.at, &message);
    }
    units
}

fn in_units(written: &str, places: u32) -> Option<i64> {
    let (sign, unsigned) = match written.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, written),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let missing = usize::try_from(places).ok()?.checked_sub(fraction.len())?;
    let is_number = !whole.is_empty() && plain(whole) && plain(fraction);
    if !is_number || (fraction.is_empty() && unsigned.contains('.')) {
        return None;
    }
    let units: i64 = format!("{whole}{fraction}{}", "0".repeat(missing)).parse().ok()?;
    (units <= DECIMAL_UNITS_MAX).then_some(sign * units)
}
