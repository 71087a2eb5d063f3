// `npm run cases`: which test cases of MongooseIM's big_tests our stories stand for. A case counts when a story that names
// it ran, passed, and checked something. Prints a line per suite: covered, total, how many of the others have a reason in
// test/stories/reasons.tsv, and with `npm run cases -- --missing` the names of those that are not covered.
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

/** "suite:case" -> why no story stands for it. */
function allReasons(): Map<string, string> {
  const [, ...lines] = readFileSync(join(ROOT, "test/stories/reasons.tsv"), "utf8").trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [suite, name, reason] = line.split("\t");
      return [`${suite}:${name}`, reason];
    }),
  );
}

/** Runs the stories, and the suite of the databases; the latter says more where test/services.sh has started some. */
function report(): Report {
  const folder = mkdtempSync(join(tmpdir(), "cases-"));
  const file = join(folder, "stories.json");
  const bun = join(ROOT, "node_modules/.bin/bun");
  spawnSync(
    bun,
    [
      "--bun",
      "vitest",
      "run",
      "test/stories",
      "test/storage/rdbms.test.ts",
      "--maxWorkers=4",
      "--reporter=json",
      `--outputFile=${file}`,
    ],
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
const reasons = allReasons();
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
let excused = 0;
for (const [suite, tests] of cases) {
  const mine = covered.get(suite) ?? new Set();
  total += tests.size;
  done += mine.size;
  const others = [...tests].filter((test) => !mine.has(test));
  const explained = others.filter((test) => reasons.has(`${suite}:${test}`));
  excused += explained.length;
  if (mine.size + explained.length === 0 && !missing) continue;
  const rest = explained.length === 0 ? "" : ` (${explained.length} with a reason)`;
  console.log(`${`${mine.size}/${tests.size}`.padStart(9)}  ${suite}${rest}`);
  if (!missing) continue;
  for (const test of others) {
    const reason = reasons.get(`${suite}:${test}`);
    console.log(`           - ${test}${reason === undefined ? "" : `: ${reason}`}`);
  }
}
console.log(`${`${done}/${total}`.padStart(9)}  in ${covered.size} of ${cases.size} suites; ${excused} with a reason`);
for (const name of reasons.keys()) {
  const [suite, test] = name.split(":");
  if (!cases.get(suite)?.has(test)) unknown.add(name);
  else if (covered.get(suite)?.has(test)) console.error(`Covered and excused at once: ${name}`);
}
for (const name of unknown) console.error(`No such test case: ${name}`);
if (numFailedTests > 0) console.error(`${numFailedTests} stories failed; what they cover does not count`);
process.exit(unknown.size > 0 || numFailedTests > 0 ? 1 : 0);
