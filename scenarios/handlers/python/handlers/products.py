"""The product inventory: an analysis divides a CSV file into batches, a worker reads each, and an
aggregate merges what they found.

The analysis notes at which byte each batch begins, so that a worker reads its own stretch of the
file and nothing else. All sums are exact decimals.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, localcontext
from typing import Any, BinaryIO, NoReturn, Optional

from stepmark import Fail, FanOut, Retry, Step, Worker

from . import given

NAMESPACE = "csv_processing_python"

#: Decimal places of sums of money and ratings, at least.
SUM_PLACES = 2
#: Decimal places of the mean rating.
MEAN_PLACES = Decimal("0.0001")
#: Longest stretch of one batch, in bytes: it is read as a whole.
STRETCH_BYTES_MAX = 256 << 20
#: Digits enough for every product and sum of decimals.
EXACT = Context(prec=100, traps=[Inexact])

csv.field_size_limit(STRETCH_BYTES_MAX)


def register(worker: Worker) -> None:
    """Registers the handlers of the product inventory."""
    worker.handler(NAMESPACE, "analyze_csv")(analyze_csv)
    worker.handler(NAMESPACE, "process_csv_batch")(process_csv_batch)
    worker.handler(NAMESPACE, "aggregate_csv_results")(aggregate_csv_results)


def analyze_csv(step: Step) -> FanOut:
    """Divides the file."""
    path = given.field(step.context, "csv_path", str)
    size = given.count(step.context, "batch_size")
    if size == 0:
        raise Fail("batch_size is 0: it must be above 0")
    try:
        with open(path, "rb") as file:
            return analyze(path, file, size)
    except OSError as error:
        absent(path, error)


def process_csv_batch(step: Step) -> dict[str, Any]:
    """Takes stock of one batch."""
    batch = Batch(
        csv_path=given.field(step.input, "csv_path", str),
        **{name: given.count(step.input, name) for name in COUNTS},
    )
    if not step.parent_results:
        raise Fail("a batch without an analysis")
    analysis = next(iter(step.parent_results.values()))
    return take_stock(batch, given.field(analysis, "columns", list), read_stretch(batch)).document()


def aggregate_csv_results(step: Step) -> dict[str, Any]:
    """Merges what the batches came to."""
    inventory = Inventory()
    for part in step.batch_results("process_csv_batch"):
        inventory.add(Inventory.read(part))
    return inventory.total()


def absent(path: str, error: OSError) -> NoReturn:
    """A file that isn't there may come, so this may be retried."""
    raise Retry(f"{path}: {error.strerror or error} (os error {error.errno})") from None


COUNTS = ("first_row", "last_row", "from_byte", "to_byte")


@dataclass
class Batch:
    """One worker's part: rows, counted from 1, and the bytes where they stand."""

    csv_path: str
    first_row: int
    last_row: int
    from_byte: int
    to_byte: int


def records(file: BinaryIO) -> Iterator[tuple[list[str], int, int]]:
    """The records, and at which byte each begins and ends. Bytes are as many characters."""
    place = 0

    def lines() -> Iterator[str]:
        nonlocal place
        for line in io.TextIOWrapper(file, "latin-1", newline=""):
            place += len(line)
            yield line

    begin = 0
    for record in csv.reader(lines()):
        if record:  # an empty line is none
            yield record, begin, place
        begin = place


def analyze(path: str, file: BinaryIO, size: int) -> FanOut:
    """Reads the file once, record by record: its columns, its rows, and where each batch
    stands."""
    columns: list[str] = []
    rows, batches = 0, []
    try:
        for record, from_byte, to_byte in records(file):
            if not columns:
                # A file may say that it is UTF-8.
                columns = [cell.encode("latin-1").decode("utf-8-sig") for cell in record]
                continue
            of_its_length(record, columns)
            if rows % size == 0:
                batches.append(Batch(path, rows + 1, 0, from_byte, 0))
            rows += 1
            batches[-1].last_row, batches[-1].to_byte = rows, to_byte
    except (csv.Error, ValueError) as error:
        raise Fail(f"{path}: {error}") from None
    analysis = {"rows": rows, "batches": len(batches), "columns": columns}
    return FanOut(analysis, [vars(batch) for batch in batches])


def of_its_length(record: list[str], columns: list[str]) -> None:
    """ValueError where it isn't as long as the header."""
    if len(record) != len(columns):
        raise ValueError(f"found record with {len(record)} fields, the header has {len(columns)}")


def read_stretch(batch: Batch) -> bytes:
    """Reads the batch's stretch of its file, and nothing else of it."""
    length = max(batch.to_byte - batch.from_byte, 0)
    if length > STRETCH_BYTES_MAX:
        raise Fail(f"a batch of {length} bytes is too large: make batch_size smaller")
    try:
        with open(batch.csv_path, "rb") as file:
            file.seek(batch.from_byte)
            stretch = file.read(length)
    except OSError as error:
        absent(batch.csv_path, error)
    if len(stretch) < length:
        raise Retry(f"{batch.csv_path}: failed to fill whole buffer")
    return stretch


