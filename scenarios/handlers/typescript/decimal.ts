/** Exact decimals with the limits of the other languages' handlers: 96 bits, 28 decimal places. */

const PLACES_MAX = 28;
const UNITS_END = 2n ** 96n;
const FORM = /^([+-]?)(\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE]([+-]?\d+))?$/;

/** A text that is no decimal, or a decimal beyond the limits. */
export class DecimalError extends Error {
  override name = "DecimalError";
}

/** A whole number of units of 10^-places. */
export class Decimal {
  static readonly ZERO = new Decimal(0n, 0);

  /** @throws {DecimalError} it is beyond the limits */
  constructor(
    readonly units: bigint,
    readonly places: number,
  ) {
    const size = units < 0n ? -units : units;
    if (places > PLACES_MAX) throw new DecimalError(`more than ${PLACES_MAX} decimal places`);
    if (size >= UNITS_END) throw new DecimalError(`more than ${PLACES_MAX} digits`);
  }

  /**
   * As it is written, with its decimal places; an exponent moves the point.
   *
   * @throws {DecimalError} it is no decimal, or beyond the limits
   */
  static parse(text: string): Decimal {
    const [, sign, digits, exponent = "0"] = FORM.exec(text) ?? [];
    if (digits === undefined) throw new DecimalError("not a decimal number");
    const shift = Number(exponent);
    if (Math.abs(shift) > PLACES_MAX) throw new DecimalError(`an exponent beyond ${PLACES_MAX}`);
    const [whole = "", fraction = ""] = digits.replaceAll("_", "").split(".");
    const size = BigInt(whole + fraction);
    const units = sign === "-" ? -size : size;
    const places = fraction.length - shift;
    return places < 0 ? new Decimal(units * ten(-places), 0) : new Decimal(units, places);
  }

  /** The exact sum, with the decimal places of the one that has more. */
  plus(other: Decimal): Decimal {
    const places = Math.max(this.places, other.places);
    return new Decimal(this.at(places) + other.at(places), places);
  }

  times(count: bigint): Decimal {
    return new Decimal(this.units * count, this.places);
  }

  /** The same value with at least so many decimal places. */
  padded(places: number): Decimal {
    return places <= this.places ? this : new Decimal(this.at(places), places);
  }

  /** The quotient with so many decimal places; half a unit goes away from zero. */
  dividedBy(count: bigint, places: number): Decimal {
    const [above, below] = [2n * this.units * ten(places), 2n * count * ten(this.places)];
    const half = this.units < 0n ? -below / 2n : below / 2n;
    return new Decimal((above + half) / below, places);
  }

  /** Below 0, 0 or above 0, as this is less than, equal to or more than the other. */
  compare(other: Decimal): number {
    const places = Math.max(this.places, other.places);
    const difference = this.at(places) - other.at(places);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }

  toString(): string {
    const digits = (this.units < 0n ? -this.units : this.units).toString();
    const padded = digits.padStart(this.places + 1, "0");
    const whole = padded.slice(0, padded.length - this.places);
    const sign = this.units < 0n ? "-" : "";
    return sign + whole + (this.places > 0 ? `.${padded.slice(-this.places)}` : "");
  }

  private at(places: number): bigint {
    return this.units * ten(places - this.places);
  }
}

function ten(power: number): bigint {
  return 10n ** BigInt(power);
}
