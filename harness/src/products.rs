//! Products from a seed, as a CSV file for the batch scenarios, and the right answers to it.
//!
//! The answers are computed from the products themselves, in whole cents and hundredths: neither a
//! CSV file nor a decimal is read for them, and the handlers that they judge share nothing with it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroU64;

use serde_json::{Value, json};

use crate::workload::Draws;

/// The file's columns.
const COLUMNS: [&str; 11] = [
    "id",
    "title",
    "description",
    "category",
    "price",
    "discountPercentage",
    "rating",
    "stock",
    "brand",
    "sku",
    "weight",
];

const KINDS: [&str; 6] = ["plain", "large", "folding", "silent", "second-hand", "blue"];
const THINGS: [(&str, &str); 8] = [
    ("lamp", "home"),
    ("kettle", "kitchen"),
    ("27\" screen", "electronics"),
    ("spade", "garden"),
    ("thé vert", "groceries"),
    ("atlas", "books"),
    ("kite", "toys"),
    ("茶碗", "kitchen"),
];
const BRANDS: [&str; 4] = ["Orrery", "Brandt & Söhne", "O'Hara", "\"Quoted\", Inc."];

/// The highest price. One product in so many has it, so that there is always more than one.
const TOP_CENTS: u64 = 199_900;
const TOP_ONE_IN: u64 = 97;

/// A product. Money in cents, rating and discount in hundredths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    id: u64,
    title: String,
    description: String,
    category: &'static str,
    cents: u64,
    discount: u64,
    rating: u64,
    stock: u64,
    brand: &'static str,
    weight: u64,
}

/// The first `rows` products of a seed. The same for ever: they follow from seed and number alone.
pub fn products(seed: u64, rows: u64) -> impl Iterator<Item = Product> + Clone {
    (1..=rows).map(move |id| {
        let mut draw = Choices(Draws::new(seed, id, "product").draw());
        let kind = draw.one_of(&KINDS);
        let (thing, category) = draw.one_of(&THINGS);
        let title = match draw.below(3) {
            0 => format!("{thing}, {kind}"),
            _ => format!("{kind} {thing}"),
        };
        let description = match draw.below(4) {
            0 => format!("A {kind} {thing}.\nIt is \"as new\", they say."),
            1 => format!("A {kind} {thing}.\r\nKeep it dry, and out of the sun."),
            2 => String::new(),
            _ => format!("A {kind} {thing}"),
        };
        let cents = match draw.below(TOP_ONE_IN) {
            0 => TOP_CENTS,
            _ => 1 + draw.below(TOP_CENTS - 1),
        };
        Product {
            id,
            title,
            description,
            category,
            cents,
            discount: draw.below(3_000),
            rating: 100 + draw.below(401),
            stock: draw.below(200),
            brand: draw.one_of(&BRANDS),
            weight: 1 + draw.below(40),
        }
    })
}

/// Writes the products as RFC 4180 has it, lines ended with CR LF, and a header.
///
/// # Errors
/// The writer's own.
pub fn write_csv(products: impl Iterator<Item = Product>, mut to: impl Write) -> io::Result<()> {
    write!(to, "{}\r\n", COLUMNS.join(","))?;
    for product in products {
        let Product { id, title, description, category, stock, brand, weight, .. } = &product;
        let fields = [
            id.to_string(),
            title.clone(),
            description.clone(),
            (*category).to_owned(),
            hundredths(product.cents.into()),
            hundredths(product.discount.into()),
            hundredths(product.rating.into()),
            stock.to_string(),
            (*brand).to_owned(),
            format!("{}-{id:06}", category[..2].to_uppercase()),
            weight.to_string(),
        ];
        write!(to, "{}\r\n", fields.map(quoted).join(","))?;
    }
    Ok(())
}

fn quoted(field: String) -> String {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

/// The right answer to a task over these products, as an oracle's program would say it: the state
/// that it ends in, and each step's state and result.
pub fn expected(products: impl Iterator<Item = Product> + Clone, batch_size: NonZeroU64) -> Value {
    let size = usize::try_from(batch_size.get()).unwrap_or(usize::MAX);
    let all: Vec<Product> = products.collect();
    let step = |result: Value| json!({"state": "Complete", "result": result});
    let mut steps = BTreeMap::new();
    let batches = all.chunks(size).len();
    let analysis = json!({"rows": all.len(), "batches": batches, "columns": COLUMNS});
    steps.insert("analyze_csv".to_owned(), step(analysis));
    for (number, batch) in (1..).zip(all.chunks(size)) {
        steps.insert(format!("process_csv_batch_{number:03}"), step(inventory(batch)));
    }
    let mut total = inventory(&all);
    let (ratings, count) = (rating_sum(&all), all.len() as u128);
    // Half a unit of the fourth place goes up: (2 × 100 × Σ / n + 1) / 2, in whole numbers.
    let mean = (200 * ratings + count).checked_div(2 * count);
    total["rating_mean"] =
        mean.map_or(Value::Null, |m| format!("{}.{:04}", m / 10_000, m % 10_000).into());
    steps.insert("aggregate_csv_results".to_owned(), step(total));
    json!({"task_state": "Complete", "steps": steps})
}

fn inventory(products: &[Product]) -> Value {
    let value: u128 = products.iter().map(|p| u128::from(p.cents) * u128::from(p.stock)).sum();
    let mut by_category: BTreeMap<&str, u64> = BTreeMap::new();
    products.iter().for_each(|p| *by_category.entry(p.category).or_default() += 1);
    let mut dearest: Option<&Product> = None;
    for product in products {
        if dearest.is_none_or(|best| product.cents > best.cents) {
            dearest = Some(product);
        }
    }
    let dearest =
        dearest.map(|p| json!({"id": p.id, "title": p.title, "price": hundredths(p.cents.into())}));
    json!({
        "rows": products.len(),
        "inventory_value": hundredths(value),
        "products_by_category": by_category,
        "dearest": dearest,
        "rating_sum": hundredths(rating_sum(products)),
    })
}

fn rating_sum(products: &[Product]) -> u128 {
    products.iter().map(|product| u128::from(product.rating)).sum()
}

fn hundredths(value: u128) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

/// One draw for a whole product: 128 bits are far more than all that is chosen for it.
struct Choices(u128);

impl Choices {
    fn below(&mut self, end: u64) -> u64 {
        let end = u128::from(end.max(1));
        let chosen = self.0 % end;
        self.0 /= end;
        u64::try_from(chosen).unwrap_or_default() // it is below a u64
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let place = self.below(all.len() as u64);
        all[usize::try_from(place).unwrap_or_default()]
    }
}
