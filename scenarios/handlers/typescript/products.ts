/**
 * The product inventory: an analysis divides a CSV file into batches, a worker reads each, and an
 * aggregate merges what they found.
 *
 * The analysis notes at which byte each batch begins, so that a worker reads its own stretch of the
 * file and nothing else. All sums are exact decimals.
 */

import { Fail, FanOut, Retry, type Step, type Worker } from "stepmark";
import { CsvError, records } from "./csv.ts";
import { Decimal, DecimalError } from "./decimal.ts";

const NAMESPACE = "csv_processing_typescript";

/** Decimal places of sums of money and ratings, at least. */
const SUM_PLACES = 2;
/** Decimal places of the mean rating. */
const MEAN_PLACES = 4;
/** Longest stretch of one batch, in bytes: it is read as a whole. */
const STRETCH_BYTES_MAX = 256 * 2 ** 20;
/** Rows after which the event loop has its turn. */
const ROWS_A_TURN_MAX = 5_000;
/** What is read of a row, in the order of `Row`. */
const COLUMNS = ["id", "title", "category", "price", "rating", "stock"] as const;

/** What the analysis has found. */
interface Analysis {
  rows: number;
  batches: number;
  columns: string[];
}

/** One worker's part: rows, counted from 1, and the bytes where they stand. */
export interface Batch {
  csv_path: string;
  first_row: number;
  last_row: number;
  from_byte: number;
  to_byte: number;
}

/** A product and what it costs. */
interface Product {
  id: number;
  price: Decimal;
  title: string;
}

/** Registers the handlers of the product inventory. */
export function register(worker: Worker): void {
  worker
    .handler(NAMESPACE, "analyze_csv", analyzeCsv)
    .handler(NAMESPACE, "process_csv_batch", processCsvBatch)
    .handler(NAMESPACE, "aggregate_csv_results", aggregateCsvResults);
}

async function analyzeCsv({ context }: Step): Promise<FanOut> {
  const { csv_path, batch_size } = context;
  if (typeof csv_path !== "string") throw new Fail("csv_path is no text");
  if (!Number.isSafeInteger(batch_size) || batch_size < 1) {
    throw new Fail(`batch_size is ${JSON.stringify(batch_size)}, which is no whole number above 0`);
  }
  const bytes = await read(csv_path, () => Bun.file(csv_path).bytes());
  const [analysis, batches] = await permanent(csv_path, () => analyze(csv_path, bytes, batch_size));
  return new FanOut(analysis, batches);
}

async function processCsvBatch(step: Step) {
  const batch: Batch = step.input;
  const [analysis] = Object.values(step.parentResults) as Analysis[];
  if (analysis === undefined) throw new Fail("a batch without an analysis");
  const length = batch.to_byte - batch.from_byte;
  if (length > STRETCH_BYTES_MAX) {
    throw new Fail(`a batch of ${length} bytes is too large: make batch_size smaller`);
  }
  const file = Bun.file(batch.csv_path).slice(batch.from_byte, batch.to_byte);
  const stretch = await read(batch.csv_path, () => file.bytes());
  if (stretch.length < length) throw new Retry(`${batch.csv_path}: the file has become shorter`);
  return (await takeStock(batch, analysis.columns, stretch)).toJson();
}

async function aggregateCsvResults(step: Step) {
  const parts = step.batchResults("process_csv_batch").map(Inventory.fromJson);
  return permanent("the sum of all", () => merged(parts).total());
}

/** A file that isn't there may come, so this may be retried. */
async function read(path: string, from: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await from();
  } catch (error) {
    throw new Retry(`${path}: ${(error as Error).message}`);
  }
}

/** What is wrong with the data stays wrong. */
async function permanent<T>(where: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CsvError || error instanceof DecimalError)) throw error;
    throw new Fail(`${where}: ${error.message}`);
  }
}

/** Reads the file once, record by record: its columns, its rows, and where each batch stands. */
export async function analyze(
  csv_path: string,
  bytes: Uint8Array,
  size: number,
): Promise<[Analysis, Batch[]]> {
  const reader = records(bytes);
  const columns: string[] = reader.next().value?.fields ?? [];
  const batches: Batch[] = [];
  let rows = 0;
  for (const { fromByte, toByte } of reader) {
    if (rows % size === 0) {
      const place = { from_byte: fromByte, to_byte: toByte };
      batches.push({ csv_path, first_row: rows + 1, last_row: rows + 1, ...place });
    }
    rows++;
    const batch = batches.at(-1)!;
    [batch.last_row, batch.to_byte] = [rows, toByte];
    if (rows % ROWS_A_TURN_MAX === 0) await turn();
  }
  return [{ rows, batches: batches.length, columns }, batches];
}

