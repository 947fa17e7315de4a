//! `stepmark task prune`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::api::{Api, Failure, print};
use crate::task::document::Pruned;

/// Tasks that one request looks at.
const BATCH: u64 = 1_000;

/// Flags of `stepmark task prune`.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Those that ended longer ago than this: a number and ms, s, m, h, d or w, such as 30d.
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Duration,
    /// Those in this state: Complete, Cancelled or Error; the first two when left out. May be
    /// given several times.
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Look at no more than this many of the oldest tasks [default: all].
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Prune<'a> {
    older_than_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<&'a [String]>,
    limit: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
}

fn age(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err("not a number and ms, s, m, h, d or w, such as 30d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|error| format!("{number:?}: {error}"))?;
    // Kept within what the API can be told.
    let ms = number.checked_mul(unit_ms).filter(|ms| i64::try_from(*ms).is_ok());
    ms.map(Duration::from_millis).ok_or_else(|| "too long".to_owned())
}

pub(super) async fn run(api: &Api, args: &PruneArgs) -> Result<(), Failure> {
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut all = Pruned { pruned: 0, next: None };
    loop {
        let prune = Prune {
            older_than_ms: args.older_than.as_millis().try_into().unwrap_or(u64::MAX),
            states: Some(&args.state[..]).filter(|states| !states.is_empty()),
            limit: left.min(BATCH),
            after: all.next,
        };
        let document = api.post(&["tasks", "prune"], &prune).await?;
        let batch: Pruned = api.read(&document)?;
        left -= prune.limit;
        all = Pruned { pruned: all.pruned + batch.pruned, next: batch.next };
        if left == 0 || batch.next.is_none() {
            break;
        }
        eprintln!("pruned so far: {}", all.pruned);
    }
    match (api.json, all.pruned) {
        (true, _) => print(&json!({"pruned": all.pruned, "next": all.next}).to_string()),
        (false, 1) => print("1 task pruned"),
        (false, many) => print(&format!("{many} tasks pruned")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_a_number_and_a_unit() {
        let ms = |text| age(text).map(|age| age.as_millis());
        let told = ["0ms", "90s", "5m", "2h", "30d", "1w"].map(ms);
        let meant = [0, 90_000, 300_000, 7_200_000, 2_592_000_000, 604_800_000];
        assert_eq!(told, meant.map(Ok));
        for text in ["", "30", "d", "-1d", "1.5h", "1 d", "1y", "99999999999999w", "9d9d"] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
