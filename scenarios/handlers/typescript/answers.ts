/** For tests: the handlers against the answers of a scenario. */

import { join } from "node:path";
import { ROOT } from "../../../engine/bindings/typescript/tests/paths.ts";
import { checkScenario } from "stepmark/testing";
import { worker } from "./handlers.ts";

/** The folder of the workflows. */
export const TEMPLATES = join(ROOT, "fixtures", "workflows");
/** All handlers. */
export const all = await worker();

process.chdir(ROOT); // where workers run, for the files that an input names

/**
 * Fails unless the handlers give the answers of a scenario.
 *
 * @param scenario its file, such as `tier1/linear_rust`
 * @param options `namespace`: of the template to take instead of the scenario's own
 */
export async function assertRight(
  scenario: string,
  options: { namespace?: string } = {},
): Promise<void> {
  await checkScenario(all, join(ROOT, "scenarios", `${scenario}.yaml`), TEMPLATES, options);
}
