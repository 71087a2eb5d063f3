// Writes every file that is made from declarations: the list of modules, what a packager takes from dist/, and the
// reference in docs/. They are kept in git; a test compares them.
//
//   bun cmd/gen/all.ts

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { moduleIndex } from "./modules.ts";

/** Writes what has changed; gives the paths of those files. */
export async function generateAll(root: string): Promise<string[]> {
  const changed = write(root, "modules/index.ts", moduleIndex(join(root, "modules"))) ? ["modules/index.ts"] : [];
  // Loaded after the list of modules is right.
  const { generatedFiles } = await import("./files.ts");
  for (const [file, text] of Object.entries(generatedFiles(root))) if (write(root, file, text)) changed.push(file);
  return changed;
}

function write(root: string, file: string, text: string): boolean {
  const path = join(root, file);
  if (current(path) === text) return false;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return true;
}

function current(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

if (import.meta.main) for (const file of await generateAll(join(import.meta.dir, "../.."))) console.log(file);
