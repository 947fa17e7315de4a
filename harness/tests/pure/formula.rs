//! Formulas: exact, bounded, and wrong only at the place that the error names.

use num_bigint::BigInt;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use stepmark_harness::formula::{
    DEPTH_MAX, FORMULA_CHARS_MAX, Formula, FormulaError, NUMBER_BITS_MAX, Value,
};

fn input() -> Json {
    json!({
        "amount": 1500,
        "big": "36472996377170786403",
        "price": 1.5,
        "open": true,
        "nothing": null,
        "customer": {"age": 41, "name": "Zoë"},
        "items": [10, 20, {"count": 30}],
    })
}

fn computed(text: &str) -> Result<Value, FormulaError> {
    Formula::parse(text)?.evaluate(&input())
}

fn number(text: &str) -> String {
    match computed(text) {
        Ok(Value::Integer(number)) => number.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

fn truth(text: &str) -> bool {
    match computed(text) {
        Ok(Value::Truth(truth)) => truth,
        other => panic!("{text}: {other:?}"),
    }
}

fn text(formula: &str) -> String {
    match computed(formula) {
        Ok(Value::Text(text)) => text,
        other => panic!("{formula}: {other:?}"),
    }
}

/// `OFFSET: message (hint)`.
fn complaint(text: &str) -> String {
    let error = computed(text).unwrap_err();
    let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}: {}{hint}", error.offset, error.message)
}

#[test]
fn numbers_are_exact_at_any_size() {
    assert_eq!(number("6 ^ 64"), "63340286662973277706162286946811886609896461828096");
    assert_eq!(number("2 ^ 3 ^ 2"), "512");
    assert_eq!(number("-2 ^ 2"), "-4");
    assert_eq!(number("(-2) ^ 2"), "4");
    assert_eq!(number("1 + 2 * 3 - 4 - 5"), "-2");
    assert_eq!(number("100 / 10 / 5"), "2");
    assert_eq!(number("-7 / 2 * 10 + -7 % 2"), "-31");
    assert_eq!(number("int(big) + 1"), "36472996377170786404");
    assert_eq!(number("0 ^ 0 + (-1) ^ 1000000000000000000000001"), "0");
}

#[test]
fn paths_lead_into_the_input() {
    assert_eq!(number("customer.age + items[1] + items[2].count"), "91");
    assert_eq!(number("len(customer.name) * 10 + len(items)"), "33");
    assert_eq!(number("min(amount, 3, 7) + max(-1, -2)"), "2");
}

#[test]
fn choices_and_conditions_evaluate_only_what_they_need() {
    assert_eq!(text("amount < 1000 ? 'small' : amount <= 5000 ? 'middle' : 'large'"), "middle");
    assert!(truth("open || 1 / 0 == 1"));
    assert!(truth("!(amount == 0 && 1 / amount > 0)"));
    assert!(truth("customer.name == 'Zoë' && customer.name != 'it''s' && (1 < 2) == true"));
    assert!(truth("1 <= 1 && 2 >= 2 && 3 > 2 && !(3 < 3)"));
    assert_eq!(number("open ? 1 : 1 / 0"), "1");
    assert_eq!(text("text(2 ^ 70)"), "1180591620717411303424");
    assert_eq!(text("text(open)"), "true");
}

#[test]
fn an_error_names_its_place_and_what_was_meant() {
    for (formula, wanted) in [
        ("", "0: expected a value, not the end"),
        ("1 +", "3: expected a value, not the end"),
        ("(1 + 2", "6: expected `)`, not the end"),
        ("1 2", "2: the formula could end here, but `2` follows"),
        ("a = 1", "2: `=` does not belong into a formula (did you mean `==`?)"),
        ("\"a\"", "0: `\\\"` does not belong into a formula (texts stand in single quotes)"),
        ("len('Zoë", "4: this text has no closing quote"),
        ("1.5", "0: a formula has whole numbers only"),
        (
            "1 < 2 < 3",
            "6: comparisons do not follow each other (put one of them in parentheses, \
                       or join them with &&)",
        ),
        ("ln(1)", "0: there is no function `ln` (did you mean `len`?)"),
        ("len()", "0: len takes one value, not 0"),
        ("max()", "0: max takes at least one value, not 0"),
        ("items[x]", "6: expected a whole number, not `x`"),
        ("amout + 1", "0: the input has no `amout` (did you mean `amount`?)"),
        ("customer.birthday", "9: `customer` has no `birthday` (it has: age, name)"),
        ("items[3]", "6: `items` has no item 3: there are 3, counted from 0"),
        ("items[2].count.x", "15: `items[2].count` is the number 30, not a mapping"),
        ("amount[0]", "7: `amount` is the number 1500, not a list"),
        (
            "'a' + 1",
            "4: `+` takes whole numbers, not the text `a` (int(…) makes a whole number \
                     of a text)",
        ),
        ("price * 2", "6: `*` takes whole numbers, not the number 1.5"),
        ("1 && open", "2: `&&` takes truth values, not the number 1"),
        ("amount ? 1 : 2", "7: `?` takes truth values, not the number 1500"),
        (
            "-'a'",
            "0: `-` takes whole numbers, not the text `a` (int(…) makes a whole number of \
                  a text)",
        ),
        ("open == 1", "5: `==` cannot compare the truth value true and the number 1"),
        ("1 / (amount - 1500)", "2: `/` by zero"),
        ("amount % 0", "7: `%` by zero"),
        ("2 ^ -1", "2: the exponent of `^` is -1, which is negative"),
        ("int('12.5')", "4: int takes a text like '-12', not `12.5`"),
        ("int('+1')", "4: int takes a text like '-12', not `+1`"),
        ("text(nothing)", "5: text takes a whole number, a truth value or a text, not nothing"),
        ("items", "0: a formula gives a whole number, a text or a truth value, and this is a list"),
    ] {
        assert_eq!(complaint(formula), wanted, "{formula}");
    }
}

#[test]
fn a_hostile_formula_takes_neither_memory_nor_stack() {
    let bits = format!("a number of more than {NUMBER_BITS_MAX} bits");
    for formula in ["9 ^ 9 ^ 9 ^ 9", "(2 ^ 65535) * 2", "2 ^ 65536", "2 ^ 65535 + 2 ^ 65535"] {
        assert!(complaint(formula).ends_with(&bits), "{formula}");
    }
    assert_eq!(number("len(text(2 ^ 65535))"), "19729");
    let deep = format!(": the formula is nested more than {DEPTH_MAX} deep");
    for (before, after) in [("(", ")"), ("-", ""), ("1 ^ ", ""), ("1 + ", ""), ("open ? 1 : ", "")]
    {
        let nested = |times: usize| before.repeat(times) + "1" + &after.repeat(times);
        assert!(computed(&nested(DEPTH_MAX - 2)).is_ok(), "{before}");
        assert!(complaint(&nested(DEPTH_MAX + 1)).ends_with(&deep), "{before}");
    }
    let long = "1".repeat(FORMULA_CHARS_MAX + 1);
    assert_eq!(complaint(&long), "2000: a formula has at most 2000 characters");
    let digits = json!({"digits": "9".repeat(1_000_000)});
    let error = Formula::parse("int(digits)").unwrap().evaluate(&digits).unwrap_err();
    assert_eq!(error.message, bits);
}

#[test]
fn a_name_that_no_input_has_is_unknown_in_branches_that_no_input_takes_too() {
    let formula = Formula::parse("open ? amount : amout + customer.agee + later").unwrap();
    let inputs = [input(), json!({"later": 1})];
    let unknown = formula.unknown_names(inputs.iter());
    let told: Vec<_> = unknown.iter().map(|e| (e.offset, e.message.as_str())).collect();
    assert_eq!(told, [(16, "the input has no `amout`"), (33, "`customer` has no `agee`")]);
}

/// Arithmetic as a tree, to be computed without a large number.
#[derive(Debug, Clone)]
enum Tree {
    Literal(u64),
    Field(usize),
    Negative(Box<Tree>),
    Binary(char, Box<Tree>, Box<Tree>),
    Power(Box<Tree>, u32),
}

const FIELDS: [i64; 4] = [0, -1, 7, i64::MIN];

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Tree::Literal),
        (0..20_u64).prop_map(Tree::Literal),
        (0..FIELDS.len()).prop_map(Tree::Field),
    ];
    leaf.prop_recursive(6, 40, 2, |inner| {
        let boxed = inner.prop_map(Box::new).boxed();
        let sign = prop::sample::select(vec!['+', '-', '*']);
        prop_oneof![
            1 => boxed.clone().prop_map(Tree::Negative),
            4 => (sign, boxed.clone(), boxed.clone()).prop_map(|(s, a, b)| Tree::Binary(s, a, b)),
            1 => (boxed, 0..6_u32).prop_map(|(base, exponent)| Tree::Power(base, exponent)),
        ]
    })
}

