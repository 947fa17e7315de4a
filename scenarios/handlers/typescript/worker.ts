/** The scenarios' step handlers in TypeScript, as a worker program. */

import { worker } from "./handlers.ts";

process.exit(await (await worker()).run());
