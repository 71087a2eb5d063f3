// `npm run cases`: which test cases of MongooseIM's big_tests our stories stand for. A case counts when a story that names
// it ran, passed, and checked something. Prints a line per suite: covered, total, and the names that are missing when
// they are asked for (`npm run cases -- --missing`).
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Report {
  numFailedTests: number;
  testResults: {
    assertionResults: {
      status: string;
      fullName: string;
      meta?: { story?: { covers: string[]; assertions: number } };
    }[];
  }[];
}

const ROOT = join(import.meta.dir, "..");

/** Suite -> its test cases; MongooseIM 6.8. */
function allCases(): Map<string, Set<string>> {
  const cases = new Map<string, Set<string>>();
  const [, ...lines] = readFileSync(join(ROOT, "test/stories/cases.tsv"), "utf8").trim().split("\n");
  for (const line of lines) {
    const [suite, name] = line.split("\t");
    cases.set(suite, (cases.get(suite) ?? new Set()).add(name));
  }
  return cases;
}

/** Runs the stories. */
function report(): Report {
  const folder = mkdtempSync(join(tmpdir(), "cases-"));
  const file = join(folder, "stories.json");
  const bun = join(ROOT, "node_modules/.bin/bun");
  spawnSync(
    bun,
    ["--bun", "vitest", "run", "test/stories", "--maxWorkers=4", "--reporter=json", `--outputFile=${file}`],
    {
      cwd: ROOT,
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const text = readFileSync(file, "utf8");
  rmSync(folder, { recursive: true });
  return JSON.parse(text) as Report;
}

const cases = allCases();
const { testResults, numFailedTests } = report();
const covered = new Map<string, Set<string>>();
const unknown = new Set<string>();
for (const { status, meta } of testResults.flatMap((file) => file.assertionResults)) {
  if (status !== "passed" || meta?.story === undefined || meta.story.assertions === 0) continue;
  for (const name of meta.story.covers) {
    const [suite, test] = name.split(":");
    if (cases.get(suite)?.has(test)) covered.set(suite, (covered.get(suite) ?? new Set()).add(test));
    else unknown.add(name);
  }
}

const missing = process.argv.includes("--missing");
let total = 0;
let done = 0;
for (const [suite, tests] of cases) {
  const mine = covered.get(suite) ?? new Set();
  total += tests.size;
  done += mine.size;
  if (mine.size === 0 && !missing) continue;
  console.log(`${`${mine.size}/${tests.size}`.padStart(9)}  ${suite}`);
  if (missing) for (const test of tests) if (!mine.has(test)) console.log(`           - ${test}`);
}
console.log(`${`${done}/${total}`.padStart(9)}  in ${covered.size} of ${cases.size} suites`);
for (const name of unknown) console.error(`No such test case: ${name}`);
if (numFailedTests > 0) console.error(`${numFailedTests} stories failed; what they cover does not count`);
process.exit(unknown.size > 0 || numFailedTests > 0 ? 1 : 0);
