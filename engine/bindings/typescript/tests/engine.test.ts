/** A worker program and a real engine. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Engine } from "./engine.ts";
import { NATIVE, ROOT } from "./paths.ts";

setDefaultTimeout(60_000);

const FAULTS = join(import.meta.dir, "faults.ts");
const SIGNALS = join(import.meta.dir, "signals.ts");
const GREET = join(import.meta.dir, "..", "examples", "greet.ts");
const namespace = "faults_typescript";
/** Templates of one step that has the handler of the template's name. */
const ONES = ["echo", "raise", "system_exit", "exit", "checkpoint", "wait", "heartbeat", "log"];
const LISTENERS = ["listens", "looks", "deaf"];
const MANY = `
namespace: ${namespace}
name: many
steps:
  - {name: split, handler: split, type: batchable}
  - {name: work, handler: work, type: batch_worker, depends_on: [split]}
  - {name: gather, handler: gather, type: deferred_convergence, depends_on: [work]}
`;

let engine: Engine;
beforeAll(async () => {
  const retry = "{max_attempts: 2, backoff_initial_ms: 1}";
  const ones = ONES.map((name) => {
    const step = `{name: a, handler: ${name}, retry: ${retry}}`;
    return `{namespace: ${namespace}, name: ${name}, steps: [${step}]}`;
  });
  const greeting = await Bun.file(join(ROOT, "engine", "examples", "greet.yaml")).text();
  const listeners = LISTENERS.map(
    (name) =>
      `{namespace: signals_typescript, name: ${name}, steps: [{name: a, handler: ${name}}]}`,
  );
  engine = await Engine.start([...ones, ...listeners, MANY, greeting]);
});
afterAll(() => engine.stop());

const run = async (template: string, context: object) =>
  engine.ended(await engine.task(namespace, template, context));

describe("a worker program", () => {
  test("runs tasks to their ends and drains on SIGTERM", async () => {
    const { worker } = await engine.worker(GREET);
    const started = await engine.task("examples", "greeting", { name: "Ünal 😀" });
    const task = await engine.ended(started);
    expect(task.state).toBe("Complete");
    expect(task.steps.shout.result).toEqual({ text: "HELLO, ÜNAL 😀!" });
    const { exitCode, log } = await worker.end("SIGTERM");
    expect(exitCode).toBe(0);
    expect(log).toEndWith("drained\n");
  });

  test("ends on Ctrl-C, at once when it has nothing to do", async () => {
    const { worker } = await engine.worker(GREET);
    const { exitCode, log } = await worker.end("SIGINT");
    expect(exitCode).toBe(0);
    expect(log).toEndWith("drained\n");
  });

  test("stores what handlers are at work on before it ends, and takes no more", async () => {
    const { worker } = await engine.worker(FAULTS);
    const task = await engine.task(namespace, "wait", { ms: 300 });
    await engine.atWork(task, "a");
    const { exitCode } = await worker.end("SIGTERM");
    expect(exitCode).toBe(0);
    expect((await engine.ended(task)).state).toBe("Complete");
  });

  test("tells its handlers, its version and its flags, and what is wrong with them", async () => {
    const told = async (...flags: string[]) => {
      const env = { ...process.env, STEPMARK_NATIVE: NATIVE };
      const child = Bun.spawn([process.execPath, GREET, ...flags], { env, stderr: "pipe" });
      const output = await new Response(child.stdout).text();
      return [await child.exited, output + (await new Response(child.stderr).text())] as const;
    };
    expect(await told("--list-handlers")).toEqual([0, "examples/greet\nexamples/shout\n"]);
    expect(await told("--version")).toEqual([0, expect.stringContaining("0.1.0")]);
    expect(await told("--help")).toEqual([0, expect.stringContaining("--concurrency")]);
    expect(await told("--nonsense")).toEqual([2, expect.stringContaining("--nonsense")]);
    const nowhere = "postgres://nobody@127.0.0.1:1/none";
    const unreachable = await told("--database-url", nowhere, "--connect-ms", "50");
    expect(unreachable).toEqual([3, expect.stringContaining("error: ")]);
  });
});

describe("handlers on one worker", () => {
  let log = "";
  let end: () => Promise<void>;
  beforeAll(async () => {
    const { worker } = await engine.worker(FAULTS);
    end = async () => {
      const ended = await worker.end("SIGTERM");
      expect(ended.exitCode).toBe(0);
      ({ log } = ended);
    };
  });

  test("overlap: fifty that wait take no fifty times as long as one", async () => {
    const begun = performance.now();
    const tasks = Array.from({ length: 50 }, () => run("wait", { ms: 400 }));
    for (const task of await Promise.all(tasks)) expect(task.state).toBe("Complete");
    expect(performance.now() - begun).toBeLessThan((50 * 400) / 2);
  });

  test("are given documents as they were posted", async () => {
    const context = { list: [1.5, null, true], text: "ä€😀", deep: { er: {} } };
    const { result } = (await run("echo", context)).steps.a;
    expect(result).toEqual({ context, parent_results: {}, input: null, attempt: 1 });
  });

  test("that throw are tried again, whatever they throw", async () => {
    const { state, steps } = await run("raise", {});
    expect([state, steps.a.attempts]).toEqual(["Error", 2]);
    expect(steps.a.error).toMatchObject({ message: "no luck", exception: "RangeError" });
    expect(steps.a.error.stack).toContain("faults.ts");
    expect((await run("system_exit", {})).steps.a.error.message).toBe("3");
  });

  test("find their checkpoint", async () => {
    const { result } = (await run("checkpoint", {})).steps.a;
    expect(result).toEqual({ checkpoint: { done: 1 } });
  });

  test("work on batches", async () => {
    const { steps } = await run("many", { batches: [1, 2, 3] });
    const right = { results: [{ doubled: 2 }, { doubled: 4 }, { doubled: 6 }], failures: [] };
    expect(steps.gather.result).toEqual(right);
  });

  test("of a cancelled task are not waited for, and a heartbeat tells them", async () => {
    for (const template of ["wait", "heartbeat"]) {
      const task = await engine.task(namespace, template, { ms: 3_600_000 });
      await engine.atWork(task, "a");
      await engine.cancel(task);
      expect((await engine.ended(task)).state).toBe("Cancelled");
    }
  });

  test("write into the log; and the worker drains without those it has given up", async () => {
    await run("log", {});
    await end();
    expect(log).toContain("hello from the handler");
  });
});

test("handlers whose task is cancelled hear it, see it, or are given up", async () => {
  const { worker } = await engine.worker(SIGNALS);
  for (const name of LISTENERS) {
    const task = await engine.task("signals_typescript", name, {});
    await engine.atWork(task, "a");
    await engine.cancel(task);
  }
  const { exitCode, log } = await worker.end("SIGTERM");
  expect(exitCode).toBe(0);
  expect(log).toContain("heard ClaimEnded");
  expect(log).toContain("saw it, aborted: false");
  expect(log).toEndWith("drained\n");
});

test("a handler may end the process", async () => {
  const { worker } = await engine.worker(FAULTS, "--lease-ms", "200");
  const task = await engine.task(namespace, "exit", {});
  expect((await worker.ended()).exitCode).toBe(3);
  await engine.cancel(task);
});
