/** A worker of handlers that misbehave, which tests run against an engine. */

import { Branch, ClaimEnded, Fail, FanOut, Retry, type Step, Worker } from "../src/index.ts";

const HEARTBEAT_MS = 50;
const BIG_BYTES = 10_000_000;

const handlers: Record<string, (step: Step) => unknown> = {
  echo: ({ context, parentResults, input, attempt }) => ({
    context,
    parent_results: parentResults,
    input,
    attempt,
  }),
  raise: () => {
    throw new RangeError("no luck");
  },
  fail: async () => {
    throw new Fail("bad input");
  },
  retry: async ({ attempt }) => {
    if (attempt === 1) throw new Retry("not yet", { afterMs: 1 });
    return { attempt };
  },
  exit: () => process.exit(3),
  /** There is no exception that ends a program here: what is thrown is no Error. */
  system_exit: () => {
    throw 3;
  },
  crash: () => {
    process.kill(process.pid, "SIGSEGV");
    for (;;); // another thread may take it
  },
  loop: () => {
    for (;;);
  },
  not_json: async () => ({ list: [1, { inside: undefined }] }),
  big: () => ({ text: "x".repeat(BIG_BYTES) }),
  big_integer: () => ({ value: 2 ** 53 + 1 }), // which is 2^53 here
  decide: ({ context }) => new Branch({}, context.choose),
  split: ({ context }) => new FanOut({ batches: context.batches.length }, context.batches),
  work: ({ input }) => ({ doubled: 2 * input }),
  gather: async (step) => ({
    results: step.batchResults("work"),
    failures: Object.keys(await step.parentFailures()).sort(),
  }),
  checkpoint: async (step) => {
    if (step.attempt > 1) return { checkpoint: step.checkpoint };
    await step.saveCheckpoint({ done: 1 });
    throw new RangeError("no luck");
  },
  heartbeat: async (step) => {
    try {
      for (;;) {
        await step.heartbeat();
        await Bun.sleep(HEARTBEAT_MS);
      }
    } catch (error) {
      if (error instanceof ClaimEnded) return {};
      throw error;
    }
  },
  wait: async ({ context }) => {
    await Bun.sleep(context.ms);
    return {};
  },
  log: (step) => {
    step.log.info("hello from the handler");
    return {};
  },
};

const worker = new Worker();
for (const [name, handler] of Object.entries(handlers)) {
  worker.handler("faults_typescript", name, handler);
}
process.exit(await worker.run());
