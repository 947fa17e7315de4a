//! What the instances of batch workers are called.

/// Digits of an instance's number, at least.
const NUMBER_DIGITS_MIN: usize = 3;

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
    use super::*;

    #[test]
    fn instances_are_numbered_with_three_digits_and_more_when_there_are_more() {
        assert_eq!(instance_name("process_csv_batch", 1), "process_csv_batch_001");
        assert_eq!(instance_name("w", 1_000), "w_1000");
        assert!(is_instance("w_001", "w") && is_instance("w_1000", "w"));
        assert!(!is_instance("w_01", "w") && !is_instance("w_00x", "w") && !is_instance("w", "w"));
    }
}
