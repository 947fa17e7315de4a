/** The handlers of the workflow `@name@`. */

import { Fail, FanOut, type Step, type Worker } from "stepmark";

/** The template's namespace, and the scenario's name. */
const NAMESPACE = "@name@_typescript";

/** What a task may be given, from and to: so small that no result is too large. */
const [NUMBER_MIN, NUMBER_MAX] = [-(2 ** 15), 2 ** 15 - 1];
/** Most numbers in a batch. */
const BATCH_SIZE = 2;

/** What a batch comes to, and all of them. */
interface Sum {
  sum: number;
}

/** Registers the handlers, by the names that the template has for them. */
export function register(worker: Worker): void {
  worker
    .handler(NAMESPACE, "divide", divide)
    .handler(NAMESPACE, "work", work)
    .handler(NAMESPACE, "total", total);
}

/** Divides the numbers into batches: each becomes a step `work_001`, `work_002` and so on. */
async function divide({ context: { numbers } }: Step): Promise<FanOut> {
  // Another attempt is given the same: these failures are permanent.
  if (!Array.isArray(numbers)) throw new Fail(`numbers is ${JSON.stringify(numbers)}, not a list`);
  for (const number of numbers) {
    if (!Number.isInteger(number) || number < NUMBER_MIN || number > NUMBER_MAX) {
      const range = `${NUMBER_MIN} to ${NUMBER_MAX}`;
      throw new Fail(`${JSON.stringify(number)} is not an integer from ${range}`);
    }
  }
  const batches: number[][] = [];
  for (let begin = 0; begin < numbers.length; begin += BATCH_SIZE) {
    batches.push(numbers.slice(begin, begin + BATCH_SIZE));
  }
  return new FanOut({ batches: batches.length }, batches);
}

/** Adds the numbers of one batch. */
async function work(step: Step): Promise<Sum> {
  return { sum: added(step.input) };
}

/** Adds what the batches have come to. */
async function total(step: Step): Promise<Sum> {
  return { sum: added(step.batchResults("work").map(({ sum }: Sum) => sum)) };
}

function added(numbers: number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
