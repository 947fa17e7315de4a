/** Decimals and CSV as the other languages' handlers have them. */

import { describe, expect, test } from "bun:test";
import { CsvError, records } from "./csv.ts";
import { Decimal, DecimalError } from "./decimal.ts";
import { analyze, type Batch, takeStock } from "./products.ts";

describe("decimals", () => {
  test("are read as they are written", () => {
    const cases: Record<string, string> = {
      ".5": "0.5",
      "5.": "5",
      "+5": "5",
      "-0.00": "0.00",
      "00012.50": "12.50",
      "1.50e1": "15.0",
      "1.5E-3": "0.0015",
      "1e28": "10000000000000000000000000000",
      "79228162514264337593543950335": "79228162514264337593543950335",
      "0.0000000000000000000000000001": "0.0000000000000000000000000001",
      "1_0e+02": "1000",
    };
    for (const [text, right] of Object.entries(cases)) {
      expect(Decimal.parse(text).toString()).toBe(right);
    }
  });

  test("beyond the limits, or none, are refused", () => {
    const wrong = [
      "",
      ".",
      "_1",
      "1e29",
      "1e-29",
      "79228162514264337593543950336",
      " 1",
      "1e",
      "--1",
    ];
    for (const text of [...wrong, "7.9228162514264337593543950336", "1.2.3", "1e3.5", "١"]) {
      expect(() => Decimal.parse(text)).toThrow(DecimalError);
    }
  });

  test("a mean is rounded half up", () => {
    for (const [sum, rows, mean] of [
      ["0.0003", 2n, "0.0002"],
      ["2.00", 3n, "0.6667"],
      ["8", 2n, "4.0000"],
      ["-0.0003", 2n, "-0.0002"],
    ] as const) {
      expect(Decimal.parse(sum).dividedBy(rows, 4).toString()).toBe(mean);
    }
  });
});

describe("CSV", () => {
  const read = (text: string) => [...records(new TextEncoder().encode(text))];
  const fields = (text: string) => read(text).map((record) => record.fields);

  test("fields are quoted or plain, lines end in any way, and empty ones are none", () => {
    const text = 'id,title\r\n1,"a, ""b""\r\nc"\r\n2,plain\n\n\r\n3,"x"y\n4,a"b"\r5,"q""r\n';
    expect(fields(text)).toEqual([
      ["id", "title"],
      ["1", 'a, "b"\r\nc'],
      ["2", "plain"],
      ["3", "xy"],
      ["4", 'a"b"'],
      ["5", 'q"r\n'],
    ]);
    // A line feed after a carriage return, and empty lines, count to the record that follows.
    expect(read(text).map(({ fromByte, toByte }) => [fromByte, toByte])).toEqual([
      [0, 9],
      [9, 26],
      [26, 35],
      [35, 45],
      [45, 52],
      [52, 60],
    ]);
  });

  test("fields may be empty, and a byte order mark is none of their text", () => {
    expect(fields('\ufeffa,b\n,\n"",\ufeffz')).toEqual([
      ["a", "b"],
      ["", ""],
      ["", "\ufeffz"],
    ]);
    expect(fields("a,b\n1,")).toEqual([
      ["a", "b"],
      ["1", ""],
    ]);
    expect(fields("")).toEqual([]);
  });

  test("records of another length, and bytes that are no text, are refused", () => {
    expect(() => read("a,b\n1,2,3\n")).toThrow(CsvError);
    expect(() => [...records(Uint8Array.of(0xff, 0x0a))]).toThrow(CsvError);
  });
});

test("a stretch that is not what it was is refused", async () => {
  const file = new TextEncoder().encode(
    "id,title,category,price,rating,stock\n1,a,b,1.00,2.00,3\n2,c,d,1.00,2.00,3\n",
  );
  const [analysis, [batch]] = await analyze("p.csv", file, 2);
  const stretch = file.subarray(batch!.from_byte, batch!.to_byte);
  const columns = analysis.columns;
  const taking = (batch: Batch, columns: string[], bytes: Uint8Array) =>
    expect(takeStock(batch, columns, bytes));
  await taking(batch!, columns, stretch).resolves.toMatchObject({ rows: 2 });
  await taking(batch!, columns, stretch.subarray(0, 20)).rejects.toThrow(
    "row 2: record 2 has 2 fields",
  );
  await taking(batch!, columns, new Uint8Array()).rejects.toThrow("the file has changed");
  await taking(batch!, ["id"], stretch).rejects.toThrow("there is no column");
});
