/** The handlers of the workflow `@name@`. */

import { Branch, Fail, type Step, type Worker } from "stepmark";

/** The template's namespace, and the scenario's name. */
const NAMESPACE = "@name@_typescript";

/** What a task may be given, from and to: so small that no result is too large. */
const [NUMBER_MIN, NUMBER_MAX] = [-(2 ** 15), 2 ** 15 - 1];
/** Numbers from here on are doubled and not squared. */
const LARGE = 100;

/** A step's result. */
interface Result {
  value: number;
}

/** Registers the handlers, by the names that the template has for them. */
export function register(worker: Worker): void {
  worker
    .handler(NAMESPACE, "choose", choose)
    .handler(NAMESPACE, "double", double)
    .handler(NAMESPACE, "square", square)
    .handler(NAMESPACE, "finish", finish);
}

/** Chooses a branch; the other one is skipped. */
async function choose({ context: { number } }: Step): Promise<Branch> {
  // Another attempt is given the same: this failure is permanent.
  if (!Number.isInteger(number) || number < NUMBER_MIN || number > NUMBER_MAX) {
    const range = `${NUMBER_MIN} to ${NUMBER_MAX}`;
    throw new Fail(`number is ${JSON.stringify(number)}, not an integer from ${range}`);
  }
  return new Branch({ value: number }, [number < LARGE ? "square" : "double"]);
}

/** Doubles the number. */
async function double(step: Step): Promise<Result> {
  return { value: chosen(step) * 2 };
}

/** Squares the number. */
async function square(step: Step): Promise<Result> {
  return { value: chosen(step) ** 2 };
}

/** Tells which branch has run and what it has made: a branch that was skipped gives no result. */
async function finish(step: Step): Promise<Record<string, number>> {
  const results: [string, Result][] = Object.entries(step.parentResults);
  return Object.fromEntries(results.map(([name, { value }]) => [name, value]));
}

/** The number that the decision was made for. */
function chosen({ parentResults }: Step): number {
  const result: Result | undefined = parentResults.choose;
  if (result === undefined) throw new Fail("no decision");
  return result.value;
}