impl Tree {
    /// The formula, with no more parentheses than it needs around a part that binds less tightly
    /// than `tightness`.
    fn written(&self, tightness: u8) -> String {
        let (own, text) = match self {
            Tree::Literal(number) => (9, number.to_string()),
            Tree::Field(place) => (9, format!("fields[{place}]")),
            Tree::Negative(inner) => (6, format!("-{}", inner.written(6))),
            Tree::Power(base, exponent) => (7, format!("{} ^ {exponent}", base.written(8))),
            Tree::Binary(sign, left, right) => {
                let own = if *sign == '*' { 5 } else { 4 };
                (own, format!("{} {sign} {}", left.written(own), right.written(own + 1)))
            }
        };
        if own < tightness { format!("({text})") } else { text }
    }

    /// The remainder of division by a prime: the same sum in a world where no number is large.
    fn residue(&self, prime: i128) -> i128 {
        let residue = match self {
            Tree::Literal(number) => i128::from(*number),
            Tree::Field(place) => i128::from(FIELDS[*place]),
            Tree::Negative(inner) => -inner.residue(prime),
            Tree::Power(base, exponent) => {
                let base = base.residue(prime);
                (0..*exponent).fold(1, |product, _| product * base % prime)
            }
            Tree::Binary(sign, left, right) => {
                let (left, right) = (left.residue(prime), right.residue(prime));
                match sign {
                    '+' => left + right,
                    '-' => left - right,
                    _ => left * right,
                }
            }
        };
        residue.rem_euclid(prime)
    }
}

