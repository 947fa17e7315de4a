/** All handlers of the scenarios. */

import { join } from "node:path";
import { Worker } from "stepmark";
import * as approval from "./approval.ts";
import * as numbers from "./numbers.ts";
import * as products from "./products.ts";

/** A worker with the handlers of the benchmark, and of each module in the folder `own`. */
export async function worker(): Promise<Worker> {
  const worker = new Worker();
  for (const { register } of [numbers, approval, products]) register(worker);
  const own = join(import.meta.dir, "own");
  const modules = [...new Bun.Glob("*.ts").scanSync(own)].sort();
  for (const module of modules.filter((name) => !name.endsWith(".test.ts"))) {
    (await import(join(own, module))).register(worker);
  }
  return worker;
}
