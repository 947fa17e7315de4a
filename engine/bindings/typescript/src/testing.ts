/**
 * Handlers tried out in memory: a whole task from its creation to its end without database, broker
 * or clock. Steps run one after the other, and a retry comes at once, whatever its backoff.
 */

import { AssertionError } from "node:assert";
import { Host } from "./host.ts";
import { type Handle, native } from "./native.ts";
import type { Worker } from "./worker.ts";

/** A task at its end. */
export interface EndedTask {
  /** The state that it has ended in, such as `Complete` or `Error`. */
  state: string;
  /** Every step by its name, the instances of batch workers included. */
  steps: Record<string, EndedStep>;
}

/** A step of a task at its end. */
export interface EndedStep {
  /** The state that it has ended in, such as `Complete`, `Error` or `Skipped`. */
  state: string;
  /** What its handler has made, if it is Complete; else null. */
  result: any;
  /** The error of its last attempt, if that has failed; else null. */
  error: { kind: string; message: string; exception?: string; stack?: string } | null;
  /** The attempts made. */
  attempts: number;
}

/**
 * Runs a task through the worker's handlers, to its end.
 *
 * @param template path of a template's file
 * @param context the task's context, a JSON object
 * @throws {Error} the template or the context can't be used
 */
export async function runTask(
  worker: Worker,
  template: string,
  context: object,
): Promise<EndedTask> {
  const handlers = worker.handlerList();
  const handle = native().runTask(handlers, template, JSON.stringify(context));
  const { good, text } = await verdict(worker, handle);
  if (!good) throw new Error(text);
  return JSON.parse(text);
}

/**
 * Runs each input of a scenario whose right answers stand beside it (`input` with `expected`, or
 * `cases`) through the worker's handlers.
 *
 * @param scenario path of the scenario's file
 * @param templates folder of the templates
 * @param options `namespace`: the template of this namespace is run instead of the scenario's own
 * @throws {AssertionError} names step, result and right result where an answer is wrong
 */
export async function checkScenario(
  worker: Worker,
  scenario: string,
  templates: string,
  options: { namespace?: string } = {},
): Promise<void> {
  const handlers = worker.handlerList();
  const handle = native().checkScenario(handlers, scenario, templates, options.namespace);
  const { good, text } = await verdict(worker, handle);
  if (!good) throw new AssertionError({ message: text, stackStartFn: checkScenario });
}

async function verdict(worker: Worker, handle: Handle): Promise<{ good: boolean; text: string }> {
  const log = (level: string, logger: string, message: string) =>
    console.error(`${level.toUpperCase()} ${logger}: ${message}`);
  await new Host(handle, worker.find, log).ended;
  const verdict = native().verdict(handle);
  native().release(handle);
  return verdict;
}
