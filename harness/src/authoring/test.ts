/** The workflow `@name@` gives the answers of its scenario. */

import { test } from "bun:test";
import { assertRight } from "../answers.ts";

test("@name@: the scenario is answered right", async () => {
  await assertRight("tier6/@name@_typescript");
});
