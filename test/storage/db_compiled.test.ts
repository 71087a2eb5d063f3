// Where a compiled binary keeps the code of its workers is documented nowhere: this notices when it moves.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const dir = mkdtempSync(join(tmpdir(), "mongooseim-compiled-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("the storage worker runs in a compiled binary, from any directory", async () => {
  const binary = join(dir, "probe");
  const entries = ["test/storage/db_probe.ts", "core/storage/sqlite/worker.ts"];
  const options = ["--compile", "--minify", "--bytecode", "--format=esm", "--outfile", binary];
  const build = Bun.spawnSync([process.execPath, "build", ...options, ...entries], { cwd: root });
  expect(build.exitCode, build.stderr.toString()).toBe(0);
  const run = Bun.spawnSync([binary, join(dir, "state")], { cwd: "/" });
  expect(run.stdout.toString().trim()).toBe('[{"domain":"localhost"}]');
});
