//! What a formula comes out as. Every number is bounded before it is made.

use std::borrow::Cow;
use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};
use serde_json::Value as Json;
use stepmark_workflow::yaml::quoted;

use super::path::kind;
use super::tree::{Binary, Expression, Function, Node};
use super::{DIGITS_MAX, FormulaError, NUMBER_BITS_MAX, Value};

/// A value on the way.
enum Operand<'i> {
    Integer(BigInt),
    Text(Cow<'i, str>),
    Truth(bool),
    /// A part of the input that is none of these.
    Other(&'i Json),
}

type Evaluated<'i> = Result<Operand<'i>, FormulaError>;

/// The value of a whole formula.
pub(super) fn whole(root: &Node, input: &Json) -> Result<Value, FormulaError> {
    match operand(root, input)? {
        Operand::Integer(value) => Ok(Value::Integer(value)),
        Operand::Text(value) => Ok(Value::Text(value.into_owned())),
        Operand::Truth(value) => Ok(Value::Truth(value)),
        Operand::Other(value) => {
            let message = format!(
                "a formula gives a whole number, a text or a truth value, and this is {}",
                kind(value)
            );
            Err(FormulaError::new(root.at, message))
        }
    }
}

fn operand<'i>(node: &'i Node, input: &'i Json) -> Evaluated<'i> {
    match &node.expression {
        Expression::Integer(value) => bounded(node.at, value.clone()),
        Expression::Text(value) => Ok(Operand::Text(value.into())),
        Expression::Truth(value) => Ok(Operand::Truth(*value)),
        Expression::Path(path) => Ok(match path.find(input)? {
            Json::Bool(value) => Operand::Truth(*value),
            Json::String(text) => Operand::Text(text.into()),
            Json::Number(number) if number.is_i64() || number.is_u64() => {
                let value = number.as_i64().map(BigInt::from);
                Operand::Integer(value.or(number.as_u64().map(BigInt::from)).unwrap_or_default())
            }
            other => Operand::Other(other),
        }),
        Expression::Negative(inner) => Ok(Operand::Integer(-integer(node.at, "-", inner, input)?)),
        Expression::Not(inner) => Ok(Operand::Truth(!truth(node.at, "!", inner, input)?)),
        Expression::Choice(parts) => {
            let [condition, then, otherwise] = &**parts;
            let chosen = if truth(node.at, "?", condition, input)? { then } else { otherwise };
            operand(chosen, input)
        }
        Expression::Binary(operator, left, right) => {
            binary(node.at, *operator, [left, right], input)
        }
        Expression::Call(function, values) => call(node.at, *function, values, input),
    }
}

fn binary<'i>(
    at: usize,
    operator: Binary,
    [left, right]: [&'i Node; 2],
    input: &'i Json,
) -> Evaluated<'i> {
    let sign = operator.sign();
    match operator {
        Binary::Or => {
            let value = truth(at, sign, left, input)? || truth(at, sign, right, input)?;
            return Ok(Operand::Truth(value));
        }
        Binary::And => {
            let value = truth(at, sign, left, input)? && truth(at, sign, right, input)?;
            return Ok(Operand::Truth(value));
        }
        Binary::Equal | Binary::Unequal => {
            let equal = equal(at, sign, operand(left, input)?, operand(right, input)?)?;
            return Ok(Operand::Truth(equal == (operator == Binary::Equal)));
        }
        _ => {}
    }
    let (left, right) = (integer(at, sign, left, input)?, integer(at, sign, right, input)?);
    let compared = |allowed: &[Ordering]| Ok(Operand::Truth(allowed.contains(&left.cmp(&right))));
    match operator {
        Binary::Less => compared(&[Ordering::Less]),
        Binary::LessOrEqual => compared(&[Ordering::Less, Ordering::Equal]),
        Binary::Greater => compared(&[Ordering::Greater]),
        Binary::GreaterOrEqual => compared(&[Ordering::Greater, Ordering::Equal]),
        Binary::Plus => bounded(at, left + right),
        Binary::Minus => bounded(at, left - right),
        Binary::Times if left.bits() + right.bits() > NUMBER_BITS_MAX + 1 => Err(too_large(at)),
        Binary::Times => bounded(at, left * right),
        Binary::Over | Binary::Modulo if right.sign() == Sign::NoSign => {
            Err(FormulaError::new(at, format!("`{sign}` by zero")))
        }
        Binary::Over => Ok(Operand::Integer(left / right)),
        Binary::Modulo => Ok(Operand::Integer(left % right)),
        _ => power(at, &left, &right),
    }
}

