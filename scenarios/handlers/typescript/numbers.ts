/** The number workflows: exact integers of any size, as decimal strings in JSON. */

import { Fail, type Step, type Worker } from "stepmark";

/** Where inputs end, as in the other languages. */
const INPUT_END = 2n ** 64n;

/** A step's result. */
interface Number {
  value: string;
}

/** Registers the handlers of linear, diamond, DAG and tree. */
export function register(worker: Worker): void {
  worker
    .handler("typescript_e2e_linear", "square", square)
    .handler("typescript_e2e_diamond", "square", square)
    .handler("typescript_e2e_diamond", "multiply_and_square", multiplyAndSquare)
    .handler("typescript_e2e_mixed_dag", "square", square)
    .handler("typescript_e2e_mixed_dag", "multiply_and_square", multiplyAndSquare)
    .handler("typescript_e2e_mixed_dag", "multiply_all_and_square", multiplyAndSquare)
    .handler("typescript_e2e_tree", "square", square)
    .handler("typescript_e2e_tree", "multiply_all_and_square", multiplyAndSquare);
}

/** Squares the value of its one parent, or the input where it has none. */
async function square(step: Step): Promise<Number> {
  const [value = input(step), ...others] = parentValues(step);
  if (others.length > 0) throw new Fail("square takes one parent at most");
  return squared(value);
}

/** Multiplies the values of all parents, then squares. */
async function multiplyAndSquare(step: Step): Promise<Number> {
  const values = parentValues(step);
  if (values.length === 0) throw new Fail("there is no parent to multiply the values of");
  return squared(values.reduce((product, value) => product * value));
}

/** The same input would be as wrong at the next attempt: these failures are permanent. */
function input(step: Step): bigint {
  const written: unknown = step.exact.context.even_number;
  const number = typeof step.context.even_number === "number";
  if (!number || typeof written !== "string" || !/^\d+$/.test(written)) {
    throw new Fail(`even_number is ${JSON.stringify(written)}, which is no whole number from 0 on`);
  }
  const value = BigInt(written);
  if (value >= INPUT_END) throw new Fail(`even_number is ${value}, which has more than 64 bits`);
  if (value % 2n !== 0n) throw new Fail(`even_number is ${value}, which is odd`);
  return value;
}

function parentValues(step: Step): bigint[] {
  return Object.entries(step.parentResults).map(([name, result]) => {
    const value: unknown = result?.value;
    if (typeof value !== "string" || !/^[+-]?\d+$/.test(value)) {
      throw new Fail(`${name} gave ${JSON.stringify(value)}, not an integer`);
    }
    return BigInt(value.replace("+", ""));
  });
}

function squared(value: bigint): Number {
  return { value: (value * value).toString() };
}
