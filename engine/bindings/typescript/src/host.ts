/** The event loop's side of a worker: takes events, runs handlers, answers. */

import { Away, ClaimEnded, told } from "./errors.ts";
import { type Handle, native } from "./native.ts";
import { answerOf, answerOfThrown } from "./outcome.ts";
import { Step, type StepEvent } from "./step.ts";

/** Runs a step: returns its result, or a promise of it. */
export type Run = (step: Step) => unknown;

type Event =
  | StepEvent
  | { kind: "interrupted"; call: number }
  | {
      kind: "answered";
      request: number;
      value: any;
      error: { kind: string; message: string } | null;
    };

/** A request to the core that is on its way. */
interface Request {
  resolve(value: any): void;
  reject(error: Error): void;
}

/** A handler at work. */
interface Call {
  step: Step;
  /** When it began, and how long its event took to read, in ns. */
  begun: number;
  readNs: number;
}

/** Most events taken in one turn of the event loop, which has other things to do too. */
const EVENTS_A_TURN_MAX = 64;
/** How often the timer rings that keeps the process alive. */
const ALIVE_MS = 1 << 30;

/** The host of one worker of the library's. */
export class Host {
  /** Resolves with the exit code when the worker has ended. */
  readonly ended: Promise<number>;
  readonly log: (level: string, logger: string, message: string) => void;
  readonly #native = native();
  readonly #find: (namespace: string, handler: string) => Run;
  readonly #calls = new Map<number, Call>();
  readonly #requests = new Map<number, Request>();
  readonly #alive = setInterval(() => {}, ALIVE_MS);
  readonly #drain = () => this.drain();
  readonly #end: (exitCode: number) => void;
  #worker: Handle | undefined;
  #requested = 0;

  constructor(
    worker: Handle,
    find: (namespace: string, handler: string) => Run,
    log: (level: string, logger: string, message: string) => void,
  ) {
    this.#worker = worker;
    this.#find = find;
    this.log = log;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#end = resolve;
    this.#native.awake.add(this.#drain);
    setImmediate(this.#drain); // what came before anybody could be woken
  }

  /** Takes what there is. */
  drain(): void {
    for (let taken = 0; this.#worker !== undefined; taken++) {
      if (taken === EVENTS_A_TURN_MAX) return void setImmediate(this.#drain);
      const begun = Bun.nanoseconds();
      const text = this.#native.tryTake(this.#worker);
      if (text === undefined) break;
      this.#on(JSON.parse(text), text, begun);
    }
    if (this.#worker === undefined) return;
    const exitCode = this.#native.ended(this.#worker);
    if (exitCode !== undefined) this.#finish(exitCode);
  }

  /** Tells the worker to drain. */
  stop(): void {
    if (this.#worker !== undefined) this.#native.stop(this.#worker);
  }

  async heartbeat(call: number, checkpoint: string | undefined): Promise<void> {
    await this.#request((worker, request) => {
      this.#native.heartbeat(worker, call, checkpoint, request);
    });
  }

  async parentFailures(call: number): Promise<Record<string, any>> {
    return this.#request((worker, request) => this.#native.parentFailures(worker, call, request));
  }

  isInterrupted(call: number): boolean {
    return this.#worker === undefined || this.#native.isInterrupted(this.#worker, call);
  }

  #on(event: Event, text: string, begun: number): void {
    switch (event.kind) {
      case "step":
        return this.#run(event, text, begun);
      case "interrupted":
        return this.#interrupt(event.call);
      case "answered":
        return this.#answered(event.request, event.value, event.error);
    }
  }

  #run(event: StepEvent, text: string, taken: number): void {
    const step = new Step(event, text, this);
    const { call } = event;
    const begun = Bun.nanoseconds();
    this.#calls.set(call, { step, begun, readNs: begun - taken });
    try {
      const returned = this.#find(event.namespace, event.handler)(step);
      // What is ready is answered without another turn.
      if (!isThenable(returned)) return this.#answer(call, answerOf, returned);
      Promise.resolve(returned).then(
        (value) => this.#answer(call, answerOf, value),
        (thrown) => this.#answer(call, answerOfThrown, thrown),
      );
    } catch (thrown) {
      this.#answer(call, answerOfThrown, thrown);
    }
  }

  /** Answers once: what comes later is nobody's. */
  #answer(number: number, write: (value: unknown) => string, value: unknown): void {
    const ended = Bun.nanoseconds();
    const call = this.#calls.get(number);
    if (this.#worker === undefined || call === undefined) return;
    this.#calls.delete(number);
    let answer: string;
    try {
      answer = write(value);
    } catch (thrown) {
      answer = answerOfThrown(thrown); // by a getter in the result
    }
    const jsonNs = call.readNs + Bun.nanoseconds() - ended;
    this.#native.answer(this.#worker, number, answer, ended - call.begun, jsonNs);
  }

  /** The step's handler is told to stop, and not waited for: its promise may never settle. */
  #interrupt(number: number): void {
    const call = this.#calls.get(number);
    this.#answer(number, answerOfThrown, new ClaimEnded("the handler was interrupted"));
    call?.step.interrupt();
  }

  #request(send: (worker: Handle, request: number) => void): Promise<any> {
    return new Promise((resolve, reject) => {
      if (this.#worker === undefined) return reject(new ClaimEnded("the worker has ended"));
      const request = ++this.#requested;
      this.#requests.set(request, { resolve, reject });
      send(this.#worker, request);
    });
  }

  #answered(number: number, value: any, error: { kind: string; message: string } | null): void {
    const request = this.#requests.get(number);
    this.#requests.delete(number);
    if (error === null) request?.resolve(value);
    else request?.reject(told(error.kind, error.message));
  }

  #finish(exitCode: number): void {
    this.#native.awake.delete(this.#drain);
    this.#worker = undefined;
    clearInterval(this.#alive);
    for (const request of this.#requests.values()) request.reject(new Away("the worker has ended"));
    this.#requests.clear();
    this.#end(exitCode);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
}
