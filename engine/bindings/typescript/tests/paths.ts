/** Where tests find things; to be imported before the library is used. */

import { join } from "node:path";

/** The repository. */
export const ROOT = join(import.meta.dir, "..", "..", "..", "..");
/** The programs that cargo has built. */
export const BIN = process.env.STEPMARK_BIN_DIR ?? join(ROOT, "target", "debug");
/** The worker core that cargo has built. */
export const NATIVE = process.env.STEPMARK_NATIVE ?? join(BIN, "libstepmark_typescript.so");
process.env.STEPMARK_NATIVE = NATIVE;
