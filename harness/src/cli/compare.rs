//! `stepmark compare`.

use std::path::PathBuf;

use clap::Args;

use super::{GOOD, INVALID, complain, report};
use crate::compare::compare;
use crate::grid::Look;

/// Flags of `stepmark compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// A report: its folder, or its report.json.
    #[arg(value_name = "A")]
    first: PathBuf,
    /// The report that is set beside it.
    #[arg(value_name = "B")]
    second: PathBuf,
    /// Go on where the environments differ. Their times are shown, marked, without a ratio.
    #[arg(long)]
    anyway: bool,
    /// Print Markdown.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &CompareArgs) -> u8 {
    let (first, second) = match (report::parse(&args.first), report::parse(&args.second)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => return complain(INVALID, &error),
    };
    let names = [&args.first, &args.second].map(|path| path.display().to_string());
    let comparison = compare([&names[0], &names[1]], &first, &second);
    if let Some(refusal) = comparison.refusal().filter(|_| !args.anyway) {
        return complain(INVALID, &format!("{refusal}--anyway shows both all the same"));
    }
    let look = if args.markdown { Look::Markdown } else { Look::Terminal };
    print!("{}", comparison.render(look));
    GOOD
}
