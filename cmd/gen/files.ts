// All files that are made from declarations, with their texts.

import { join } from "node:path";
import { DEFAULT_TEXT } from "../../core/config/default.ts";
import { root as configSchema } from "../../core/config/schema.ts";
import { coreOperations } from "../../core/operations/index.ts";
import { MODULES } from "../../modules/index.ts";
import { metricsPage } from "./metrics.ts";
import { modulesPage } from "./module-page.ts";
import { operationFiles } from "./operations.ts";
import { optionsPage } from "./options.ts";

/** Path from the top of the repository -> text. */
export function generatedFiles(root: string): Readonly<Record<string, string>> {
  const operations = [...coreOperations, ...MODULES.flatMap((module) => module.operations ?? [])];
  const schema = configSchema(Object.fromEntries(MODULES.map((module) => [module.name, module.config])), "all");
  const inDist = Object.entries(operationFiles(operations)).map(([file, text]) => [`dist/${file}`, text]);
  return {
    ...Object.fromEntries(inDist),
    "dist/mongooseim.toml": DEFAULT_TEXT,
    "docs/metrics.md": metricsPage(MODULES),
    "docs/modules.md": modulesPage(MODULES, join(root, "modules")),
    "docs/options.md": optionsPage(schema, new Set(MODULES.map((module) => module.name))),
  };
}
