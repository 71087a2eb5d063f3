// Everything that can be tested, as `npm test` runs it: types, lint, the build, unit tests, stories and stores on real
// databases, then the compiled executable with real clients and under attack.
//
//   bun test/run.ts [--full]      --full: kill the server 50 times, floods of full size
//
// The last line is "N passed, N failed, N skipped", counting everything; exit code 1 when anything failed.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { FAKETIME_PACKAGE, faketimeLibrary } from "./support/faketime.ts";
import { postgresBin } from "./support/own_postgres.ts";

const root = join(import.meta.dir, "..");
const scratch = mkdtempSync(join(tmpdir(), "mongooseim-test-"));
const full = process.argv.includes("--full");
const inCi = process.env["CI"] === "true";
const bin = (name: string): string => join(root, "node_modules/.bin", name);

const total = { passed: 0, failed: 0, skipped: 0 };
/** What failed or was skipped, for the end. */
const remarks: string[] = [];

function add(passed: number, failed: number, skipped = 0): void {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}

function fail(remark: string): void {
  add(0, 1);
  remarks.push(`failed: ${remark}`);
}

/** What this machine cannot run; where everything has to run, that is a failure. */
function skip(remark: string): void {
  if (inCi) {
    fail(remark);
    return;
  }
  add(0, 0, 1);
  remarks.push(`skipped: ${remark}`);
}

interface Run {
  readonly code: number;
  readonly out: string;
}

/** Runs a command, shows what it prints, and ends it when it takes too long. */
async function run(words: string[], minutes: number, env: Record<string, string> = {}): Promise<Run> {
  const child = Bun.spawn(words, {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    // A log that nobody watches is read without colours.
    env: { ...process.env, ...(process.stdout.isTTY ? {} : { NO_COLOR: "1" }), ...env },
  });
  const timer = setTimeout(() => {
    console.log(`"${words.join(" ")}" takes longer than ${minutes} minutes: killed`);
    child.kill("SIGKILL");
  }, minutes * 60_000);
  let out = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    process.stdout.write(bytes);
    out += decoder.decode(bytes, { stream: true });
  }
  const code = await child.exited;
  clearTimeout(timer);
  return { code: child.signalCode === null ? code : 1, out };
}

/** A command that is one test. */
async function single(title: string, words: string[], minutes: number): Promise<boolean> {
  const { code } = await run(words, minutes);
  if (code === 0) add(1, 0);
  else fail(title);
  return code === 0;
}

/** A script of ours that counts its own checks: "NAME: N passed, N failed". */
async function counted(
  name: string,
  words: string[],
  minutes: number,
  env: Record<string, string> = {},
): Promise<void> {
  console.log(`\n== ${name}`);
  const { code, out } = await run([process.execPath, ...words], minutes, env);
  const line = new RegExp(`^${name}: (\\d+) passed, (\\d+) failed$`, "m").exec(out);
  if (line === null) {
    fail(`${name} broke off`);
    return;
  }
  const failed = Number(line[2]);
  add(Number(line[1]), failed);
  for (const [, what] of out.matchAll(/^skipped: (.*)$/gm)) skip(`part of ${name}: ${what}`);
  if (failed > 0) remarks.push(`failed: ${failed} of ${name}`);
  else if (code !== 0) fail(`${name} ended with exit code ${code}`);
}

/** Starts the services that tests talk to; gives the variables that name them. */
async function services(): Promise<Record<string, string>> {
  const { code, out } = await run([join(root, "test/services.sh"), "start"], 5);
  const found = [...out.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]);
  if (code !== 0) fail("the test services do not start");
  for (const [name, service] of [
    ["TEST_PGSQL", "PostgreSQL"],
    ["TEST_MYSQL", "MariaDB"],
  ]) {
    if (code === 0 && !found.some(([variable]) => variable === name)) skip(`no ${service}: its tests do not run`);
  }
  return Object.fromEntries(found);
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { name: string; status: string; assertionResults: readonly unknown[] }[];
}

/** The stories whose messages, markers and contacts a pool of connections could bring out of order. */
const ON_SERVER = [
  "account-removal",
  "mod_inbox",
  "mod_mam-archive",
  "mod_mam-order",
  "mod_offline",
  "mod_offline-again",
  "mod_smart_markers",
  "rfc6121-roster",
].map((name) => `test/stories/${name}.test.ts`);

