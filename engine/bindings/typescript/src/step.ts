/** What a handler is given. */

import type { Host } from "./host.ts";
import { CheckpointRefused, ClaimEnded } from "./errors.ts";
import { toJson } from "./json.ts";

/** The event that a step comes with, as the worker core writes it. */
export interface StepEvent {
  kind: "step";
  call: number;
  namespace: string;
  handler: string;
  task_uuid: string;
  step: string;
  type: StepType;
  attempt: number;
  max_attempts: number;
  timeout_ms: number;
  idempotency_token: string;
  context: any;
  parent_results: Record<string, any>;
  parents_failed: number;
  input: any;
  checkpoint: any;
}

/** What a step is to its task. */
export type StepType =
  "standard" | "decision" | "batchable" | "batch_worker" | "deferred_convergence";

/** Why a parent has failed. */
export interface ParentFailure {
  /** Who says so: `handler`, or a word of the engine's. */
  kind: string;
  /** For people. */
  message: string;
  /** The class of the exception, if there was one. */
  exception?: string;
  /** Where it was thrown. */
  stack?: string;
}

/** Writes into the worker's log, which is on standard error. */
export class Logger {
  readonly #name: string;
  readonly #write: (level: string, logger: string, message: string) => void;

  /** @internal */
  constructor(name: string, write: (level: string, logger: string, message: string) => void) {
    this.#name = name;
    this.#write = write;
  }

  /** Something that somebody has to look at. */
  error(message: string): void {
    this.#write("error", this.#name, String(message));
  }

  /** Something that may be wrong. */
  warn(message: string): void {
    this.#write("warn", this.#name, String(message));
  }

  /** Something that people may want to know. */
  info(message: string): void {
    this.#write("info", this.#name, String(message));
  }

  /** Something for who looks for a fault; shown with RUST_LOG=debug. */
  debug(message: string): void {
    this.#write("debug", this.#name, String(message));
  }
}

/** One attempt at a step. `Context` is the type of the task's context. */
export class Step<Context = any> {
  /** Namespace of the task's template. */
  readonly namespace: string;
  /** Name of the handler that the template asks for. */
  readonly handler: string;
  /** The task that the step belongs to. */
  readonly taskUuid: string;
  /** Name of the step in its task. */
  readonly name: string;
  /** What the step is to its task. */
  readonly type: StepType;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  /** Attempts that the template allows. */
  readonly maxAttempts: number;
  /** How long this attempt may take in milliseconds, heartbeats or not. */
  readonly timeoutMs: number;
  /**
   * The same for every attempt at this step, and for no other step: give it to systems outside as
   * their idempotency key, because a handler may run more than once.
   */
  readonly idempotencyToken: string;
  /** The task's context, as it was posted. */
  readonly context: Context;
  /**
   * The results of the steps that this one waited for, by their names. Those that were skipped or
   * have failed have none.
   */
  readonly parentResults: Record<string, any>;
  /** A batch worker's batch, as the batchable step made it; null for other steps. */
  readonly input: any;
  /** How far an earlier attempt at this step has come, if it said; else null. */
  readonly checkpoint: any;
  /** Writes into the worker's log, under the step's idempotency token. */
  readonly log: Logger;

  readonly #host: Host;
  readonly #call: number;
  readonly #text: string;
  readonly #parentsFailed: number;
  #controller: AbortController | undefined;
  #ended = false;

  /** @internal */
  constructor(event: StepEvent, text: string, host: Host) {
    this.namespace = event.namespace;
    this.handler = event.handler;
    this.taskUuid = event.task_uuid;
    this.name = event.step;
    this.type = event.type;
    this.attempt = event.attempt;
    this.maxAttempts = event.max_attempts;
    this.timeoutMs = event.timeout_ms;
    this.idempotencyToken = event.idempotency_token;
    this.context = event.context;
    this.parentResults = event.parent_results;
    this.input = event.input;
    this.checkpoint = event.checkpoint;
    this.log = new Logger(event.idempotency_token, host.log);
    this.#host = host;
    this.#call = event.call;
    this.#text = text;
    this.#parentsFailed = event.parents_failed;
  }

  /**
   * The results of a batch worker's instances, in the order of their batches. None of those that
   * have failed.
   */
  batchResults<Result = any>(worker: string): Result[] {
    const isInstance = (name: string) =>
      name.startsWith(`${worker}_`) && /^[0-9]{3,}$/.test(name.slice(worker.length + 1));
    const names = Object.keys(this.parentResults).filter(isInstance);
    names.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
    return names.map((name) => this.parentResults[name]);
  }

  /**
   * `context`, `parentResults`, `input` and `checkpoint` once more, with every number as the text
   * that it was written as: a JavaScript number holds 15 digits, and money may have more.
   */
  get exact(): { context: any; parentResults: Record<string, any>; input: any; checkpoint: any } {
    const event = JSON.parse(this.#text, asWritten as (key: string, value: unknown) => unknown);
    const { context, parent_results: parentResults, input, checkpoint } = event;
    return { context, parentResults, input, checkpoint };
  }

  /**
   * The errors of those parents that have failed and that this step goes on without, by their
   * names: instances of a batch worker whose template says `continue_on_failure`.
   *
   * @throws {Away} the database is away
   * @throws {ClaimEnded} the handler has answered already
   */
  async parentFailures(): Promise<Record<string, ParentFailure>> {
    return this.#parentsFailed === 0 ? {} : this.#host.parentFailures(this.#call);
  }

  /**
   * Tells that this handler is still at work: its lease begins anew, though no further than the
   * step's time-out. Nobody does so on its behalf: a handler that takes longer than the lease
   * (`--lease-ms`) and does not call this loses its step.
   *
   * @throws {ClaimEnded} stop: what this handler returns is not stored
   * @throws {Away} the database is away; try again
   */
  async heartbeat(): Promise<void> {
    await this.#host.heartbeat(this.#call, undefined);
  }

  /**
   * Tells that this handler is still at work, and how far it has come, for an attempt that follows
   * to go on from there. Durable when it resolves.
   *
   * @param checkpoint any JSON value
   * @throws {CheckpointRefused} it can't be stored
   * @throws {ClaimEnded} stop: what this handler returns is not stored
   * @throws {Away} the database is away; try again
   */
  async saveCheckpoint(checkpoint: unknown): Promise<void> {
    let json;
    try {
      json = toJson(checkpoint, "checkpoint");
    } catch (error) {
      throw new CheckpointRefused((error as Error).message, { cause: error });
    }
    await this.#host.heartbeat(this.#call, json);
  }

  /**
   * Whether the step is no longer this handler's: its task was cancelled, or the attempt has taken
   * too long. Known at once also to a handler that keeps the event loop busy.
   */
  get interrupted(): boolean {
    return this.#ended || this.#host.isInterrupted(this.#call);
  }

  /** Aborted, with a ClaimEnded as its reason, when the step is no longer this handler's. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort(new ClaimEnded(ENDED));
    return this.#controller.signal;
  }

  /** @internal */
  interrupt(): void {
    this.#ended = true;
    this.#controller?.abort(new ClaimEnded(ENDED));
  }
}

/** What `JSON.parse` calls with each value, and with its source. */
function asWritten(_key: string, value: unknown, { source }: { source: string }): unknown {
  return typeof value === "number" ? source : value;
}

const ENDED = "the step is no longer this handler's: it was cancelled, timed out or taken over";