def take_stock(batch: Batch, columns: list[str], stretch: bytes) -> Inventory:
    """What the rows of a stretch amount to."""
    inventory = Inventory()
    try:
        for record in filter(None, csv.reader(io.StringIO(stretch.decode(), newline=""))):
            of_its_length(record, columns)
            inventory.add(Inventory.of(dict(zip(columns, record))))
    except (csv.Error, ValueError) as error:
        row = batch.first_row + inventory.rows
        raise Fail(f"{batch.csv_path}: row {row}: {error}") from None
    wanted = batch.last_row - batch.first_row + 1
    if inventory.rows != wanted:
        raise Fail(
            f"{batch.csv_path}: there were {wanted} rows from {batch.first_row} on, and now there "
            f"are {inventory.rows}: the file has changed"
        )
    return inventory


@dataclass
class Product:
    """A product and what it costs."""

    id: int
    title: str
    price: Decimal

    def document(self) -> dict[str, Any]:
        """Decimals are texts in JSON."""
        return {"id": self.id, "price": f"{self.price:f}", "title": self.title}


@dataclass
class Inventory:
    """What is known of some rows."""

    rows: int = 0
    #: Σ price × stock.
    inventory_value: Decimal = Decimal(0)
    products_by_category: Counter[str] = field(default_factory=Counter)
    #: Of several that are as dear, the one with the lowest id.
    dearest: Optional[Product] = None
    rating_sum: Decimal = Decimal(0)

    @staticmethod
    def of(row: dict[str, str]) -> Inventory:
        """Of one row. ValueError."""
        try:
            price = given.decimal(row["price"])
            value = EXACT.multiply(price, Decimal(number(row["stock"])))
            return Inventory(
                rows=1,
                inventory_value=given.representable(value),
                products_by_category=Counter([row["category"]]),
                dearest=Product(number(row["id"]), row["title"], price),
                rating_sum=given.decimal(row["rating"]),
            )
        except KeyError as missing:
            raise ValueError(f"missing field `{missing.args[0]}`") from None

    @staticmethod
    def read(document: Any) -> Inventory:
        """Of a batch's result."""
        dearest = document["dearest"]
        return Inventory(
            rows=document["rows"],
            inventory_value=given.decimal(document["inventory_value"]),
            products_by_category=Counter(document["products_by_category"]),
            dearest=dearest and Product(**{**dearest, "price": given.decimal(dearest["price"])}),
            rating_sum=given.decimal(document["rating_sum"]),
        )

    def add(self, other: Inventory) -> None:
        """Takes another's rows to these."""
        self.rows += other.rows
        self.inventory_value = add(self.inventory_value, other.inventory_value)
        self.products_by_category.update(other.products_by_category)
        both = [product for product in (self.dearest, other.dearest) if product is not None]
        self.dearest = max(both, key=lambda it: (it.price, -it.id), default=None)
        self.rating_sum = add(self.rating_sum, other.rating_sum)

    def document(self) -> dict[str, Any]:
        """A batch's result."""
        return {
            "dearest": self.dearest and self.dearest.document(),
            "inventory_value": f"{self.inventory_value:f}",
            "products_by_category": dict(sorted(self.products_by_category.items())),
            "rating_sum": f"{self.rating_sum:f}",
            "rows": self.rows,
        }

    def total(self) -> dict[str, Any]:
        """The inventory of all rows, with their mean rating, rounded half up; none of no rows."""
        # No parts have no decimal places yet.
        self.inventory_value = add(self.inventory_value, Decimal(0))
        self.rating_sum = add(self.rating_sum, Decimal(0))
        mean = None
        if self.rows:
            with localcontext(Context(prec=100)):
                mean = (self.rating_sum / self.rows).quantize(MEAN_PLACES, ROUND_HALF_UP)
        document = {**self.document(), "rating_mean": None if mean is None else f"{mean:f}"}
        return dict(sorted(document.items()))


def number(cell: str) -> int:
    """A count or an id. ValueError."""
    value = given.integer(cell)
    if not 0 <= value <= given.COUNT_MAX:
        raise ValueError(f"{cell} is not between 0 and {given.COUNT_MAX}")
    return value


def add(a: Decimal, b: Decimal) -> Decimal:
    """The exact sum, with two decimal places or more."""
    total = EXACT.add(a, b)
    exponent = total.as_tuple().exponent
    if isinstance(exponent, int) and exponent > -SUM_PLACES:
        total = EXACT.quantize(total, Decimal(1).scaleb(-SUM_PLACES))
    try:
        return given.representable(total)
    except ValueError:
        raise Fail("a sum has more than 28 digits") from None
