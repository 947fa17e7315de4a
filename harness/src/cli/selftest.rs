//! `stepmark selftest`.

use super::{ENVIRONMENT, GOOD, INVALID, complain};
use crate::selftest::{self, Check};

pub(super) async fn run() -> u8 {
    let tell = |check: &Check| {
        let word = if check.holds { "ok" } else { "FAILED" };
        println!("{word:>6}  {}\n        {}", check.what, check.seen);
    };
    match selftest::run(tell).await {
        Err(error) => complain(ENVIRONMENT, &format!("the synthetic system: {error}")),
        Ok(checks) if checks.iter().all(|check| check.holds) => GOOD,
        Ok(_) => {
            complain(INVALID, &"the instrument does not tell what is: trust none of its figures")
        }
    }
}
