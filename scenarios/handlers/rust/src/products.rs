//! The product inventory: an analysis divides a CSV file into batches, a worker reads each, and an
//! aggregate merges what they found.
//!
//! The analysis notes at which byte each batch begins, so that a worker reads its own stretch of
//! the file and nothing else. All sums are exact decimals.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use stepmark_engine::worker::{Outcome, Step, StepError, Worker};

const NAMESPACE: &str = "csv_processing_rust";

/// Decimal places of sums of money and ratings, at least.
const SUM_PLACES: u32 = 2;
/// Decimal places of the mean rating.
const MEAN_PLACES: u32 = 4;
/// Longest stretch of one batch, in bytes: it is read as a whole.
const STRETCH_BYTES_MAX: u64 = 256 << 20;

/// What a task is given.
#[derive(Debug, Deserialize)]
struct Request {
    /// The file, as the workers see it.
    csv_path: String,
    /// Rows a batch.
    batch_size: NonZeroU64,
}

/// What the analysis has found.
#[derive(Debug, Serialize, Deserialize)]
struct Analysis {
    rows: u64,
    batches: u64,
    columns: Vec<String>,
}

/// One worker's part: rows, counted from 1, and the bytes where they stand.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Batch {
    csv_path: String,
    first_row: u64,
    last_row: u64,
    from_byte: u64,
    to_byte: u64,
}

/// A row, as far as it is looked at. Decimals are texts: through a float they would not be exact.
#[derive(Debug, Deserialize)]
struct Row<'r> {
    id: u64,
    title: &'r str,
    category: &'r str,
    price: &'r str,
    rating: &'r str,
    stock: u64,
}

/// A product and what it costs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    title: String,
    price: Decimal,
}

/// What is known of some rows. Decimals are texts in JSON.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Inventory {
    rows: u64,
    /// Σ price × stock.
    inventory_value: Decimal,
    products_by_category: BTreeMap<String, u64>,
    /// Of several that are as dear, the one with the lowest id.
    dearest: Option<Product>,
    rating_sum: Decimal,
}

/// The inventory of all rows.
#[derive(Debug, Serialize)]
struct Total {
    #[serde(flatten)]
    inventory: Inventory,
    /// Rounded half up; none of no rows.
    rating_mean: Option<Decimal>,
}

/// Registers the handlers of the product inventory.
pub fn register(worker: Worker) -> Worker {
    worker
        .handler(NAMESPACE, "analyze_csv", analyze_csv)
        .handler(NAMESPACE, "process_csv_batch", process_csv_batch)
        .handler(NAMESPACE, "aggregate_csv_results", aggregate_csv_results)
}

async fn analyze_csv(step: Step) -> Result<Outcome, StepError> {
    let request: Request = step.context().map_err(StepError::permanent)?;
    let (analysis, batches) = blocking(move || {
        let file = File::open(&request.csv_path).map_err(|error| at(&request.csv_path, error))?;
        analyze(&request.csv_path, BufReader::with_capacity(1 << 16, file), request.batch_size)
    })
    .await?;
    Ok(Outcome::fan_out(analysis, batches))
}

async fn process_csv_batch(step: Step) -> Result<Outcome, StepError> {
    let batch: Batch = step.input().map_err(StepError::permanent)?;
    let mut analyses: BTreeMap<String, Analysis> =
        step.parent_results().map_err(StepError::permanent)?;
    let Some((_, analysis)) = analyses.pop_first() else {
        return Err(StepError::permanent("a batch without an analysis"));
    };
    let inventory = blocking(move || {
        let stretch = read_stretch(&batch)?;
        take_stock(&batch, &analysis.columns, &stretch)
    })
    .await?;
    Ok(serde_json::to_value(inventory)?.into())
}

async fn aggregate_csv_results(step: Step) -> Result<Outcome, StepError> {
    let parts: Vec<Inventory> =
        step.batch_results("process_csv_batch").map_err(StepError::permanent)?;
    let mut all = Inventory::default();
    for part in parts {
        all.add(part)?;
    }
    Ok(serde_json::to_value(all.total()?)?.into())
}

/// Files are read on threads of their own: handlers share theirs.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StepError> + Send + 'static,
) -> Result<T, StepError> {
    tokio::task::spawn_blocking(work).await?
}

/// A file that isn't there may come, so this may be retried.
fn at(path: &str, error: io::Error) -> StepError {
    StepError::retry(format!("{path}: {error}"))
}

