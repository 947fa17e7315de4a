//! Reading one counter out of Prometheus' text format.

/// The sum of a metric over all its labels; nothing when the page does not have it.
pub fn sum(page: &str, metric: &str) -> Option<f64> {
    sum_where(page, metric, &[])
}

/// The sum of a metric over those lines that have these labels with these values.
pub fn sum_where(page: &str, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => {
                let (given, value) = labelled.rsplit_once('}')?;
                let has = |(name, value): &(&str, &str)| {
                    given.split(',').any(|one| one == format!("{name}=\"{value}\""))
                };
                labels.iter().all(has).then_some(value)?
            }
            None => (rest.starts_with(' ') && labels.is_empty()).then_some(rest)?,
        };
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    values.reduce(|a, b| a + b)
}

/// The value of a label of a metric; nothing when the page does not have it.
pub fn label(page: &str, metric: &str, label: &str) -> Option<String> {
    let line = page.lines().find(|line| line.starts_with(metric))?;
    let (_, rest) = line.split_once(&format!("{label}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{label, sum, sum_where};

    #[test]
    fn a_counter_is_summed_over_its_labels_and_not_taken_for_its_namesakes() {
        let page = "# HELP sent_total Messages\n# TYPE sent_total counter\n\
                    sent_total{to=\"a b\"} 3\nsent_total{to=\"c\"} 4 1700000000\n\
                    sent_total_bytes 900\nidle 0\n";
        assert_eq!(sum(page, "sent_total"), Some(7.0));
        assert_eq!(sum_where(page, "sent_total", &[("to", "c")]), Some(4.0));
        assert_eq!(sum_where(page, "sent_total", &[("to", "d")]), None);
        assert_eq!(sum(page, "idle"), Some(0.0));
        assert_eq!(sum(page, "lost_total"), None);
    }

    #[test]
    fn a_label_is_found_in_its_metric() {
        let page = "# TYPE build_info untyped\nbuild_info{a=\"1\",version=\"3.10.8\"} 1\n";
        assert_eq!(label(page, "build_info", "version").unwrap(), "3.10.8");
        assert_eq!(label(page, "build_info", "colour"), None);
    }
}