/** What the rows of a stretch amount to. */
export async function takeStock(
  batch: Batch,
  columns: string[],
  stretch: Uint8Array,
): Promise<Inventory> {
  const inventory = new Inventory();
  const row = () => `${batch.csv_path}: row ${batch.first_row + inventory.rows}`;
  try {
    const places = COLUMNS.map((name) => columns.indexOf(name));
    if (places.includes(-1))
      throw new CsvError(`there is no column ${COLUMNS[places.indexOf(-1)]}`);
    for (const { fields } of records(stretch, columns.length)) {
      inventory.addRow(places.map((place) => fields[place]!));
      if (inventory.rows % ROWS_A_TURN_MAX === 0) await turn();
    }
  } catch (error) {
    if (!(error instanceof CsvError || error instanceof DecimalError)) throw error;
    throw new Fail(`${row()}: ${error.message}`);
  }
  const wanted = batch.last_row - batch.first_row + 1;
  if (inventory.rows !== wanted) {
    throw new Fail(
      `${batch.csv_path}: there were ${wanted} rows from ${batch.first_row} on, ` +
        `and now there are ${inventory.rows}: the file has changed`,
    );
  }
  return inventory;
}

/** What is known of some rows. Decimals are texts in JSON, and names are in order. */
export class Inventory {
  rows = 0;
  /** Σ price × stock. */
  inventoryValue = Decimal.ZERO;
  ratingSum = Decimal.ZERO;
  /** Of several that are as dear, the one with the lowest id. */
  dearest: Product | undefined;
  /** A map: a category may be called as objects' own properties are. */
  readonly productsByCategory = new Map<string, number>();

  /** @param row its fields, as `COLUMNS` names them */
  addRow(row: string[]): void {
    const [id, title, category, price, rating, stock] = row as [string, ...string[]] & string[];
    const product = { id: Number(whole("id", id)), price: Decimal.parse(price!), title: title! };
    const value = product.price.times(whole("stock", stock!));
    const ratings = Decimal.parse(rating!);
    this.#add(1, value, ratings, product, [[category!, 1]]);
  }

  /** Takes another's rows to these. */
  add({ rows, inventoryValue, ratingSum, dearest, productsByCategory }: Inventory): void {
    this.#add(rows, inventoryValue, ratingSum, dearest, productsByCategory);
  }

  #add(
    rows: number,
    value: Decimal,
    ratings: Decimal,
    product: Product | undefined,
    categories: Iterable<[string, number]>,
  ): void {
    this.rows += rows;
    this.inventoryValue = this.inventoryValue.plus(value).padded(SUM_PLACES);
    this.ratingSum = this.ratingSum.plus(ratings).padded(SUM_PLACES);
    for (const [category, count] of categories) {
      const before = this.productsByCategory.get(category) ?? 0;
      this.productsByCategory.set(category, before + count);
    }
    if (product !== undefined && isDearer(product, this.dearest)) this.dearest = product;
  }

  static fromJson(this: void, json: ReturnType<Inventory["toJson"]>): Inventory {
    const inventory = new Inventory();
    const { dearest, products_by_category: categories } = json;
    const product = dearest && { ...dearest, price: Decimal.parse(dearest.price) };
    const [value, ratings] = [json.inventory_value, json.rating_sum].map(Decimal.parse);
    inventory.#add(json.rows, value!, ratings!, product ?? undefined, Object.entries(categories));
    return inventory;
  }

  toJson() {
    const { dearest, productsByCategory } = this;
    const inOrder = [...productsByCategory].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      dearest: dearest ? { ...dearest, price: dearest.price.toString() } : null,
      inventory_value: this.inventoryValue.toString(),
      products_by_category: Object.fromEntries(inOrder),
      rating_sum: this.ratingSum.toString(),
      rows: this.rows,
    };
  }

  /** With the mean rating, rounded half up; none of no rows. */
  total() {
    // No parts have no decimal places yet.
    this.#add(0, Decimal.ZERO, Decimal.ZERO, undefined, []);
    const { rating_sum, rows, ...before } = this.toJson();
    const mean = rows === 0 ? null : this.ratingSum.dividedBy(BigInt(rows), MEAN_PLACES);
    return { ...before, rating_mean: mean?.toString() ?? null, rating_sum, rows };
  }
}

/** The inventory of all parts. */
export function merged(parts: Inventory[]): Inventory {
  const all = new Inventory();
  for (const part of parts) all.add(part);
  return all;
}

function isDearer(product: Product, than: Product | undefined): boolean {
  if (than === undefined) return true;
  const difference = product.price.compare(than.price);
  return difference > 0 || (difference === 0 && product.id <= than.id);
}

/** A whole number from 0 on that JSON holds exactly. */
function whole(name: string, text: string): bigint {
  if (!/^\+?\d+$/.test(text) || Number(text) > Number.MAX_SAFE_INTEGER) {
    throw new CsvError(`${name} is ${JSON.stringify(text)}, no whole number below 2^53`);
  }
  return BigInt(text.replace("+", ""));
}

/** Lets the event loop do what else there is. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
