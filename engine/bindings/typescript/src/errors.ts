/** What handlers throw, and what is thrown at them. */

/** Thrown by a handler: the step failed, and the next attempt may not. */
export class Retry extends Error {
  override name = "Retry";
  /** Pause before the next attempt in milliseconds; undefined for the template's backoff. */
  readonly afterMs: number | undefined;

  /**
   * @param message what went wrong, for people
   * @param options `afterMs`: pause before the next attempt, whatever the template's backoff says
   * @throws {RangeError} `afterMs` is no duration
   */
  constructor(message: string, options: { afterMs?: number; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : {});
    const { afterMs } = options;
    if (afterMs !== undefined && !(afterMs >= 0 && afterMs <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`afterMs is ${afterMs}: it must be a number of milliseconds, 0 or more`);
    }
    this.afterMs = afterMs;
  }
}

/** Thrown by a handler: the step failed for good, no attempt can mend it. */
export class Fail extends Error {
  override name = "Fail";
}

/**
 * The step is no longer this handler's: its task was cancelled, its lease has expired or the
 * attempt has taken too long. What the handler returns is not stored; it should stop.
 */
export class ClaimEnded extends Error {
  override name = "ClaimEnded";
}

/** The database can't be told now. Trying again can help, until the lease expires. */
export class Away extends Error {
  override name = "Away";
}

/** The checkpoint can't be stored as it is. */
export class CheckpointRefused extends Error {
  override name = "CheckpointRefused";
}

/** The worker core's library can't be used; the message says how to build it. */
export class NativeMissing extends Error {
  override name = "NativeMissing";
}

/** The error of this `kind`, in the words of the worker core. */
export function told(kind: string, message: string): Error {
  switch (kind) {
    case "claim_ended":
      return new ClaimEnded(message);
    case "checkpoint":
      return new CheckpointRefused(message);
    default:
      return new Away(message);
  }
}
