// Compiles everything into one executable, dist/mongooseimctl.
//
//   bun cmd/build.ts [--outfile FILE]
//
// The commit is baked in: MONGOOSEIM_COMMIT when it is set (a packager without git), else what git says.

import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { generateAll } from "./gen/all.ts";

const root = join(import.meta.dir, "..");

/** Code that runs in its own thread has to be an entry of its own, under the path that `new Worker` names. */
const ENTRIES = ["mongooseimctl.ts", "core/storage/sqlite/worker.ts"];

function commit(): string {
  const given = process.env["MONGOOSEIM_COMMIT"];
  if (given) return given;
  const git = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root, stderr: "ignore" });
  return git.success ? git.stdout.toString().trim() : "unknown";
}

/** Builds the executable; throws with the messages of the compiler. */
export async function build(outfile: string): Promise<void> {
  await generateAll(root);
  const { outputs } = await Bun.build({
    entrypoints: ENTRIES.map((entry) => join(root, entry)),
    // The workers' paths inside the executable are relative to this.
    root,
    compile: {
      outfile,
      // A server must not take settings from files that lie about where it happens to be started.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
    target: "bun",
    format: "esm",
    minify: true,
    // Parsed ahead: starting costs half of what it would.
    bytecode: true,
    // Stack traces in logs name our files and lines.
    sourcemap: "linked",
    define: { "process.env.MONGOOSEIM_COMMIT": JSON.stringify(commit()) },
  });
  // The maps are inside the executable too.
  for (const { kind, path } of outputs) if (kind === "sourcemap") rmSync(path, { force: true });
}

if (import.meta.main) {
  const at = process.argv.indexOf("--outfile");
  const outfile = at < 0 ? join(root, "dist/mongooseimctl") : process.argv[at + 1];
  const begin = performance.now();
  try {
    await build(outfile);
  } catch (error) {
    const problems = error instanceof AggregateError ? error.errors : [error];
    for (const problem of problems) console.error(Bun.inspect(problem));
    process.exit(1);
  }
  const size = (statSync(outfile).size / 1e6).toFixed(1);
  console.error(`Built ${outfile}: ${size} MB in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}