/// Reads the file once, record by record: its columns, its rows, and where each batch stands.
fn analyze(
    path: &str,
    file: impl Read,
    size: NonZeroU64,
) -> Result<(Analysis, Vec<Batch>), StepError> {
    let bad = |error: csv::Error| match error.is_io_error() {
        true => StepError::retry(format!("{path}: {error}")),
        false => StepError::permanent(format!("{path}: {error}")),
    };
    let mut reader = ReaderBuilder::new().from_reader(file);
    let columns: Vec<String> =
        reader.headers().map_err(bad)?.iter().map(ToOwned::to_owned).collect();
    let (mut record, mut rows) = (ByteRecord::new(), 0);
    let mut batches: Vec<Batch> = Vec::new();
    while reader.read_byte_record(&mut record).map_err(bad)? {
        let from_byte = record.position().map_or(0, csv::Position::byte);
        if rows % size == 0 {
            let (first_row, csv_path) = (rows + 1, path.to_owned());
            batches.push(Batch { csv_path, first_row, last_row: 0, from_byte, to_byte: 0 });
        }
        rows += 1;
        if let Some(batch) = batches.last_mut() {
            (batch.last_row, batch.to_byte) = (rows, reader.position().byte());
        }
    }
    Ok((Analysis { rows, batches: batches.len() as u64, columns }, batches))
}

/// Reads the batch's stretch of its file, and nothing else of it.
fn read_stretch(batch: &Batch) -> Result<Vec<u8>, StepError> {
    let length = batch.to_byte.saturating_sub(batch.from_byte);
    if length > STRETCH_BYTES_MAX {
        let message = format!("a batch of {length} bytes is too large: make batch_size smaller");
        return Err(StepError::permanent(message));
    }
    let mut stretch = vec![0; usize::try_from(length)?];
    let read = File::open(&batch.csv_path)
        .and_then(|file| file.read_exact_at(&mut stretch, batch.from_byte));
    read.map_err(|error| at(&batch.csv_path, error))?;
    Ok(stretch)
}

/// What the rows of a stretch amount to.
fn take_stock(batch: &Batch, columns: &[String], stretch: &[u8]) -> Result<Inventory, StepError> {
    let bad = |row: u64, error: &dyn std::fmt::Display| {
        StepError::permanent(format!("{}: row {row}: {error}", batch.csv_path))
    };
    let header = StringRecord::from(columns);
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(stretch);
    let (mut record, mut inventory) = (StringRecord::new(), Inventory::default());
    loop {
        let row = batch.first_row + inventory.rows;
        if !reader.read_record(&mut record).map_err(|error| bad(row, &error))? {
            break;
        }
        let parsed: Row<'_> =
            record.deserialize(Some(&header)).map_err(|error| bad(row, &error))?;
        inventory.add(Inventory::of(&parsed).map_err(|error| bad(row, &error))?)?;
    }
    let wanted = batch.last_row - batch.first_row + 1;
    if inventory.rows != wanted {
        let message = format!(
            "{}: there were {wanted} rows from {} on, and now there are {}: the file has changed",
            batch.csv_path, batch.first_row, inventory.rows
        );
        return Err(StepError::permanent(message));
    }
    Ok(inventory)
}

impl Inventory {
    /// Of one row.
    fn of(row: &Row<'_>) -> Result<Self, rust_decimal::Error> {
        let price = Decimal::from_str_exact(row.price)?;
        let value = price.checked_mul(row.stock.into());
        Ok(Self {
            rows: 1,
            inventory_value: value.ok_or(rust_decimal::Error::ExceedsMaximumPossibleValue)?,
            products_by_category: BTreeMap::from([(row.category.to_owned(), 1)]),
            dearest: Some(Product { id: row.id, title: row.title.to_owned(), price }),
            rating_sum: Decimal::from_str_exact(row.rating)?,
        })
    }

    /// Takes another's rows to these.
    fn add(&mut self, other: Self) -> Result<(), StepError> {
        self.rows += other.rows;
        self.inventory_value = sum(self.inventory_value, other.inventory_value)?;
        for (category, count) in other.products_by_category {
            *self.products_by_category.entry(category).or_default() += count;
        }
        let dearest = self.dearest.take().into_iter().chain(other.dearest);
        self.dearest = dearest.max_by(|a, b| (a.price, b.id).cmp(&(b.price, a.id)));
        self.rating_sum = sum(self.rating_sum, other.rating_sum)?;
        Ok(())
    }

