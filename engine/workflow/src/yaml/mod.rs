//! YAML with positions: bounded parsing, and errors that point at their line.
//!
//! [`parse`] reads a file into any deserializable type and stops at the first error; with
//! [`Spanned`] fields the caller can report what it finds wrong afterwards at its position, through
//! [`Findings`]. [`Node`] and [`Fields`] read a file loosely instead, so that every error of it,
//! unknown fields and wrong types included, is found in one go.

mod diagnostic;
mod fields;
mod findings;
mod json;
mod node;

pub use diagnostic::{Diagnostic, Place, quoted, suggest};
pub use fields::Fields;
pub use findings::{DIAGNOSTICS_MAX, Findings};
pub use node::{Key, Node, Value};
pub use serde_saphyr::{Location, Spanned};

use serde::de::DeserializeOwned;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{DefaultMessageFormatter, DeserializeError, MessageFormatter, Options};

/// Longest text that is parsed at all, in bytes: 1 MiB.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 32;

/// Most values (scalars, lists and mappings) in one file.
pub const NODES_MAX: usize = 250_000;

/// Most aliases (`*name`) in one file.
pub const ALIASES_MAX: usize = 1_000;

/// Most parser events that all aliases of one file may stand for: the end of every alias bomb.
pub const ALIASED_EVENTS_MAX: usize = 100_000;

/// Reads one YAML document. `source_name` is what errors call it, usually a path.
///
/// # Errors
/// The first thing that is wrong, at its position: bad syntax, a duplicate key, a value that `T`
/// does not take (an unknown field too, where `T` denies them), or a limit of this module.
pub fn parse<T: DeserializeOwned>(source_name: &str, text: &str) -> Result<T, Diagnostic> {
    parse_with(source_name, text, DuplicateKeyPolicy::Error)
}

/// Reads one YAML document as it stands: duplicate keys are kept, for [`Fields`] to report.
///
/// # Errors
/// Bad syntax, or a limit of this module.
pub fn parse_node(source_name: &str, text: &str) -> Result<Node, Diagnostic> {
    parse_with(source_name, text, DuplicateKeyPolicy::PassThrough)
}

fn parse_with<T: DeserializeOwned>(
    source_name: &str,
    text: &str,
    duplicate_keys: DuplicateKeyPolicy,
) -> Result<T, Diagnostic> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("{} bytes are more than the {TEXT_BYTES_MAX} allowed", text.len());
        return Err(Diagnostic::new(source_name, text, Location::UNKNOWN, &message));
    }
    serde_saphyr::from_str_with_options(text, options(duplicate_keys))
        .map_err(|error| diagnose(source_name, text, &error))
}

fn options(duplicate_keys: DuplicateKeyPolicy) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_recorded_anchor_events: ALIASED_EVENTS_MAX,
            max_documents: 1,
            max_total_scalar_bytes: 4 * TEXT_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIASED_EVENTS_MAX,
            max_replay_stack_depth: DEPTH_MAX,
        },
        duplicate_keys: duplicate_keys,
        // As YAML 1.2 has it: only true and false, so that a step may be named y or no.
        strict_booleans: true,
        // Only the message is wanted: the diagnostic shows the line itself.
        with_snippet: false,
        emit_comments: false,
    }
}

fn diagnose(source_name: &str, text: &str, error: &DeserializeError) -> Diagnostic {
    let mut error = error.without_snippet();
    let location = error.location().unwrap_or(Location::UNKNOWN);
    while let DeserializeError::AliasError { error: inner, .. } = error {
        error = inner;
    }
    let at = |message: &str| Diagnostic::new(source_name, text, location, message);
    match error {
        DeserializeError::SerdeUnknownField { field, expected, .. } => {
            at(&format!("unknown field {}", quoted(field)))
                .with_hint(suggest(field, expected.iter().copied()).or_else(|| one_of(expected)))
        }
        DeserializeError::SerdeUnknownVariant { variant, expected, .. } => {
            at(&format!("unknown value {}", quoted(variant)))
                .with_hint(suggest(variant, expected.iter().copied()).or_else(|| one_of(expected)))
        }
        DeserializeError::DuplicateMappingKey { key: Some(key), .. } => {
            at(&format!("{} is given twice", quoted(key)))
        }
        DeserializeError::DuplicateMappingKey { key: None, .. } => at("a key is given twice"),
        DeserializeError::MultipleDocuments { .. } => at(SECOND_DOCUMENT),
        DeserializeError::Budget { breach, .. } => at(&limit_reached(breach)),
        DeserializeError::AliasReplayLimitExceeded { .. } => at(&aliases_too_large()),
        DeserializeError::RecursiveReferencesRequireWeakTypes { .. } => {
            at("an alias stands inside of what it stands for")
        }
        other => at(&DefaultMessageFormatter.format_message(other)),
    }
}

const SECOND_DOCUMENT: &str = "a second document starts here, but one file holds one";

fn limit_reached(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => format!("nested more than {DEPTH_MAX} deep"),
        BudgetBreach::Documents { .. } => SECOND_DOCUMENT.to_owned(),
        BudgetBreach::Nodes { .. } => format!("more than {NODES_MAX} values"),
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
            format!("more than {ALIASES_MAX} aliases")
        }
        BudgetBreach::RecordedAnchorEvents { .. } | BudgetBreach::AliasAnchorRatio { .. } => {
            aliases_too_large()
        }
        // The field names of the parser's own limits are plain enough.
        other => format!("the file is larger than the limits allow: {other:?}"),
    }
}

fn aliases_too_large() -> String {
    format!("the aliases stand for more than {ALIASED_EVENTS_MAX} values, or too often for one")
}

fn one_of(expected: &[&str]) -> Option<String> {
    (!expected.is_empty()).then(|| format!("expected one of: {}", expected.join(", ")))
}
