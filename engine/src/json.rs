//! What JSON text PostgreSQL's jsonb can hold, checked before it gets there, so that one value
//! can't spoil the batch that it is stored in; and what every language of handlers reads alike.

/// Deepest nesting of arrays and objects.
pub const DEPTH_MAX: u32 = 64;
/// Largest integer that every language of handlers reads as it was written (RFC 7493, I-JSON).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a JSON value can't be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("JSON is nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// The character NUL, which PostgreSQL's text can't hold.
    #[error("JSON holds the character \\u0000, which PostgreSQL can't store")]
    Nul,
    /// Half of a surrogate pair, which is no character.
    #[error("JSON holds an unpaired surrogate \\u{0:x}, which is not a character")]
    Surrogate(u16),
    /// An integer that a language would round.
    #[error(
        "JSON holds an integer beyond 2^53, which some languages would round: give it as a text"
    )]
    Integer,
}

/// Checks JSON text that is known to be well-formed.
///
/// # Errors
/// What jsonb would refuse.
pub fn check(text: &str) -> Result<(), JsonError> {
    let bytes = text.as_bytes();
    let (mut depth, mut in_string, mut at) = (0_u32, false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += escape_end(bytes, at)?,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(JsonError::Depth);
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Checks that JSON text, which is known to be well-formed, has no integer beyond [`INTEGER_MAX`].
///
/// # Errors
/// It has one: [`JsonError::Integer`].
pub fn check_integers(text: &str) -> Result<(), JsonError> {
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => &after[string_length(after)..],
            b'0'..=b'9' => {
                let is_of_it = |byte: &&u8| byte.is_ascii_digit() || b".eE+-".contains(byte);
                let length = rest.iter().take_while(is_of_it).count();
                let (number, after) = rest.split_at(length);
                let number = std::str::from_utf8(number).unwrap_or_default();
                let is_integer = number.bytes().all(|byte| byte.is_ascii_digit());
                if is_integer && !number.parse().is_ok_and(|it: u64| it <= INTEGER_MAX) {
                    return Err(JsonError::Integer);
                }
                after
            }
            _ => after,
        };
    }
    Ok(())
}

/// The length of a string behind its opening quote, with the closing one.
fn string_length(bytes: &[u8]) -> usize {
    let mut escaped = false;
    let end = bytes.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(bytes.len(), |end| end + 1)
}

/// How many bytes follow the backslash at `at` and belong to its escape.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    match unicode_escape(bytes, at) {
        None => Ok(1),
        Some(0) => Err(JsonError::Nul),
        Some(high @ 0xd800..=0xdbff) => match unicode_escape(bytes, at + 6) {
            Some(0xdc00..=0xdfff) => Ok(11),
            _ => Err(JsonError::Surrogate(high)),
        },
        Some(low @ 0xdc00..=0xdfff) => Err(JsonError::Surrogate(low)),
        Some(_) => Ok(5),
    }
}

fn unicode_escape(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let hex = escape.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_values_pass() {
        for text in [r#"{"a":[1,"\\u0000","\"","\n","\u00e9","\ud83d\ude00"]}"#, "1e300", "[]"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_jsonb_refuses_is_refused() {
        assert_eq!(check(r#"{"a":"x\u0000"}"#), Err(JsonError::Nul));
        assert_eq!(check(r#"["\\\u0000"]"#), Err(JsonError::Nul));
        assert_eq!(check(r#"["\ud83d"]"#), Err(JsonError::Surrogate(0xd83d)));
        assert_eq!(check(r#"["\ude00"]"#), Err(JsonError::Surrogate(0xde00)));
        assert_eq!(check(&"[".repeat(65)), Err(JsonError::Depth));
        assert_eq!(check(&format!("{}{}", "[".repeat(64), "]".repeat(64))), Ok(()));
        assert_eq!(check(&format!("[{}]", vec!["[]"; 100].join(","))), Ok(()));
    }

    #[test]
    fn integers_that_a_language_would_round_are_found() {
        for text in [
            r#"{"a":9007199254740991,"b":[-9007199254740991,12345678901234567890.5]}"#,
            r#"["12345678901234567890",1.5e-7,2E10,"\"90071992547409930"]"#,
            "[0,-7]",
        ] {
            assert_eq!(check_integers(text), Ok(()), "{text}");
        }
        for text in
            ["9007199254740992", "[1, -9007199254740992]", r#"{"\\":123456789012345678901}"#]
        {
            assert_eq!(check_integers(text), Err(JsonError::Integer), "{text}");
        }
    }
}
