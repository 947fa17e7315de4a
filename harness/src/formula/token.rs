//! A formula's text, cut into tokens.

use super::FormulaError;

/// A token and where it starts, in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Decimal digits.
    Digits(String),
    /// A text, without its quotes.
    Text(String),
    /// A name: a part of a path, a function, `true` or `false`.
    Name(String),
    /// One of [`SYMBOLS`].
    Symbol(&'static str),
    /// Behind the last one.
    End,
}

/// Longer ones first.
const SYMBOLS: [&str; 23] = [
    "==", "!=", "<=", ">=", "&&", "||", "+", "-", "*", "/", "%", "^", "<", ">", "!", "?", ":", "(",
    ")", "[", "]", ".", ",",
];

/// The tokens of a text, [`Kind::End`] the last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FormulaError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let run = |belongs: fn(char) -> bool| -> String {
            rest.iter().copied().take_while(|c| belongs(*c)).collect()
        };
        let first = chars[at];
        let (kind, length) = if first.is_whitespace() {
            at += 1;
            continue;
        } else if first.is_ascii_digit() {
            let digits = run(|c| c.is_ascii_digit());
            let length = digits.len();
            if rest.get(length) == Some(&'.')
                && rest.get(length + 1).is_some_and(char::is_ascii_digit)
            {
                return Err(FormulaError::new(at, "a formula has whole numbers only"));
            }
            (Kind::Digits(digits), length)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let name = run(|c| c.is_ascii_alphanumeric() || c == '_');
            let length = name.len();
            (Kind::Name(name), length)
        } else if first == '\'' {
            quoted(rest).ok_or_else(|| FormulaError::new(at, "this text has no closing quote"))?
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| starts_with(rest, symbol)) {
            (Kind::Symbol(symbol), symbol.len())
        } else {
            let message = format!("`{}` does not belong into a formula", first.escape_debug());
            return Err(FormulaError::new(at, message).with_hint(instead_of(first)));
        };
        tokens.push(Token { at, kind });
        at += length;
    }
    tokens.push(Token { at, kind: Kind::End });
    Ok(tokens)
}

/// The text that starts here, and its length with its quotes; nothing when it does not end.
fn quoted(rest: &[char]) -> Option<(Kind, usize)> {
    let mut text = String::new();
    let mut place = 1;
    loop {
        match (*rest.get(place)?, rest.get(place + 1)) {
            ('\'', Some('\'')) => {
                text.push('\'');
                place += 2;
            }
            ('\'', _) => return Some((Kind::Text(text), place + 1)),
            (other, _) => {
                text.push(other);
                place += 1;
            }
        }
    }
}

fn starts_with(rest: &[char], symbol: &str) -> bool {
    symbol.chars().enumerate().all(|(place, c)| rest.get(place) == Some(&c))
}

fn instead_of(c: char) -> Option<String> {
    let hint = match c {
        '=' => "did you mean `==`?",
        '&' => "did you mean `&&`?",
        '|' => "did you mean `||`?",
        '"' => "texts stand in single quotes",
        _ => return None,
    };
    Some(hint.to_owned())
}

impl Kind {
    /// The token as a message names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Kind::Digits(text) | Kind::Name(text) => stepmark_workflow::yaml::quoted(text),
            Kind::Text(text) => format!("the text {}", stepmark_workflow::yaml::quoted(text)),
            Kind::Symbol(symbol) => format!("`{symbol}`"),
            Kind::End => "the end".to_owned(),
        }
    }
}