/** Without `files` all of them. */
async function vitest(title: string, env: Record<string, string>, files: readonly string[] = []): Promise<void> {
  console.log(`\n== ${title}`);
  const file = join(scratch, `${files.length}.json`);
  const words = [process.execPath, "--bun", bin("vitest"), "run", ...files];
  const { code } = await run([...words, "--reporter=default", "--reporter=json", `--outputFile.json=${file}`], 15, env);
  if (!existsSync(file)) {
    fail(`${title} broke off`);
    return;
  }
  const report = JSON.parse(readFileSync(file, "utf8")) as VitestReport;
  add(report.numPassedTests, report.numFailedTests, report.numPendingTests + report.numTodoTests);
  if (report.numFailedTests > 0) remarks.push(`failed: ${report.numFailedTests} tests of ${title}`);
  // A file that cannot be loaded has no tests that could fail.
  const broken = report.testResults.filter((r) => r.status === "failed" && r.assertionResults.length === 0);
  for (const { name } of broken) fail(`${name} cannot be run`);
  if (code !== 0 && report.numFailedTests === 0 && broken.length === 0) fail(`${title} ended with exit code ${code}`);
}

const has = (words: string[]): boolean => {
  try {
    return Bun.spawnSync(words, { stdout: "ignore", stderr: "ignore" }).success;
  } catch {
    return false;
  }
};

/** Whether something of a Debian package is `there`, installed now when that can be done. */
async function have(debian: string, there: () => boolean): Promise<boolean> {
  if (there()) return true;
  if (process.getuid?.() !== 0 || !has(["apt-get", "--version"])) return false;
  console.log(`Installing ${debian} ...`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run(["apt-get", "update", "-qq"], 3, env);
  await run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", debian], 5, env);
  return there();
}

/** The client of another author that Debian has. */
const haveSlixmpp = (): Promise<boolean> =>
  have("python3-slixmpp", () => has(["/usr/bin/python3", "-c", "import slixmpp"]));

/** Services that somebody started before us are left running (test/services.sh says where they are). */
const servicesDir =
  process.env["MONGOOSEIM_TEST_SERVICES"] ?? `/tmp/mongooseim-test-services-${process.getuid?.() ?? ""}`;
const servicesWereUp = ["pgsql/postmaster.pid", "mysql/pid"].some((file) => existsSync(join(servicesDir, file)));

const begin = performance.now();
try {
  console.log("== types, lint, build");
  // The list of features has to be there before types are checked.
  await single("the module list", [process.execPath, "cmd/gen/modules.ts"], 1);
  await Promise.all([
    single("tsc --noEmit", [bin("tsc"), "--noEmit"], 5),
    single("biome check", [bin("biome"), "check", "."], 2),
  ]);
  const built = await single("the build", [process.execPath, "cmd/build.ts"], 5);
  const env = await services();
  await vitest("vitest", env);
  if (env["TEST_PGSQL"] !== undefined) {
    await vitest("stories on PostgreSQL", { ...env, TEST_STORIES_DB: "pgsql" }, ON_SERVER);
  }
  if (built) {
    if (await haveSlixmpp()) {
      await counted("interop", ["test/interop/run.ts"], 5);
      await counted("personal", ["test/interop/personal.ts"], 5);
      await counted("archive", ["test/interop/archive.ts"], 5);
    } else skip("interop: python3-slixmpp is not installed");
    await counted("kill", ["test/fault/kill.ts", "--rounds", full ? "50" : "5"], 10);
    await counted("broadcast", ["test/fault/broadcast.ts", "--kills", full ? "10" : "3"], 5);
    await counted(
      "personal-kill",
      ["test/fault/personal.ts", "--rounds", full ? "20" : "1", "--embedded", full ? "50" : "4"],
      full ? 30 : 5,
      env,
    );
    if (postgresBin() === undefined) skip("database: PostgreSQL is not installed");
    else await counted("database", ["test/fault/database.ts", "--away", full ? "60000" : "2000"], full ? 10 : 4);
    await counted(
      "removal",
      full
        ? ["test/fault/removal.ts", "--messages", "300000", "--users", "20000", "--kills", "10"]
        : ["test/fault/removal.ts"],
      full ? 30 : 5,
      env,
    );
    await counted("races", ["test/fault/races.ts", "--rounds", full ? "20" : "1"], full ? 15 : 5, env);
    await counted("embedded", ["test/fault/embedded.ts"], 5);
    if (await have(FAKETIME_PACKAGE, () => faketimeLibrary() !== undefined)) {
      await counted("clock", ["test/fault/clock.ts"], 4);
    } else skip(`clock: ${FAKETIME_PACKAGE} is not installed`);
    await counted("flood", ["test/fault/flood.ts", "--scale", full ? "1" : "0.5"], 5);
  } else fail("interop and fault tests need the build");
} catch (error) {
  fail(`the test command itself: ${error instanceof Error ? error.stack : error}`);
} finally {
  if (!servicesWereUp) Bun.spawnSync([join(root, "test/services.sh"), "stop"], { cwd: root, stderr: "ignore" });
  rmSync(scratch, { recursive: true, force: true });
}

console.log(`\nAll in ${((performance.now() - begin) / 1000).toFixed(0)} s.`);
for (const remark of remarks) console.log(remark);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
