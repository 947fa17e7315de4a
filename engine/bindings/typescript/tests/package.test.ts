/** The package as its users get it. */

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NATIVE } from "./paths.ts";

setDefaultTimeout(60_000);

const PACKAGE = join(import.meta.dir, "..");
const folder = mkdtempSync(join(tmpdir(), "stepmark-package-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(cwd: string, ...command: string[]): [number, string] {
  const { STEPMARK_NATIVE: _, ...env } = process.env;
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd, env });
  return [exitCode, `${stdout}${stderr}`];
}

test("installed into an empty folder it has all that a worker needs", () => {
  const packed = join(folder, "packed");
  for (const part of ["package.json", "README.md", "stepmark.h", "src"]) {
    cpSync(join(PACKAGE, part), join(packed, part), { recursive: true });
  }
  const library = join(folder, "library.so");
  cpSync(NATIVE, library);
  expect(run(folder, "strip", "--strip-debug", library)).toEqual([0, ""]); // quicker to pack
  expect(run(PACKAGE, "sh", "prebuild.sh", library, packed)).toEqual([0, ""]);
  expect(run(packed, "npm", "pack", "--silent")).toEqual([0, "stepmark-0.1.0.tgz\n"]);
  const empty = join(folder, "empty");
  mkdirSync(empty);
  writeFileSync(join(empty, "package.json"), '{"type": "module"}');
  const archive = join(packed, "stepmark-0.1.0.tgz");
  const [code, output] = run(empty, "npm", "install", "--offline", "--no-audit", archive);
  expect(output).toContain("added 1 package");
  expect(code).toBe(0);
  cpSync(join(PACKAGE, "examples", "greet.ts"), join(empty, "greet.ts"));
  const listed = run(empty, process.execPath, "greet.ts", "--list-handlers");
  expect(listed).toEqual([0, "examples/greet\nexamples/shout\n"]);
  checkTypes(empty);
  rmSync(join(empty, "node_modules", "stepmark", "prebuilds"), { recursive: true });
  const [failed, why] = run(empty, process.execPath, "greet.ts", "--list-handlers");
  expect(failed).toBe(1);
  expect(why).toContain("worker core is not there");
  expect(why).toContain("`make bindings`");
});

/** A user's compiler, which is stricter than ours, takes the types, and finds what is wrong. */
function checkTypes(folder: string): void {
  const [, home] = run(PACKAGE, "sh", "setup.sh", "--print")[1].split("\n");
  const code = `import { type Step, Worker } from "stepmark";
    import { runTask } from "stepmark/testing";
    const worker = new Worker().handler("n", "a", (step: Step<{ n: number }>) => step.context.n);
    export const state: string = (await runTask(worker, "t.yaml", {})).state;
    // @ts-expect-error there is no such field
    new Worker().handler("n", "b", (step) => step.nonsense);
    // @ts-expect-error a handler is no number
    new Worker().handler("n", "c", 7);`;
  writeFileSync(join(folder, "types.ts"), code);
  const strict = ["--strict", "--target", "esnext", "--module", "nodenext", "--noEmit"];
  const types = ["--types", "bun", "--typeRoots", `${home}/node_modules/@types`];
  const tsc = [process.execPath, `${home}/node_modules/typescript/bin/tsc`];
  const flags = [...strict, "--erasableSyntaxOnly", ...types];
  expect(run(folder, ...tsc, ...flags, "types.ts", "greet.ts")).toEqual([0, ""]);
}

test("the README's example is the one that is run here", () => {
  const text = (file: string) => readFileSync(join(PACKAGE, file), "utf8");
  const code = text("examples/greet.ts").split("\n").slice(1).join("\n");
  expect(text("README.md")).toContain(`\`\`\`ts\n${code}\`\`\``);
  expect(code.split("\n").length).toBeLessThan(30);
});
