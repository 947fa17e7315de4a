/** A worker of one's own; its template is `engine/examples/greet.yaml`. */
import { Fail, type Step, Worker } from "stepmark";

const worker = new Worker();

worker.handler("examples", "greet", async (step: Step<{ name?: unknown }>) => {
  const { name } = step.context;
  if (typeof name !== "string") throw new Fail("context needs a name");
  return { text: `Hello, ${name}!` };
});

worker.handler("examples", "shout", (step) => {
  return { text: step.parentResults.greet.text.toUpperCase() };
});

process.exit(await worker.run());