fn evaluated(formula: &str) -> Result<BigInt, FormulaError> {
    match Formula::parse(formula)?.evaluate(&json!({"fields": FIELDS}))? {
        Value::Integer(number) => Ok(number),
        other => panic!("{formula}: {other:?}"),
    }
}

proptest! {
    #[test]
    fn sums_and_products_agree_with_arithmetic_modulo_two_primes(tree in tree()) {
        let formula = tree.written(0);
        match evaluated(&formula) {
            Ok(number) => for prime in [(1_i128 << 61) - 1, (1 << 31) - 1] {
                let modulus = BigInt::from(prime);
                let residue = ((number.clone() % &modulus) + &modulus) % &modulus;
                prop_assert_eq!(residue, BigInt::from(tree.residue(prime)), "{}", formula);
            },
            // The only thing that can go wrong in such a tree, besides its length.
            Err(error) => prop_assert!(
                error.message.contains("bits") || error.message.contains("characters"),
                "{formula}: {error}"
            ),
        }
    }

    #[test]
    fn quotients_and_remainders_make_up_the_number(left in tree(), right in tree()) {
        let (a, b) = (left.written(9), right.written(9));
        let (Ok(whole), Ok(divisor)) = (evaluated(&a), evaluated(&b)) else { return Ok(()) };
        if divisor == BigInt::ZERO {
            let by_zero = format!("{a} / {b}");
            prop_assert!(evaluated(&by_zero).is_err());
            return Ok(());
        }
        let Ok(remainder) = evaluated(&format!("{a} % {b}")) else { return Ok(()) };
        let quotient = evaluated(&format!("{a} / {b}")).unwrap();
        prop_assert!(remainder.magnitude() < divisor.magnitude());
        prop_assert!(remainder == BigInt::ZERO || (remainder.sign() == whole.sign()));
        prop_assert_eq!(quotient * divisor + remainder, whole);
    }

    #[test]
    fn comparisons_order_numbers_as_machine_integers_are_ordered(a: i64, b: i64) {
        for (sign, right) in [
            ("<", a < b), ("<=", a <= b), ("==", a == b),
            (">", a > b), (">=", a >= b), ("!=", a != b),
        ] {
            let formula = Formula::parse(&format!("{a} {sign} {b}")).unwrap();
            prop_assert_eq!(formula.evaluate(&Json::Null), Ok(Value::Truth(right)));
        }
    }

    #[test]
    fn no_text_makes_a_formula_panic_or_point_outside_of_itself(
        text in prop_oneof![".{0,60}", "[-+*/%^()?:!<>=&|.,'0-9a \\[\\]]{0,60}"],
    ) {
        if let Err(error) = computed(&text) {
            prop_assert!(error.offset <= text.chars().count(), "{error:?}");
        }
    }
}
