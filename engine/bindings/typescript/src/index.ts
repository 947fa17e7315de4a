/** Workers of the stepmark workflow engine, for Bun. See README.md beside this folder. */

export { Away, CheckpointRefused, ClaimEnded, Fail, NativeMissing, Retry } from "./errors.ts";
export { Branch, FanOut } from "./outcome.ts";
export { Logger, type ParentFailure, Step, type StepType } from "./step.ts";
export { type Handler, type HandlerObject, Worker } from "./worker.ts";
