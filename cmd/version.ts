// What the executable says it is. The build replaces the commit.

import pkg from "../package.json" with { type: "json" };

export const VERSION: string = pkg.version;
export const COMMIT: string = process.env["MONGOOSEIM_COMMIT"] ?? "unknown";
