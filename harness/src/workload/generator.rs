//! Inputs made up from a seed: the input of task n follows from the seed and n alone.
//!
//! Each field is drawn from SHA-256 of the seed, the task's number and the field's name, so a run
//! can be repeated, by another version too, and a field more changes none of the others.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Most decimal places of a `decimal`.
pub const PLACES_MAX: u32 = 15;
/// The largest `decimal`, counted in units of its last place.
pub const DECIMAL_UNITS_MAX: i64 = 1_000_000_000_000_000_000;
/// Longest `text`, in characters.
pub const TEXT_CHARS_MAX: u32 = 10_000;
/// Most fields of a generator.
pub const FIELDS_MAX: usize = 1_000;

/// What a `text` is made of.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Characters of a text that one draw is good for: 36^20 is far below 2^128.
const CHARS_A_DRAW: u32 = 20;

/// Makes up inputs: mappings of these fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Generator {
    /// What tells one sequence of inputs from another.
    pub seed: u64,
    /// Each field's name and what it is drawn from, in the order of the file.
    pub fields: Vec<(String, Field)>,
}

/// What a field is drawn from. All values are equally likely.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// A whole number: `min`, `min + step` and so on up to `max`, which is at least `min`.
    Integer {
        /// The lowest.
        min: i64,
        /// The highest allowed.
        max: i64,
        /// The distance from one to the next, at least 1.
        step: u64,
    },
    /// A decimal number as a text, always with all its places.
    Decimal {
        /// The lowest, in units of the last place.
        min: i64,
        /// The highest, in units of the last place.
        max: i64,
        /// Digits behind the point.
        places: u32,
    },
    /// A text of the letters a to z and the digits.
    Text {
        /// The fewest characters.
        chars_min: u32,
        /// The most characters.
        chars_max: u32,
    },
    /// One of these values; there is at least one.
    OneOf(Vec<Value>),
    /// Always this value.
    Constant(Value),
}

impl Generator {
    /// The input of the task with this number.
    pub fn input(&self, number: u64) -> Value {
        let draw = |(name, field): &(String, Field)| {
            let draws = Draws::new(self.seed, number, name);
            (name.clone(), field.value(draws))
        };
        Value::Object(self.fields.iter().map(draw).collect::<Map<_, _>>())
    }
}

impl Field {
    fn value(&self, mut draws: Draws<'_>) -> Value {
        match self {
            Field::Integer { min, max, step } => {
                let step = u128::from((*step).max(1));
                let steps = u128::from(max.abs_diff(*min)) / step;
                let above = draws.below(steps + 1) * step;
                // It lies between two i64, so it is one.
                Value::from(i64::try_from(i128::from(*min) + above.cast_signed()).unwrap_or(*max))
            }
            Field::Decimal { min, max, places } => {
                let above = draws.below(u128::from(max.abs_diff(*min)) + 1);
                Value::from(decimal(i128::from(*min) + above.cast_signed(), *places))
            }
            Field::Text { chars_min, chars_max } => {
                let more = draws.below(u128::from(chars_max.saturating_sub(*chars_min)) + 1);
                let chars = u128::from(*chars_min) + more;
                Value::from(draws.text(u32::try_from(chars).unwrap_or(TEXT_CHARS_MAX)))
            }
            Field::OneOf(values) => {
                let place = draws.below(values.len().max(1) as u128);
                values.get(place as usize).cloned().unwrap_or_default()
            }
            Field::Constant(value) => value.clone(),
        }
    }
}

/// Random numbers for one field of one task, or whatever else has a number and a name.
pub(crate) struct Draws<'n> {
    seed: u64,
    number: u64,
    name: &'n str,
    next: u64,
}

impl<'n> Draws<'n> {
    pub(crate) fn new(seed: u64, number: u64, name: &'n str) -> Self {
        Self { seed, number, name, next: 0 }
    }

    /// A number from 0 up to and without `end`, which is at least 1 and at most 2^64: so many of
    /// 2^128 make some numbers likelier by less than one in 2^64.
    fn below(&mut self, end: u128) -> u128 {
        self.draw() % end
    }

    fn text(&mut self, chars: u32) -> String {
        let mut text = String::with_capacity(chars as usize);
        let mut rest = 0;
        for place in 0..chars {
            if place % CHARS_A_DRAW == 0 {
                rest = self.draw();
            }
            text.push(char::from(ALPHABET[(rest % ALPHABET.len() as u128) as usize]));
            rest /= ALPHABET.len() as u128;
        }
        text
    }

    /// A number of 128 bits.
    pub(crate) fn draw(&mut self) -> u128 {
        let digest = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(self.number.to_le_bytes())
            .chain_update(self.next.to_le_bytes())
            .chain_update(self.name)
            .finalize();
        self.next += 1;
        digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
    }
}

/// A number of units of the last place, written with a point.
fn decimal(units: i128, places: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = units.unsigned_abs();
    match places {
        0 => format!("{sign}{digits}"),
        _ => {
            let one = 10_u128.pow(places);
            format!("{sign}{}.{:0width$}", digits / one, digits % one, width = places as usize)
        }
    }
}
