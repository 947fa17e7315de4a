//! Durations and texts, for people.

use chrono::TimeDelta;
use console::truncate_str;
use serde_json::value::RawValue;

/// A duration in two units at most. One below zero, which only clocks that disagree make, is zero.
pub fn duration(duration: TimeDelta) -> String {
    let ms = duration.num_milliseconds().max(0);
    let s = ms / 1_000;
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{s}.{} s", ms % 1_000 / 100),
        60..3_600 => format!("{} min {:02} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {:02} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {:02} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// The text in one line and without control characters, which could command the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The text, plain, and cut to this many columns.
pub fn short(text: &str, columns: usize) -> String {
    truncate_str(&plain(text), columns, "…").into_owned()
}

/// What an error that a handler left says, or all of it where it has no message.
pub fn error_message(error: Option<&RawValue>) -> String {
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    let raw = error.map_or("", RawValue::get);
    serde_json::from_str(raw).map_or_else(|_| plain(raw), |error: Message| plain(&error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_units_that_matter() {
        let told = |ms| duration(TimeDelta::milliseconds(ms));
        assert_eq!([-5, 0, 999].map(told), ["0 ms", "0 ms", "999 ms"]);
        assert_eq!([1_000, 59_999].map(told), ["1.0 s", "59.9 s"]);
        assert_eq!([60_000, 3_599_999].map(told), ["1 min 00 s", "59 min 59 s"]);
        assert_eq!([3_600_000, 90_000_000].map(told), ["1 h 00 min", "1 d 01 h"]);
    }

    #[test]
    fn texts_cannot_command_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\nb\u{9b}c"), "a [2J b c");
        assert_eq!(short("日本語のテキスト", 7), "日本語…");
    }
}
