//! Several templates together, as a folder holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::{Template, read};
use crate::yaml::{Diagnostic, Location, TEXT_BYTES_MAX};

/// A template's text and what errors call it, usually its path.
#[derive(Debug, Clone)]
pub struct Source {
    /// Usually a path.
    pub name: String,
    /// YAML.
    pub text: String,
}

/// Reads at most so much text that [`Template::parse`] can tell that it is too large.
///
/// # Errors
/// The reader's, and text that is not UTF-8.
pub fn read_bounded(reader: impl Read) -> io::Result<String> {
    let limit = u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() > TEXT_BYTES_MAX {
        // The cut may have gone through a character; nobody will read so far.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads all templates, and sees that no two have the same namespace, name and version. Where
/// `handlers` is given, each template's handlers must be among them, as (namespace, handler).
///
/// # Errors
/// Everything that is wrong with any of them, each error at its position, in the order given.
pub fn parse_all(
    sources: &[Source],
    handlers: Option<&BTreeSet<(String, String)>>,
) -> Result<Vec<Template>, Vec<Diagnostic>> {
    let (mut templates, mut problems) = (Vec::new(), Vec::new());
    let mut names = BTreeMap::new();
    for Source { name: source_name, text } in sources {
        match read::template(source_name, text, handlers) {
            Err(diagnostics) => problems.extend(diagnostics),
            Ok(template) => {
                let Template { namespace, name, version, .. } = &template;
                let key = (namespace.clone(), name.clone(), *version);
                if let Some(first) = names.insert(key, source_name) {
                    let message =
                        format!("{namespace}/{name} version {version} is in {first} already");
                    let hint = "give one of them another version".to_owned();
                    let twice = Diagnostic::new(source_name, text, Location::UNKNOWN, &message);
                    problems.push(twice.with_hint(Some(hint)));
                }
                templates.push(template);
            }
        }
    }
    if problems.is_empty() { Ok(templates) } else { Err(problems) }
}
