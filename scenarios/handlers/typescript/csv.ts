/** CSV as RFC 4180 has it, with the bytes where each record stands. */

const [LINE_FEED, CARRIAGE_RETURN, QUOTE, COMMA] = [10, 13, 34, 44];
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Text that is no CSV. */
export class CsvError extends Error {
  override name = "CsvError";
}

/** A record, with the bytes from the end of the one before it to its own end. */
export interface CsvRecord {
  fields: string[];
  fromByte: number;
  toByte: number;
}

/**
 * The records of these bytes, one after the other. Lines without anything are none. A line feed
 * after a carriage return counts to the record that follows.
 *
 * @param width fields that each record has; undefined for as many as the first one
 * @throws {CsvError} a record of another width, or bytes that are no UTF-8
 */
export function* records(bytes: Uint8Array, width?: number): Generator<CsvRecord> {
  let fromByte = 0;
  let at = BYTE_ORDER_MARK.every((byte, place) => bytes[place] === byte) ? 3 : 0;
  for (let number = 1; ; number++) {
    while (bytes[at] === LINE_FEED || bytes[at] === CARRIAGE_RETURN) at++;
    if (at >= bytes.length) return;
    const fields: string[] = [];
    for (let more = true; more;) {
      const [field, end] = readField(bytes, at);
      fields.push(field);
      more = bytes[end] === COMMA;
      at = end + 1;
    }
    const toByte = Math.min(at, bytes.length);
    width ??= fields.length;
    if (fields.length !== width) {
      throw new CsvError(`record ${number} has ${fields.length} fields, not ${width}`);
    }
    yield { fields, fromByte, toByte };
    fromByte = toByte;
  }
}

/** A field, and the place of what ends it. */
function readField(bytes: Uint8Array, from: number): [string, number] {
  if (bytes[from] !== QUOTE) {
    const end = plainEnd(bytes, from);
    return [decode(bytes.subarray(from, end)), end];
  }
  let text = "";
  for (let start = from + 1; ;) {
    const quote = bytes.indexOf(QUOTE, start);
    if (quote === -1) return [text + decode(bytes.subarray(start)), bytes.length];
    text += decode(bytes.subarray(start, quote));
    if (bytes[quote + 1] !== QUOTE) {
      // What follows the closing quote belongs to the field as it is.
      const end = plainEnd(bytes, quote + 1);
      return [text + decode(bytes.subarray(quote + 1, end)), end];
    }
    text += '"';
    start = quote + 2;
  }
}

function plainEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === COMMA || byte === LINE_FEED || byte === CARRIAGE_RETURN) break;
  }
  return at;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new CsvError("not UTF-8");
  }
}
