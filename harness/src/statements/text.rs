//! Statements' texts as they are compared.

/// A text as it is compared: without comments, every white space one blank, and every constant and
/// parameter a `$`. `pg_stat_statements` puts numbered parameters for constants, so that a
/// statement in a file and the same as the server tells it come to one text.
pub fn normalised(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_bytes(rest, words.chars().last()));
        rest = after;
        if token.starts_with("--") {
            continue;
        }
        if first.is_whitespace() {
            if !words.is_empty() && !words.ends_with(' ') {
                words.push(' ');
            }
            continue;
        }
        words.push_str(if is_constant(token) { "$" } else { token });
    }
    words.truncate(words.trim_end().len());
    words
}

/// Bytes of the token that the text begins with: a comment, a constant, a word, or a character.
/// `before` is the character in front of it.
fn token_bytes(text: &str, before: Option<char>) -> usize {
    let first = text.chars().next().unwrap_or_default();
    let up_to = |ends: fn(char) -> bool, from: usize| {
        text[from..].find(ends).map_or(text.len(), |place| from + place)
    };
    let is_digit_at =
        |place: usize| text[place..].starts_with(|letter: char| letter.is_ascii_digit());
    let is_operand = |letter: char| letter.is_alphanumeric() || matches!(letter, ')' | '$' | ']');
    match first {
        _ if text.starts_with("--") => up_to(|letter| letter == '\n', 0),
        '\'' => up_to(|letter| letter == '\'', 1).saturating_add(1).min(text.len()),
        '$' => up_to(|letter| !letter.is_ascii_digit(), 1),
        // The sign of a constant is a part of it.
        '-' if is_digit_at(1) && !before.is_some_and(is_operand) => number_bytes(text, 1),
        '0'..='9' => number_bytes(text, 0),
        letter if letter.is_alphabetic() || letter == '_' => {
            up_to(|letter| !(letter.is_alphanumeric() || letter == '_'), 0)
        }
        letter => letter.len_utf8(),
    }
}

fn number_bytes(text: &str, from: usize) -> usize {
    let ends = |letter: char| !(letter.is_ascii_digit() || letter == '.');
    text[from..].find(ends).map_or(text.len(), |place| from + place)
}

fn is_constant(token: &str) -> bool {
    let begins =
        token.starts_with(|first: char| matches!(first, '\'' | '$') || first.is_ascii_digit());
    let is_number = token.len() > 1 && token.starts_with('-');
    let named = ["true", "false", "null"];
    begins || is_number || named.iter().any(|name| token.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn comments_white_space_constants_and_numbers_of_parameters_make_no_difference() {
        let text = "-- Why: see $1.\nSELECT '--', $12::text -- so\n  FROM t\tWHERE a=$2\n";
        assert_eq!(normalised(text), "SELECT $, $::text FROM t WHERE a=$");
        let file = "SELECT least($1, 1000) * interval '1 ms', (-1), a-1, b2 IS NULL, 0.5, true";
        let server = "SELECT least($1, $2) * interval $3, ($4), a-$5, b2 IS NULL, $6, $7";
        assert_eq!(normalised(file), normalised(server));
        assert_eq!(normalised("WHERE ä = 'ü'"), "WHERE ä = $");
        assert_eq!(normalised(""), "");
        assert_eq!(normalised("'unended"), "$");
    }
}
