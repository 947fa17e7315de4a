/** A private engine for tests: PostgreSQL, an orchestrator, and workers as processes. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BIN, NATIVE } from "./paths.ts";

/** How long a program may take to say that it is ready, and to end. */
const PATIENCE_MS = 30_000;

type Child = Bun.Subprocess<"pipe" | "ignore", "pipe", "pipe">;

/** A program that has said that it is ready. */
export class Program {
  readonly #child: Child;
  readonly #log: Promise<string>;

  private constructor(child: Child) {
    this.#child = child;
    this.#log = new Response(child.stderr).text();
  }

  /** Starts a program, and waits for the line of its output that begins so. */
  static async start(command: string[], begins: string): Promise<[Program, string]> {
    const env = { ...process.env, STEPMARK_NATIVE: NATIVE };
    const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "pipe", env });
    const program = new Program(child);
    let output = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      output += decoder.decode(chunk, { stream: true });
      const line = output
        .split("\n")
        .slice(0, -1)
        .find((line) => line.startsWith(begins));
      if (line !== undefined) return [program, line];
    }
    throw new Error(`${command[0]} ended with ${await child.exited}:\n${await program.#log}`);
  }

  /** Sends it a signal and waits for its end. */
  async end(signal: NodeJS.Signals): Promise<Ended> {
    this.#child.kill(signal);
    return this.ended();
  }

  /** Waits for its end. */
  async ended(): Promise<Ended> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    await this.#child.exited;
    clearTimeout(late);
    const { exitCode, signalCode } = this.#child;
    return { exitCode, signal: signalCode as string | null, log: await this.#log };
  }
}

/** How a program has ended. */
export interface Ended {
  exitCode: number | null;
  signal: string | null;
  log: string;
}

/** PostgreSQL and an orchestrator with templates of the test's own. */
export class Engine {
  private constructor(
    readonly databaseUrl: string,
    readonly url: string,
    readonly folder: string,
    readonly programs: Program[],
  ) {}

  /** @param templates texts of templates */
  static async start(templates: string[]): Promise<Engine> {
    const folder = mkdtempSync(join(tmpdir(), "stepmark-typescript-"));
    for (const [number, template] of templates.entries()) {
      await Bun.write(join(folder, `${number}.yaml`), template);
    }
    const servers = [join(BIN, "examples", "servers"), "postgres"];
    const [postgres, place] = await Program.start(servers, "postgres ");
    const databaseUrl = place.split(" ")[2]!;
    const told = ["--database-url", databaseUrl, "--templates", folder];
    const command = [join(BIN, "stepmark-orchestrator"), ...told];
    const [orchestrator, ready] = await Program.start(command, "listening on ");
    const url = ready.replace("listening on ", "");
    return new Engine(databaseUrl, url, folder, [orchestrator, postgres]);
  }

  /** Starts a worker program, and gives it with the URL of its status. */
  async worker(program: string, ...flags: string[]): Promise<{ worker: Program; status: string }> {
    const command = [process.execPath, program, "--database-url", this.databaseUrl, ...flags];
    const [worker, ready] = await Program.start(command, "listening on ");
    return { worker, status: ready.replace("listening on ", "") };
  }

  /** Starts a task and gives its id. */
  async task(namespace: string, template: string, context: object): Promise<string> {
    const response = await fetch(`${this.url}/v1/tasks`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ namespace, template, context }),
    });
    if (!response.ok) throw new Error(await response.text());
    return ((await response.json()) as { task_uuid: string }).task_uuid;
  }

  /** Waits for the task's end. */
  async ended(task: string): Promise<any> {
    for (;;) {
      const response = await fetch(`${this.url}/v1/tasks/${task}?wait=10`);
      const document: any = await response.json();
      if (!["Complete", "Error", "Cancelled"].includes(document.state)) continue;
      const steps = document.steps.map((step: any) => [step.name, step]);
      return { ...document, steps: Object.fromEntries(steps) };
    }
  }

  /** Waits until the task's step of this name is with a worker. */
  async atWork(task: string, step: string): Promise<void> {
    for (;;) {
      const document: any = await (await fetch(`${this.url}/v1/tasks/${task}`)).json();
      if (document.steps.find((it: any) => it.name === step).state === "InProgress") return;
    }
  }

  async cancel(task: string): Promise<void> {
    const response = await fetch(`${this.url}/v1/tasks/${task}/cancel`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ reason: "a test" }),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  async stop(): Promise<void> {
    for (const program of this.programs) await program.end("SIGTERM");
    rmSync(this.folder, { recursive: true });
  }
}