    fn total(mut self) -> Result<Total, StepError> {
        // No parts have no decimal places yet.
        for value in [&mut self.inventory_value, &mut self.rating_sum] {
            *value = sum(*value, Decimal::ZERO)?;
        }
        let half_up = RoundingStrategy::MidpointAwayFromZero;
        let mean = self.rating_sum.checked_div(self.rows.into());
        let mut mean = mean.map(|mean| mean.round_dp_with_strategy(MEAN_PLACES, half_up));
        mean.iter_mut().for_each(|mean| mean.rescale(MEAN_PLACES));
        Ok(Total { inventory: self, rating_mean: mean })
    }
}

/// The exact sum, with two decimal places or more.
fn sum(a: Decimal, b: Decimal) -> Result<Decimal, StepError> {
    let sum = a.checked_add(b);
    let mut sum = sum.ok_or_else(|| StepError::permanent("a sum has more than 28 digits"))?;
    if sum.scale() < SUM_PLACES {
        sum.rescale(SUM_PLACES);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILE: &str = concat!(
        "id,title,category,price,rating,stock\r\n",
        "1,\"a, \"\"b\"\"\r\nc\",tools,10.05,4.50,3\r\n",
        "2,plain,toys,7.1,3.00,0\n",
        "\n",
        "3,\"two\nlines\",tools,10.05,4.99,2\n",
        "4,\"last\",books,0.01,1,1"
    );

    fn batches(size: u64) -> (Analysis, Vec<Batch>) {
        analyze("p.csv", FILE.as_bytes(), NonZeroU64::new(size).unwrap()).ok().unwrap()
    }

    fn stretch(batch: &Batch) -> &'static [u8] {
        let place = |byte: u64| usize::try_from(byte).unwrap();
        &FILE.as_bytes()[place(batch.from_byte)..place(batch.to_byte)]
    }

    fn merged(size: u64) -> Inventory {
        let (analysis, batches) = batches(size);
        let mut all = Inventory::default();
        for batch in &batches {
            let part = take_stock(batch, &analysis.columns, stretch(batch)).ok().unwrap();
            all.add(part).ok().unwrap();
        }
        all
    }

    #[test]
    fn batches_of_any_size_have_the_same_inventory_from_their_own_bytes_alone() {
        for size in 1..=5 {
            let (analysis, batches) = batches(size);
            assert_eq!((analysis.rows, analysis.batches), (4, 4_u64.div_ceil(size)));
            for pair in batches.windows(2) {
                assert!(pair[0].to_byte <= pair[1].from_byte, "{pair:?}");
                assert_eq!(pair[0].last_row + 1, pair[1].first_row, "{pair:?}");
            }
            let all = merged(size);
            assert_eq!(all.inventory_value.to_string(), "50.26", "{size}");
            assert_eq!(all.rating_sum.to_string(), "13.49");
            let dearest = all.dearest.as_ref().unwrap();
            assert_eq!((dearest.id, &*dearest.title), (1, "a, \"b\"\r\nc"));
            assert_eq!(all.products_by_category["tools"], 2);
            // 3.3725 exactly; half a unit in the fourth place goes up.
            assert_eq!(all.total().ok().unwrap().rating_mean.unwrap().to_string(), "3.3725");
        }
    }

    #[test]
    fn no_rows_have_no_mean() {
        let total = Inventory::default().total().ok().unwrap();
        let json = serde_json::to_value(total).unwrap();
        assert_eq!(json["inventory_value"], "0.00");
        assert!(json["rating_mean"].is_null() && json["dearest"].is_null(), "{json}");
    }

    #[test]
    fn a_mean_is_rounded_half_up() {
        for (sum, rows, mean) in
            [("0.0003", 2, "0.0002"), ("2.00", 3, "0.6667"), ("8", 2, "4.0000")]
        {
            let rating_sum = Decimal::from_str_exact(sum).unwrap();
            let all = Inventory { rows, rating_sum, ..Inventory::default() };
            assert_eq!(all.total().ok().unwrap().rating_mean.unwrap().to_string(), mean);
        }
    }

    #[test]
    fn a_stretch_that_is_not_what_it_was_is_refused() {
        let (analysis, batches) = batches(2);
        let half = &stretch(&batches[0])[..20];
        assert!(take_stock(&batches[0], &analysis.columns, half).is_err());
        assert!(take_stock(&batches[0], &analysis.columns, b"").is_err());
        assert!(take_stock(&batches[0], &["id".to_owned()], stretch(&batches[0])).is_err());
    }

    #[test]
    fn a_row_of_another_length_is_an_error_of_the_file() {
        let size = NonZeroU64::new(2).unwrap();
        assert!(analyze("p.csv", &b"id,title\n1,a\n2,b,c\n"[..], size).is_err());
    }
}
