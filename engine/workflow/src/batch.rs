//! Batches: how rows are divided among workers, and what the workers are called.

use std::num::NonZeroU64;

/// Digits of an instance's number, at least.
const NUMBER_DIGITS_MIN: usize = 3;

/// Rows `first` to `last`, both included and counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowRange {
    /// The first row.
    pub first: u64,
    /// The last row.
    pub last: u64,
}

/// The rows, `size` to a batch: ceil(rows / size) ranges, of which the last may be shorter. No
/// rows make no batch.
pub fn ranges(rows: u64, size: NonZeroU64) -> impl ExactSizeIterator<Item = RowRange> {
    let size = size.get();
    let batches = usize::try_from(rows.div_ceil(size)).unwrap_or(usize::MAX);
    (0..batches).map(move |batch| {
        let before = batch as u64 * size;
        RowRange { first: before + 1, last: before.saturating_add(size).min(rows) }
    })
}

/// The name of a batch worker's instance, counted from 1: `process_csv_batch_001`.
#[must_use]
pub fn instance_name(worker: &str, number: usize) -> String {
    format!("{worker}_{number:0digits$}", digits = NUMBER_DIGITS_MIN)
}

/// Whether a step of this name could be an instance of the batch worker.
#[must_use]
pub fn is_instance(name: &str, worker: &str) -> bool {
    let number = name.strip_prefix(worker).and_then(|rest| rest.strip_prefix('_'));
    number.is_some_and(|number| {
        number.len() >= NUMBER_DIGITS_MIN && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sizes(rows: u64) -> Vec<u64> {
        let ranges = ranges(rows, NonZeroU64::new(200).unwrap());
        ranges.map(|range| range.last - range.first + 1).collect()
    }

    #[test]
    fn rows_are_divided_without_gap_and_the_last_batch_has_what_is_left() {
        assert!(sizes(0).is_empty());
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(199), [199]);
        assert_eq!(sizes(200), [200]);
        assert_eq!(sizes(201), [200, 1]);
        assert_eq!(sizes(1_000), [200; 5]);
        let mut next = 1;
        for range in ranges(100_001, NonZeroU64::new(7).unwrap()) {
            assert_eq!(range.first, next);
            next = range.last + 1;
        }
        assert_eq!(next, 100_002);
    }

    #[test]
    fn instances_are_numbered_with_three_digits_and_more_when_there_are_more() {
        assert_eq!(instance_name("process_csv_batch", 1), "process_csv_batch_001");
        assert_eq!(instance_name("w", 1_000), "w_1000");
        assert!(is_instance("w_001", "w") && is_instance("w_1000", "w"));
        assert!(!is_instance("w_01", "w") && !is_instance("w_00x", "w") && !is_instance("w", "w"));
    }
}
