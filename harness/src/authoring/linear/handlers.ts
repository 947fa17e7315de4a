/** The handlers of the workflow `@name@`. */

import { Fail, type Step, type Worker } from "stepmark";

/** The template's namespace, and the scenario's name. */
const NAMESPACE = "@name@_typescript";

/** What a task may be given, from and to: so small that no result is too large. */
const [NUMBER_MIN, NUMBER_MAX] = [-(2 ** 15), 2 ** 15 - 1];

/** A step's result. */
interface Result {
  value: number;
}

/** Registers the handlers, by the names that the template has for them. */
export function register(worker: Worker): void {
  worker
    .handler(NAMESPACE, "double", double)
    .handler(NAMESPACE, "increase", increase)
    .handler(NAMESPACE, "square", square);
}

/** Doubles the task's number. */
async function double(step: Step): Promise<Result> {
  return { value: given(step) * 2 };
}

/** Adds one to what the step `double` has made. */
async function increase(step: Step): Promise<Result> {
  return { value: valueOf(step, "double") + 1 };
}

/** Squares what the step `increase` has made. */
async function square(step: Step): Promise<Result> {
  return { value: valueOf(step, "increase") ** 2 };
}

/** The task's number. Another attempt is given the same: this failure is permanent. */
function given({ context: { number } }: Step): number {
  if (Number.isInteger(number) && NUMBER_MIN <= number && number <= NUMBER_MAX) return number;
  const range = `${NUMBER_MIN} to ${NUMBER_MAX}`;
  throw new Fail(`number is ${JSON.stringify(number)}, not an integer from ${range}`);
}

/** The result of a step that this one depends on. */
function valueOf({ parentResults }: Step, parent: string): number {
  const result: Result | undefined = parentResults[parent];
  if (result === undefined) throw new Fail(`no ${parent}`);
  return result.value;
}
