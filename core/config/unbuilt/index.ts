// MongooseIM's modules: schemas that stand in for the modules which are not built yet. The files are grouped by
// subject; every export of theirs is a module under its own name.
import type { z } from "zod";
import * as directory from "./directory.ts";
import * as globalDistrib from "./global-distrib.ts";
import * as muc from "./muc.ts";
import * as outside from "./outside.ts";
import * as push from "./push.ts";

/** Makers of the schemas, by module name. */
export const unbuiltModules: Readonly<Record<string, () => z.ZodType>> = {
  ...directory,
  ...globalDistrib,
  ...muc,
  ...outside,
  ...push,
};
