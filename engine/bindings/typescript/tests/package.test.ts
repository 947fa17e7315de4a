/** The package as its users get it. */

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
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
  const place = join(packed, "prebuilds", `${process.platform}-${process.arch}`);
  mkdirSync(place, { recursive: true });
  const library = join(place, "libstepmark_typescript.so");
  cpSync(NATIVE, library);
  expect(run(place, "strip", "--strip-debug", library)).toEqual([0, ""]); // quicker to pack
  expect(run(packed, "npm", "pack", "--silent")).toEqual([0, "stepmark-0.1.0.tgz\n"]);
  const empty = join(folder, "empty");
  mkdirSync(empty);
  const archive = join(packed, "stepmark-0.1.0.tgz");
  const [code, output] = run(empty, "npm", "install", "--offline", "--no-audit", archive);
  expect(output).toContain("added 1 package");
  expect(code).toBe(0);
  cpSync(join(PACKAGE, "examples", "greet.ts"), join(empty, "greet.ts"));
  const listed = run(empty, process.execPath, "greet.ts", "--list-handlers");
  expect(listed).toEqual([0, "examples/greet\nexamples/shout\n"]);
  rmSync(join(empty, "node_modules", "stepmark", "prebuilds"), { recursive: true });
  const [failed, why] = run(empty, process.execPath, "greet.ts", "--list-handlers");
  expect(failed).toBe(1);
  expect(why).toContain("worker core is not there");
  expect(why).toContain("`make bindings`");
});

test("the README's example is the one that is run here", () => {
  const text = (file: string) => readFileSync(join(PACKAGE, file), "utf8");
  const code = text("examples/greet.ts").split("\n").slice(1).join("\n");
  expect(text("README.md")).toContain(`\`\`\`ts\n${code}\`\`\``);
  expect(code.split("\n").length).toBeLessThan(30);
});
