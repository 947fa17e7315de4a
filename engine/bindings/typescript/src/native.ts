/** The worker core's library: stepmark.h says what each function does and who owns which memory. */

import { CString, dlopen, JSCallback, type Pointer, suffix } from "bun:ffi";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { NativeMissing } from "./errors.ts";

/** Older ones corrupt their heap when a library's own thread calls back. */
const BUN = ">=1.4.5";

/** A worker of the library's. */
export type Handle = Pointer | bigint;
/** A text of no length that is none at all: NULL. */
const NONE: [null, number] = [null, 0];

const SYMBOLS = {
  stepmark_start: { args: ["ptr", "usize", "ptr", "usize", "function", "ptr"], returns: "ptr" },
  stepmark_run_task: {
    args: ["ptr", "usize", "ptr", "usize", "ptr", "usize", "function"],
    returns: "ptr",
  },
  stepmark_check_scenario: {
    args: ["ptr", "usize", "ptr", "usize", "ptr", "usize", "ptr", "usize", "function"],
    returns: "ptr",
  },
  stepmark_try_take: { args: ["ptr", "ptr"], returns: "ptr" },
  stepmark_answer: { args: ["ptr", "u64", "ptr", "usize", "u64", "u64"], returns: "void" },
  stepmark_heartbeat: { args: ["ptr", "u64", "ptr", "usize", "u64"], returns: "void" },
  stepmark_parent_failures: { args: ["ptr", "u64", "u64"], returns: "void" },
  stepmark_is_interrupted: { args: ["ptr", "u64"], returns: "bool" },
  stepmark_stop: { args: ["ptr"], returns: "void" },
  stepmark_ended: { args: ["ptr", "ptr"], returns: "bool" },
  stepmark_verdict: { args: ["ptr", "ptr", "ptr"], returns: "ptr" },
  stepmark_release: { args: ["ptr"], returns: "void" },
  stepmark_log: { args: ["ptr", "usize", "ptr", "usize", "ptr", "usize"], returns: "void" },
  stepmark_text_free: { args: ["ptr", "usize"], returns: "void" },
} as const;

/** The library, loaded when it is first asked for. */
export function native(): Native {
  return (loaded ??= new Native());
}
let loaded: Native | undefined;

/** One text that the library writes about: its length; and one byte besides. */
const length = new BigUint64Array(1);
const byte = new Uint8Array(1);

class Native {
  readonly #symbols = open();
  /** Never closed: the library may call it as long as the process lives. */
  readonly #callback = new JSCallback(() => this.#wakeAll(), {
    args: [],
    returns: "void",
    threadsafe: true,
  });
  readonly #wake = this.#callback.ptr;
  /** What is called, on the event loop, when there may be events. */
  readonly awake = new Set<() => void>();

  #wakeAll(): void {
    for (const drain of this.awake) drain();
  }

  /** Starts a worker as a program; or the exit code of one that is not to run. */
  start(handlers: string, program: string[]): { worker: Handle } | { exitCode: number } {
    const told = JSON.stringify(program);
    const symbols = this.#symbols;
    const worker = symbols.stepmark_start(...text(handlers), ...text(told), this.#wake, byte);
    return worker === null ? { exitCode: byte[0]! } : { worker };
  }

  runTask(handlers: string, template: string, context: string): Handle {
    const given = [...text(handlers), ...text(template), ...text(context)] as const;
    return this.#symbols.stepmark_run_task(...given, this.#wake)!;
  }

  checkScenario(handlers: string, scenario: string, templates: string, namespace?: string): Handle {
    const given = [...text(handlers), ...text(scenario), ...text(templates)] as const;
    const own = namespace === undefined ? NONE : text(namespace);
    return this.#symbols.stepmark_check_scenario(...given, ...own, this.#wake)!;
  }

  /** The next event, if there is one. */
  tryTake(worker: Handle): string | undefined {
    return this.#take(this.#symbols.stepmark_try_take(worker, length));
  }

  answer(worker: Handle, call: number, answer: string, handlerNs: number, jsonNs: number): void {
    this.#symbols.stepmark_answer(worker, call, ...text(answer), handlerNs, jsonNs);
  }

  heartbeat(worker: Handle, call: number, checkpoint: string | undefined, request: number): void {
    const given = checkpoint === undefined ? NONE : text(checkpoint);
    this.#symbols.stepmark_heartbeat(worker, call, ...given, request);
  }

  parentFailures(worker: Handle, call: number, request: number): void {
    this.#symbols.stepmark_parent_failures(worker, call, request);
  }

  isInterrupted(worker: Handle, call: number): boolean {
    return this.#symbols.stepmark_is_interrupted(worker, call);
  }

  stop(worker: Handle): void {
    this.#symbols.stepmark_stop(worker);
  }

  /** The exit code, once the worker has ended. */
  ended(worker: Handle): number | undefined {
    return this.#symbols.stepmark_ended(worker, byte) ? byte[0] : undefined;
  }

  /** What a test has come to, which has ended. */
  verdict(worker: Handle): { good: boolean; text: string } {
    const verdict = this.#take(this.#symbols.stepmark_verdict(worker, byte, length)) ?? "";
    return { good: byte[0] === 1, text: verdict };
  }

  release(worker: Handle): void {
    this.#symbols.stepmark_release(worker);
  }

  log(level: string, logger: string, message: string): void {
    this.#symbols.stepmark_log(...text(level), ...text(logger), ...text(message));
  }

  #take(given: Handle | null): string | undefined {
    if (given === null) return undefined;
    const bytes = Number(length[0]);
    const taken = bytes === 0 ? "" : new CString(given as Pointer, 0, bytes).toString();
    this.#symbols.stepmark_text_free(given, bytes);
    return taken;
  }
}

/** UTF-8 with its length. An empty text has a place too. */
function text(text: string): [Uint8Array | null, number] {
  const bytes = Buffer.from(text);
  return bytes.length === 0 ? [new Uint8Array(1), 0] : [bytes, bytes.length];
}

function open() {
  if (!Bun.semver.satisfies(Bun.version, BUN)) {
    throw new NativeMissing(`this is Bun ${Bun.version}, and stepmark needs ${BUN}`);
  }
  const file = `libstepmark_typescript.${suffix}`;
  const own = join(import.meta.dir, "..", "prebuilds", `${process.platform}-${process.arch}`, file);
  const path = process.env.STEPMARK_NATIVE || own;
  const remedy = "build it with `make bindings`, or set STEPMARK_NATIVE to its path";
  if (!existsSync(path)) {
    throw new NativeMissing(`stepmark's worker core is not there (${path}): ${remedy}`);
  }
  try {
    return dlopen(path, SYMBOLS).symbols;
  } catch (error) {
    throw new NativeMissing(`${path} can't be used (${error}): ${remedy}`, { cause: error });
  }
}