fn power<'i>(at: usize, base: &BigInt, exponent: &BigInt) -> Evaluated<'i> {
    if exponent.sign() == Sign::Minus {
        let message = format!("the exponent of `^` is {}, which is negative", shown(exponent));
        return Err(FormulaError::new(at, message));
    }
    if base.bits() <= 1 {
        // 0, 1 and -1 have a power for every exponent, however large.
        let same =
            exponent.sign() != Sign::NoSign && (base.sign() != Sign::Minus || exponent.bit(0));
        return Ok(Operand::Integer(if same { base.clone() } else { BigInt::from(1) }));
    }
    let exponent = u32::try_from(exponent).map_err(|_| too_large(at))?;
    // |base| ≥ 2^(bits - 1), so the power has at least so many bits.
    if (base.bits() - 1).saturating_mul(exponent.into()) >= NUMBER_BITS_MAX {
        return Err(too_large(at));
    }
    bounded(at, base.pow(exponent))
}

fn call<'i>(at: usize, function: Function, values: &'i [Node], input: &'i Json) -> Evaluated<'i> {
    let name = function.name();
    let [first, others @ ..] = values else {
        return Err(FormulaError::new(at, format!("{name} takes a value")));
    };
    match (function, operand(first, input)?) {
        (Function::Text, Operand::Integer(value)) => Ok(Operand::Text(value.to_string().into())),
        (Function::Text, Operand::Truth(value)) => Ok(Operand::Text(value.to_string().into())),
        (Function::Text, text @ Operand::Text(_)) => Ok(text),
        (Function::Int, whole @ Operand::Integer(_)) => Ok(whole),
        // Before it is read: that takes the square of its length.
        (Function::Int, Operand::Text(text)) if text.len() > DIGITS_MAX => Err(too_large(first.at)),
        (Function::Int, Operand::Text(text)) => {
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            match text.parse() {
                Ok(value) if plain => bounded(at, value),
                _ => {
                    let message = format!("int takes a text like '-12', not {}", quoted(&text));
                    Err(FormulaError::new(first.at, message))
                }
            }
        }
        (Function::Len, Operand::Text(text)) => Ok(Operand::Integer(text.chars().count().into())),
        (Function::Len, Operand::Other(Json::Array(items))) => {
            Ok(Operand::Integer(items.len().into()))
        }
        (Function::Min | Function::Max, Operand::Integer(mut best)) => {
            let wanted = if function == Function::Min { Ordering::Less } else { Ordering::Greater };
            for other in others {
                let other = integer(other.at, name, other, input)?;
                if other.cmp(&best) == wanted {
                    best = other;
                }
            }
            Ok(Operand::Integer(best))
        }
        (_, other) => {
            let takes = match function {
                Function::Text => "a whole number, a truth value or a text",
                Function::Int => "a text or a whole number",
                Function::Len => "a text or a list",
                Function::Min | Function::Max => "whole numbers",
            };
            let message = format!("{name} takes {takes}, not {}", other.shown());
            Err(FormulaError::new(first.at, message))
        }
    }
}

fn equal(
    at: usize,
    sign: &str,
    left: Operand<'_>,
    right: Operand<'_>,
) -> Result<bool, FormulaError> {
    match (&left, &right) {
        (Operand::Integer(left), Operand::Integer(right)) => Ok(left == right),
        (Operand::Text(left), Operand::Text(right)) => Ok(left == right),
        (Operand::Truth(left), Operand::Truth(right)) => Ok(left == right),
        _ => {
            let (left, right) = (left.shown(), right.shown());
            let message = format!("`{sign}` cannot compare {left} and {right}");
            Err(FormulaError::new(at, message))
        }
    }
}

fn integer(at: usize, sign: &str, node: &Node, input: &Json) -> Result<BigInt, FormulaError> {
    match operand(node, input)? {
        Operand::Integer(value) => Ok(value),
        other => {
            let message = format!("`{sign}` takes whole numbers, not {}", other.shown());
            let hint = matches!(other, Operand::Text(_))
                .then(|| "int(…) makes a whole number of a text".to_owned());
            Err(FormulaError::new(at, message).with_hint(hint))
        }
    }
}

fn truth(at: usize, sign: &str, node: &Node, input: &Json) -> Result<bool, FormulaError> {
    match operand(node, input)? {
        Operand::Truth(value) => Ok(value),
        other => {
            let message = format!("`{sign}` takes truth values, not {}", other.shown());
            Err(FormulaError::new(at, message))
        }
    }
}

fn bounded<'i>(at: usize, value: BigInt) -> Evaluated<'i> {
    if value.bits() > NUMBER_BITS_MAX { Err(too_large(at)) } else { Ok(Operand::Integer(value)) }
}

fn too_large(at: usize) -> FormulaError {
    FormulaError::new(at, format!("a number of more than {NUMBER_BITS_MAX} bits"))
}

impl Operand<'_> {
    fn shown(&self) -> String {
        match self {
            Operand::Integer(value) => format!("the number {}", shown(value)),
            Operand::Text(text) => format!("the text {}", quoted(text)),
            Operand::Truth(value) => format!("the truth value {value}"),
            Operand::Other(value) => kind(value),
        }
    }
}

/// A number as a message shows it: one of thousands of digits says nothing.
fn shown(value: &BigInt) -> String {
    if value.bits() <= 128 { value.to_string() } else { format!("of {} bits", value.bits()) }
}
