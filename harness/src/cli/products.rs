//! `stepmark products`: the file that the batch scenarios read, and the right answers to it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::{ENVIRONMENT, GOOD, complain};
use crate::products::{expected, products, write_csv};

/// Flags of `stepmark products`.
#[derive(Debug, Args)]
pub(super) struct ProductsArgs {
    /// Number of products.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    rows: u64,
    /// What the products follow from: the same seed gives the same file, and a longer one begins
    /// as a shorter one does.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print the right answer of a task over this file in batches of so many rows, as JSON and as
    /// an oracle's program says it, instead of the file.
    #[arg(long, value_name = "BATCH_SIZE")]
    expected: Option<NonZeroU64>,
    /// Where it goes [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &ProductsArgs) -> u8 {
    match write(args) {
        Ok(()) => GOOD,
        // Whoever reads it has seen enough.
        Err(error) if args.out.is_none() && error.kind() == io::ErrorKind::BrokenPipe => GOOD,
        Err(error) => {
            let place = args.out.as_ref().map_or("standard output".into(), |o| o.to_string_lossy());
            complain(ENVIRONMENT, &format!("{place}: {error}"))
        }
    }
}

fn write(args: &ProductsArgs) -> io::Result<()> {
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &args.out {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    });
    let products = products(args.seed, args.rows);
    match args.expected {
        Some(batch_size) => writeln!(out, "{:#}", expected(products, batch_size))?,
        None => write_csv(products, &mut out)?,
    }
    out.flush()
}
