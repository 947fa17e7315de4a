/** What a handler makes of its step, as the worker core reads it. */

import { Fail, Retry } from "./errors.ts";
import { NotJson, toJson } from "./json.ts";

/** A decision's outcome: its result, and the chosen ones of its branches; the rest is skipped. */
export class Branch {
  /**
   * @param result the step's result, any JSON value
   * @param branches names of steps that the template lists as branches
   */
  constructor(
    readonly result: unknown,
    readonly branches: readonly string[],
  ) {}
}

/**
 * A batchable step's outcome: its result, and what each instance of its batch worker is given.
 * Without batches there are no instances, and the convergence runs at once.
 */
export class FanOut {
  /**
   * @param result the step's result, any JSON value
   * @param batches the `input` of one instance each, any JSON values
   */
  constructor(
    readonly result: unknown,
    readonly batches: readonly unknown[],
  ) {}
}

/** The answer to a step whose handler returned this; nothing returned is null. */
export function answerOf(returned: unknown): string {
  try {
    if (returned instanceof Branch) return branch(returned);
    if (returned instanceof FanOut) return fanOut(returned);
    return `{"complete":{"result":${resultJson(returned)}}}`;
  } catch (error) {
    if (error instanceof NotJson) return failed("fail", { message: error.message });
    throw error;
  }
}

/** The answer to a step whose handler threw this. */
export function answerOfThrown(thrown: unknown): string {
  if (thrown instanceof Fail) return failed("fail", { message: thrown.message });
  if (thrown instanceof Retry) {
    const after = thrown.afterMs === undefined ? null : Math.ceil(thrown.afterMs);
    return failed("retry", { message: thrown.message }, after);
  }
  return failed("retry", described(thrown), null);
}

interface Failure {
  message: string;
  exception?: string;
  stack?: string;
}

function failed(kind: "fail" | "retry", failure: Failure, after_ms?: number | null): string {
  return JSON.stringify({ [kind]: { failure, after_ms } });
}

function branch({ result, branches }: Branch): string {
  if (!Array.isArray(branches) || !branches.every((name) => typeof name === "string")) {
    throw new NotJson("a Branch chooses an array of step names");
  }
  return `{"branch":{"result":${resultJson(result)},"branches":${JSON.stringify(branches)}}}`;
}

function fanOut({ result, batches }: FanOut): string {
  if (!Array.isArray(batches)) throw new NotJson("a FanOut has an array of batches");
  return `{"fan_out":{"result":${resultJson(result)},"batches":${toJson(batches, "batches")}}}`;
}

function resultJson(result: unknown): string {
  return result === undefined ? "null" : toJson(result, "result");
}

/** What is known of something thrown, whatever it is. */
function described(thrown: unknown): Failure {
  try {
    if (!(thrown instanceof Error)) {
      const exception = (thrown as object | null | undefined)?.constructor?.name ?? String(thrown);
      return { message: typeof thrown === "string" ? thrown : Bun.inspect(thrown), exception };
    }
    const { message, stack } = thrown;
    const exception = String(thrown.constructor?.name || thrown.name);
    const lines = trimmed(String(stack ?? ""));
    return { message: String(message), exception, stack: lines + because(thrown.cause) };
  } catch (error) {
    return { message: `an exception that can't be described: ${typeof thrown}` };
  }
}

function because(cause: unknown): string {
  if (cause === undefined) return "";
  const { message, exception, stack } = described(cause);
  return `\ncaused by ${stack ?? `${exception}: ${message}`}`;
}

/** Without the lines of this package. */
function trimmed(stack: string): string {
  const own = `${import.meta.dir}/`;
  return stack
    .split("\n")
    .filter((line) => !line.includes(own))
    .join("\n");
}
