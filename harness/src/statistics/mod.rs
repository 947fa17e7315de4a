//! What samples say and how sure it is. Pure: values in, figures out.

mod comb;
mod drift;
mod quantile;
mod signed_rank;
mod step;

pub use comb::{Comb, comb};
pub use drift::{Drift, drift};
pub use quantile::{Ends, Interval, interval, median_interval, quantile_of_sorted, ranks};
pub use signed_rank::{is_at_least, p_above, shift};
pub use step::{RUNS_MIN, Step, steps};
