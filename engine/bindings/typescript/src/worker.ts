/** A worker: handlers, and the way to run them. */

import { basename } from "node:path";
import { Host, type Run } from "./host.ts";
import { native } from "./native.ts";
import type { Step } from "./step.ts";

/** A handler: returns the step's result, a Branch or a FanOut, or a promise of it; or throws. */
export type Handler<Context = any> = (step: Step<Context>) => unknown;

/** A handler as an object, or as a class that is made anew for each step. */
export interface HandlerObject<Context = any> {
  call(step: Step<Context>): unknown;
}

/**
 * A worker: handlers by namespace and name.
 *
 * ```ts
 * const worker = new Worker();
 * worker.handler("examples", "greet", async (step) => ({ text: `Hello, ${step.context.name}!` }));
 * process.exit(await worker.run());
 * ```
 */
export class Worker {
  readonly #handlers = new Map<string, Map<string, Run>>();
  #host: Host | undefined;

  /**
   * Registers the handler that templates of `namespace` call `name`. It may run more than once for
   * a step, on any worker: what it does outside must be keyed by `step.idempotencyToken`. Handlers
   * overlap; one that computes long without `await` holds up all others, and its process is ended
   * when it does not return in time.
   *
   * @throws {TypeError} it is no handler, or there is one already
   */
  handler<Context = any>(
    namespace: string,
    name: string,
    handler: Handler<Context> | HandlerObject<Context> | (new () => HandlerObject<Context>),
  ): this {
    const handlers = this.#handlers.get(namespace) ?? new Map<string, Run>();
    if (handlers.has(name)) throw new TypeError(`${namespace}/${name} has a handler already`);
    handlers.set(name, runOf(handler, `${namespace}/${name}`));
    this.#handlers.set(namespace, handlers);
    return this;
  }

  /**
   * Runs the worker as a program until it has drained, on SIGTERM, Ctrl-C or `stop()`:
   * configuration from flags and environment (`--help` tells them), log on standard error.
   *
   * @param argv the program's name and its flags
   * @returns the exit code: 0 drained, or help was asked for; 2 bad configuration; 3 no database,
   * broker or port; 75 a handler did not end. Give it to `process.exit`: handlers that were given
   * up may hold the process otherwise.
   * @throws {NativeMissing} the worker core's library can't be used
   */
  async run(argv: readonly string[] = process.argv.slice(1)): Promise<number> {
    const [program = "worker", ...flags] = argv;
    const started = native().start(this.handlerList(), [basename(program), ...flags]);
    if ("exitCode" in started) return started.exitCode;
    const log = (level: string, logger: string, message: string) =>
      native().log(level, logger, message);
    this.#host = new Host(started.worker, this.find, log);
    return this.#host.ended;
  }

  /** Has a worker that runs drain: `run` resolves then. */
  stop(): void {
    this.#host?.stop();
  }

  /** @internal The handlers as the worker core reads them. */
  handlerList(): string {
    const of = ([namespace, handlers]: [string, Map<string, Run>]) =>
      [...handlers.keys()].map((name) => [namespace, name]);
    return JSON.stringify([...this.#handlers].flatMap(of));
  }

  /** @internal The core asks for none but those that it was told. */
  readonly find = (namespace: string, name: string): Run =>
    this.#handlers.get(namespace)!.get(name)!;
}

function runOf(handler: Handler | HandlerObject | (new () => HandlerObject), name: string): Run {
  if (typeof handler !== "function") {
    if (typeof handler?.call !== "function") {
      throw new TypeError(`${name}: a handler is a function, or has a method \`call\``);
    }
    return (step) => handler.call(step);
  }
  // Every function has a `call`; a class of handlers has one of its own.
  if (typeof handler.prototype?.call === "function") {
    const Class = handler as new () => HandlerObject;
    return (step) => new Class().call(step);
  }
  return handler as Run;
}
