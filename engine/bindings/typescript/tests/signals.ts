/** A worker of handlers that are told when their step is no longer theirs. */

import { type Step, Worker } from "../src/index.ts";

const namespace = "signals_typescript";

function heard(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

const worker = new Worker()
  .handler(namespace, "listens", async ({ signal, log }: Step) => {
    await heard(signal);
    log.info(`heard ${signal.reason.name}`);
  })
  .handler(namespace, "looks", (step: Step) => {
    while (!step.interrupted) Bun.sleepSync(1); // keeps the event loop from all else
    step.log.info(`saw it, aborted: ${step.signal.aborted}`);
  })
  .handler(namespace, "deaf", () => new Promise(() => {}));

process.exit(await worker.run());
