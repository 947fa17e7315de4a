//! `report.json`: everything, for programs.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

use super::{Format, Report};

/// JSON, indented. The fields are those of [`Report`].
#[derive(Debug)]
pub struct Json;

impl Format for Json {
    fn file_name(&self) -> Option<&'static str> {
        Some("report.json")
    }

    fn render(&self, report: &Report) -> String {
        text(report)
    }
}

pub(super) fn text(report: &Report) -> String {
    let mut text = Vec::new();
    let lines = Lines { depth: 0, is_empty: true, is_first: false, arrays: Vec::new() };
    report
        .serialize(&mut serde_json::Serializer::with_formatter(&mut text, lines))
        .expect("a report is numbers, texts and maps with text keys");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A line for each field, object and text; lists of numbers, and of lists of them, stay on one
/// line: thousands of samples would take as many lines each otherwise.
struct Lines {
    depth: usize,
    /// Whether the object that was begun last has no field yet.
    is_empty: bool,
    /// Whether the next value is the first of its array.
    is_first: bool,
    /// For each array that is open, whether its values have lines of their own.
    arrays: Vec<bool>,
}

impl Lines {
    fn new_line<W: Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
        write!(writer, "\n{:width$}", "", width = 2 * self.depth)
    }

    /// An object or a text begins: in an array it has a line of its own.
    fn begin_long<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if !std::mem::take(&mut self.is_first) {
            return Ok(());
        }
        if let Some(has_lines) = self.arrays.last_mut() {
            *has_lines = true;
        }
        self.depth += 1;
        self.new_line(writer)
    }
}

impl Formatter for Lines {
    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.is_first = false;
        self.arrays.push(false);
        writer.write_all(b"[")
    }

    fn begin_array_value<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.is_first = first;
        match (first, self.arrays.last()) {
            (true, _) => Ok(()),
            (false, Some(true)) => {
                writer.write_all(b",")?;
                self.new_line(writer)
            }
            (false, _) => writer.write_all(b", "),
        }
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_first = false;
        Ok(())
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.arrays.pop() == Some(true) {
            self.depth -= 1;
            self.new_line(writer)?;
        }
        writer.write_all(b"]")
    }

    fn begin_string<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin_long(writer)?;
        writer.write_all(b"\"")
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin_long(writer)?;
        self.depth += 1;
        self.is_empty = true;
        writer.write_all(b"{")
    }

    fn begin_object_key<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.is_empty = false;
        self.new_line(writer)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if !std::mem::take(&mut self.is_empty) {
            self.new_line(writer)?;
        }
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lists_of_numbers_stay_on_one_line() {
        let value = serde_json::json!({
            "empty": [[], {}], "pairs": [[0.5, 1], [1.0, null]], "texts": ["a", "b"],
            "things": [{"of": {}, "n": [1]}, {"of": [{"deep": [2, 3]}]}],
        });
        let mut text = Vec::new();
        let lines = Lines { depth: 0, is_empty: true, is_first: false, arrays: Vec::new() };
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, lines)).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        let expected = r#"{
  "empty": [[], {}],
  "pairs": [[0.5, 1], [1.0, null]],
  "texts": [
    "a",
    "b"
  ],
  "things": [
    {
      "n": [1],
      "of": {}
    },
    {
      "of": [
        {
          "deep": [2, 3]
        }
      ]
    }
  ]
}"#;
        assert_eq!(text, expected);
    }
}
