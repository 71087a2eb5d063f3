// What the executable says it is.

import pkg from "../package.json" with { type: "json" };

export const VERSION: string = pkg.version;
/** The build replaces this expression by the commit (cmd/build.ts); uncompiled, the environment may say it. */
export const COMMIT: string = process.env.MONGOOSEIM_COMMIT ?? "unknown";
