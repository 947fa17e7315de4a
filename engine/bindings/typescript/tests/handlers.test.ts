/** Handlers, what they are given and what they make, without an engine. */

import { afterAll, describe, expect, spyOn, test } from "bun:test";
import { AssertionError } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./paths.ts";
import {
  Branch,
  CheckpointRefused,
  ClaimEnded,
  Fail,
  FanOut,
  type Handler,
  Retry,
  Step,
  Worker,
} from "../src/index.ts";
import { checkScenario, type EndedStep, runTask } from "../src/testing.ts";

const folder = mkdtempSync(join(tmpdir(), "stepmark-handlers-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(text: string): string {
  const path = join(folder, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

const ONE = file(
  "{namespace: tests, name: one, steps: [{name: a, handler: a, retry: {max_attempts: 2}}]}",
);

/** Runs a step of this handler. */
async function step(handler: Handler, context: object = {}): Promise<EndedStep> {
  const task = await runTask(new Worker().handler("tests", "a", handler), ONE, context);
  return task.steps.a!;
}

describe("a handler", () => {
  test("may be a function, async or not, an object, or a class", async () => {
    class Greeter {
      readonly word: string = "made anew";
      call({ name }: Step) {
        return [this.word, name];
      }
    }
    const once = new (class extends Greeter {
      override word = "once";
    })();
    expect((await step(async () => 1)).result).toBe(1);
    expect((await step(() => 2)).result).toBe(2);
    const of = async (handler: any) => (await step(handler)).result;
    expect(await of(once)).toEqual(["once", "a"]);
    expect(await of(Greeter)).toEqual(["made anew", "a"]);
  });

  test("that is none, or one too many, is refused where it is registered", () => {
    const worker = new Worker().handler("n", "a", () => 1);
    expect(() => worker.handler("n", "a", () => 2)).toThrow("n/a has a handler already");
    expect(() => worker.handler("n", "b", {} as never)).toThrow("n/b: a handler is a function");
  });

  test("that the template names and nobody has fails the step", async () => {
    const task = await runTask(
      new Worker().handler("tests", "b", () => 1),
      ONE,
      {},
    );
    expect(task.steps.a!.error!.message).toStartWith('no handler "a" in namespace "tests"');
  });
});

describe("a step", () => {
  test("tells what it is", async () => {
    let seen: Step | undefined;
    const { result } = await step(
      async (step) => {
        seen = step;
        return { ...step, interrupted: step.interrupted, aborted: step.signal.aborted, log: null };
      },
      { money: 1.5, text: "ä€😀" },
    );
    expect(result).toEqual({
      namespace: "tests",
      handler: "a",
      taskUuid: seen!.taskUuid,
      name: "a",
      type: "standard",
      attempt: 1,
      maxAttempts: 2,
      timeoutMs: 600_000,
      idempotencyToken: `${seen!.taskUuid}/a`,
      context: { money: 1.5, text: "ä€😀" },
      parentResults: {},
      input: null,
      checkpoint: null,
      log: null,
      interrupted: false,
      aborted: false,
    });
    // It is over, and so is its claim.
    expect(seen!.interrupted).toBe(true);
    await expect(seen!.heartbeat()).rejects.toThrow(ClaimEnded);
    await expect(seen!.parentFailures()).resolves.toEqual({});
  });

  test("has numbers as they were written", async () => {
    const { result } = await step(({ exact }) => exact.context, { money: 0.1, list: [1.5, "x"] });
    expect(result).toEqual({ money: "0.1", list: ["1.5", "x"] });
    const text =
      '{"context": {"money": 1000.00000000000000000010},' +
      '"parent_results": {"p": [9007199254740993]}, "input": 1e400, "checkpoint": null}';
    const { exact } = new Step(JSON.parse(text), text, { log: () => {} } as never);
    expect(exact).toEqual({
      context: { money: "1000.00000000000000000010" },
      parentResults: { p: ["9007199254740993"] },
      input: "1e400",
      checkpoint: null,
    });
  });

  test("goes on from its checkpoint", async () => {
    const { result, attempts } = await step(async (step) => {
      if (step.attempt === 2) return step.checkpoint;
      await step.heartbeat();
      await step.saveCheckpoint({ rows: 7 });
      throw new Error("no luck");
    });
    expect([result, attempts]).toEqual([{ rows: 7 }, 2]);
  });

  test("refuses a checkpoint that can't be stored", async () => {
    for (const [checkpoint, why] of [
      [{ rows: NaN }, "JSON can't hold checkpoint.rows: it is NaN"],
      ["\u0000", "\\u0000"],
    ] as const) {
      const { result } = await step((step) =>
        step.saveCheckpoint(checkpoint).catch((error) => [error.name, error.message]),
      );
      expect(result).toEqual([CheckpointRefused.name, expect.stringContaining(why)]);
    }
  });

  test("has a log", async () => {
    const log = spyOn(console, "error").mockImplementation(() => {});
    let token = "";
    await step(({ log, idempotencyToken }) => {
      token = idempotencyToken;
      for (const level of ["error", "warn", "info", "debug"] as const) log[level](`a ${level}`);
    });
    const lines = log.mock.calls.map(([line]) => line);
    log.mockRestore();
    const right = ["error", "warn", "info", "debug"].map(
      (level) => `${level.toUpperCase()} ${token}: a ${level}`,
    );
    expect(lines).toEqual(right);
  });
});

describe("what is returned", () => {
  test("may be any JSON value; nothing is null", async () => {
    for (const value of [null, false, 0, "", "ä€😀", [1, [2]], { a: { b: null } }]) {
      expect(await step(() => value)).toEqual({
        state: "Complete",
        result: value,
        error: null,
        attempts: 1,
      });
    }
    expect((await step(async () => {})).result).toBeNull();
  });

  test("and is no JSON fails the step for good, with its place", async () => {
    for (const value of [{ at: new Date(0) }, { at: undefined }, { at: 1n }, { at: NaN }]) {
      const { state, attempts, error } = await step(() => value);
      expect([state, attempts]).toEqual(["Error", 1]);
      expect(error!.message).toStartWith("JSON can't hold result.at: it is ");
    }
    const integer = await step(() => ({ at: 2 ** 53 }));
    expect(integer.error!.message).toContain("beyond 2^53");
  });

  test("a decision's branches are chosen", async () => {
    const template = file(
      "{namespace: tests, name: d, steps: [" +
        "{name: a, handler: a, type: decision, branches: [b, c]}," +
        "{name: b, handler: b, depends_on: [a]}, {name: c, handler: b, depends_on: [a]}]}",
    );
    const run = async (handler: Handler) => {
      const worker = new Worker().handler("tests", "a", handler).handler("tests", "b", () => "ran");
      return (await runTask(worker, template, {})).steps;
    };
    const steps = await run(() => new Branch({ why: 1 }, ["c"]));
    expect(steps.a!.result).toEqual({ why: 1 });
    expect([steps.b!.state, steps.c!.state]).toEqual(["Skipped", "Complete"]);
    for (const [branches, why] of [
      [["x"], "a chose x, which is none of its branches: they are b, c"],
      ["b", "a Branch chooses an array of step names"],
      [[1], "a Branch chooses an array of step names"],
    ] as [any, string][]) {
      expect((await run(() => new Branch({}, branches))).a!.error!.message).toBe(why);
    }
    expect((await run(() => ({}))).a!.error!.message).toContain("a result without branches");
  });

  test("batches are made and gathered, with what has failed", async () => {
    const template = file(
      "{namespace: tests, name: b, steps: [{name: a, handler: split, type: batchable}," +
        "{name: w, handler: work, type: batch_worker, depends_on: [a], retry: {max_attempts: 1}," +
        " on_failure: continue_on_failure}," +
        "{name: z, handler: gather, type: deferred_convergence, depends_on: [w]}]}",
    );
    const worker = new Worker()
      .handler("tests", "split", ({ context }) => new FanOut({ n: 12 }, context.batches))
      .handler("tests", "work", ({ input }) => {
        if (input === 5) throw new TypeError("no five");
        return { doubled: 2 * input };
      })
      .handler("tests", "gather", async (step) => ({
        results: step.batchResults("w"),
        failures: await step.parentFailures(),
      }));
    const batches = Array.from({ length: 12 }, (_, number) => number);
    const { state, steps } = await runTask(worker, template, { batches });
    expect(state).toBe("Complete");
    const { results, failures } = steps.z!.result;
    const right = batches.filter((number) => number !== 5);
    expect(results).toEqual(right.map((number) => ({ doubled: 2 * number })));
    expect(failures).toEqual({
      w_006: expect.objectContaining({ message: "no five", exception: "TypeError" }),
    });
    const none = await runTask(worker, template, { batches: 3 });
    expect(none.steps.a!.error!.message).toBe("a FanOut has an array of batches");
    const bad = new Worker().handler("tests", "split", () => new FanOut({}, [1, { x: undefined }]));
    const { error } = (await runTask(bad, template, {})).steps.a!;
    expect(error!.message).toStartWith("JSON can't hold batches[1].x: ");
  });
});

describe("what is thrown", () => {
  test("Fail ends the step, Retry and anything else is tried again", async () => {
    const fail = await step(() => {
      throw new Fail("bad input");
    });
    expect(fail).toMatchObject({ state: "Error", attempts: 1, error: { message: "bad input" } });
    const retry = await step(async ({ attempt }) => {
      if (attempt === 1) throw new Retry("not yet", { afterMs: 1.5 });
      return attempt;
    });
    expect(retry).toMatchObject({ result: 2, attempts: 2 });
    expect(() => new Retry("x", { afterMs: -1 })).toThrow(RangeError);
    expect(() => new Retry("x", { afterMs: NaN })).toThrow(RangeError);
  });

  test("an exception is told with its class and its stack, without ours", async () => {
    class OutOfLuck extends RangeError {}
    const { attempts, error } = await step(async function unlucky() {
      await Bun.sleep(1);
      throw new OutOfLuck("no luck", { cause: new TypeError("the reason") });
    });
    expect(attempts).toBe(2);
    expect(error).toMatchObject({ kind: "handler", message: "no luck", exception: "OutOfLuck" });
    expect(error!.stack).toContain("unlucky");
    expect(error!.stack).toContain("caused by TypeError: the reason");
    expect(error!.stack).not.toContain("/src/host.ts");
  });

  test("anything can be thrown", async () => {
    const hostile = new Proxy(new Error("x"), {
      get() {
        throw new Error("no access");
      },
    });
    for (const [thrown, message] of [
      ["a text", "a text"],
      [3, "3"],
      [undefined, "undefined"],
      [null, "null"],
      [{ code: 7 }, "code: 7"],
      [hostile, "an exception that can't be described"],
    ] as const) {
      const { attempts, error } = await step(() => {
        throw thrown;
      });
      expect(attempts).toBe(2);
      expect(error!.message).toContain(message);
    }
    const getter = await step(() => ({
      get x() {
        throw new TypeError("no x");
      },
    }));
    expect(getter.error).toMatchObject({ message: "no x", exception: "TypeError" });
  });
});

describe("a scenario", () => {
  const scenario = join(ROOT, "scenarios", "tier1", "linear_rust.yaml");
  const templates = join(ROOT, "fixtures", "workflows");
  const namespace = "typescript_e2e_linear";
  const square = (step: Step) => {
    const [parent] = Object.values(step.parentResults);
    const value = BigInt(parent?.value ?? step.context.even_number);
    return { value: String(value * value) };
  };

  test("is passed by right answers", async () => {
    const worker = new Worker().handler(namespace, "square", square);
    await checkScenario(worker, scenario, templates, { namespace });
  });

  test("says which step gave what, and what is right", async () => {
    const worker = new Worker().handler(namespace, "square", (step) =>
      step.name === "linear_step_4" ? { value: "1" } : square(step),
    );
    const checked = checkScenario(worker, scenario, templates, { namespace });
    const error = (await checked.catch((error) => error)) as Error;
    expect(error).toBeInstanceOf(AssertionError);
    expect(error.message).toContain(
      'the step linear_step_4 has the result {"value":"1"} and not {"value":"2821109907456"}',
    );
  });

  test("or a template that is not there, or a context that is none, is an error", async () => {
    const worker = new Worker();
    await expect(checkScenario(worker, "/nowhere.yaml", templates)).rejects.toThrow(
      "/nowhere.yaml",
    );
    await expect(runTask(worker, "/nowhere.yaml", {})).rejects.toThrow("/nowhere.yaml");
    await expect(runTask(worker, ONE, [])).rejects.toThrow("context must be a JSON object");
  });
});

test("tasks may run side by side in one process", async () => {
  const worker = new Worker().handler("tests", "a", async ({ context }) => {
    await Bun.sleep(context.ms);
    return context.ms;
  });
  const ran = await Promise.all([5, 1, 3].map((ms) => runTask(worker, ONE, { ms })));
  expect(ran.map((task) => task.steps.a!.result)).toEqual([5, 1, 3]);
});
