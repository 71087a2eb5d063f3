// Faults of the embedded store: a full disk, damaged pages, a second server, a backup and a restore that are killed. What
// was acknowledged is there afterwards, and nothing needs a hand but the damage, which the server says what to do about.
//
//   bun test/fault/embedded.ts [--only PART]      needs dist/mongooseimctl; the full disk needs root
//
// The last line is `embedded: N passed, N failed`; a part that cannot run here is said before it with "skipped:".

import { Database } from "bun:sqlite";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BinaryServer, binary, freePort } from "../support/binary.ts";
import { attribute, LoadClient } from "./client.ts";

const only = process.argv.indexOf("--only");
const ONLY = only < 0 ? undefined : process.argv[only + 1];
const PAGE = 4096;

let passed = 0;
let failed = 0;
function check(what: string, good: boolean, detail = ""): void {
  if (good) passed++;
  else failed++;
  console.log(`${good ? "ok" : "FAILED"}: ${what}${good || detail === "" ? "" : `\n  ${detail}`}`);
}

const port = await freePort();
const config = `
[general]
  hosts = ["localhost"]
  default_server_domain = "localhost"
  loglevel = "warning"
  registration_timeout = "infinity"

[[listen.c2s]]
  port = ${port}
  ip_address = "127.0.0.1"

[auth]
  methods = ["internal"]
  password.format = "plain"

  [auth.internal]

[modules.mod_offline]
  max_user_messages = "infinity"
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_register]
[modules.mod_stream_management]

[access]
  register = [{acl = "all", value = "allow"}]
`;

const servers: BinaryServer[] = [];
const scratch = mkdtempSync(join(tmpdir(), "mongooseim-embedded-"));
function serverIn(stateDir: string, { more = "" } = {}): BinaryServer {
  const server = new BinaryServer({ port, config: config + more, stateDir });
  servers.push(server);
  return server;
}
const fresh = (name: string): BinaryServer => serverIn(join(scratch, name));

/** Sends messages to somebody who is offline, and knows what became of each. */
class Sender {
  sent = 0;
  acked = 0;
  readonly refused = new Map<string, string>();
  private client!: LoadClient;
  private wake: () => void = () => {};

  constructor(
    readonly user: string,
    readonly to: string,
    /** Begins the ids of its messages. */
    readonly prefix = "m",
  ) {}

  async login(): Promise<void> {
    this.client = await LoadClient.login(port, this.user, "x", {
      stanza: (element) => {
        const id = attribute(element, "id");
        if (attribute(element, "type") === "error" && id !== undefined) this.refused.set(id, element);
      },
      acknowledged: (h) => {
        this.acked = h;
        this.wake();
      },
    });
  }

  /** Sends so many and waits until the server has handled them. */
  async burst(n: number, bytes: number): Promise<void> {
    const body = "x".repeat(bytes);
    let text = "";
    for (let i = 0; i < n; i++) {
      text += `<message to='${this.to}@localhost' id='${this.prefix}${this.sent++}' type='chat'><body>${body}</body></message>`;
    }
    const answered = new Promise<void>((resolve) => {
      this.wake = () => {
        if (this.acked >= this.sent) resolve();
      };
    });
    this.client.send(`${text}<r xmlns='urn:xmpp:sm:3'/>`);
    await within(10_000, `${this.user}: no acknowledgement`, Promise.race([answered, this.client.gone]));
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  /** Ids that the server took over: acknowledged and not answered with an error. */
  get stored(): string[] {
    return Array.from({ length: this.acked }, (_, i) => `${this.prefix}${i}`).filter((id) => !this.refused.has(id));
  }
}

function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms));
  return Promise.race([work, late]);
}

/** Logs in and takes what waits; how often each id came. */
async function fetchAll(user: string): Promise<Map<string, number>> {
  const got = new Map<string, number>();
  const client = await LoadClient.login(port, user, "x", {
    stanza(element) {
      const id = attribute(element, "id");
      if (element.startsWith("<message") && id !== undefined) got.set(id, (got.get(id) ?? 0) + 1);
    },
    acknowledged() {},
  });
  client.send("<presence/>");
  let before = -1;
  for (let i = 0; got.size > before; i++) {
    before = got.size;
    await client.settled(`s${i}`);
    await Bun.sleep(200);
  }
  await client.close();
  return got;
}

const lost = (sender: Sender, got: ReadonlyMap<string, number>): string[] => sender.stored.filter((id) => !got.has(id));
const twice = (got: ReadonlyMap<string, number>): string[] => [...got].filter(([, n]) => n > 1).map(([id]) => id);

/** Starts a server that must not start; what it said, and its exit code. */
async function refusal(stateDir: string): Promise<{ code: number; lines: string[] }> {
  const file = join(stateDir, "mongooseim.toml");
  writeFileSync(file, config);
  const words = [binary(), "foreground", "--state-dir", stateDir, "--config", file];
  const run = Bun.spawn(words, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
  const code = await within(20_000, "the refusal of a server", run.exited);
  return { code, lines: `${out}${err}`.split("\n").filter((line) => line !== "") };
}

// --- a full disk ---------------------------------------------------------------------------------------------------------

/** A file system of so many MiB, or why there is none. */
function mount(dir: string, mib: number): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root may mount a tmpfs";
  mkdirSync(dir, { recursive: true });
  const run = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", dir], { stderr: "pipe" });
  return run.success ? undefined : `tmpfs cannot be mounted: ${run.stderr.toString().trim()}`;
}

async function fullDisk(): Promise<void> {
  const disk = join(scratch, "disk");
  const problem = mount(disk, 16);
  if (problem !== undefined) {
    console.log(`skipped: a full disk: ${problem}`);
    return;
  }
  const server = serverIn(join(disk, "state"));
  try {
    await server.start();
    for (const user of ["sender", "receiver", "other"]) await LoadClient.register(port, user);
    const ballast = join(disk, "ballast");
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(ballast, new Uint8Array(Math.max(0, bavail * bsize - 2 * 1024 * 1024)));
    const sender = new Sender("sender", "receiver");
    await sender.login();
    for (let i = 0; i < 200 && sender.refused.size < 60; i++) await sender.burst(20, 2000);
    const [, error] = [...sender.refused][0] ?? ["", ""];
    check("a full disk: messages are refused, with an error", sender.refused.size >= 60 && /<error/.test(error), error);
    check(
      "a full disk: the error is honest (internal-server-error)",
      [...sender.refused.values()].every((text) => text.includes("internal-server-error")),
      error,
    );
    const before = sender.refused.size;
    // Those who store nothing are not concerned.
    await (await LoadClient.login(port, "other", "x", { stanza() {}, acknowledged() {} })).close();
    const { code, out, err } = await server.ctl("backup", "create", join(disk, "backup"));
    check("a full disk: a backup is refused in one line", code === 1 && err.split("\n").length === 2, out + err);
    check(
      "a full disk: nothing of the backup is left",
      readdirSync(disk).sort().join() === "ballast,state",
      readdirSync(disk).join(),
    );
    rmSync(ballast);
    await sender.burst(20, 2000);
    await sender.burst(20, 2000);
    check(
      "after space is made it goes on by itself",
      sender.refused.size === before,
      `${sender.refused.size - before} more refused`,
    );
    await sender.close();
    const got = await fetchAll("receiver");
    check(
      "a full disk: nothing that was acknowledged is lost",
      lost(sender, got).length === 0,
      lost(sender, got).join(),
    );
    check("a full disk: nothing comes twice", twice(got).length === 0, twice(got).join());
    check(
      "a full disk: what was refused was not stored",
      [...sender.refused.keys()].every((id) => !got.has(id)),
    );
    await server.kill();
    await server.start();
    check("a full disk: the store is whole afterwards", true);
  } finally {
    await server.kill();
    Bun.spawnSync(["umount", disk]);
  }
}

// --- damaged pages -------------------------------------------------------------------------------------------------------

const fileOf = (server: BinaryServer): string => join(server.stateDir, "mongooseim.db");

/** Moves the log to the database, and gives the page below the root of a table or an index. */
function pageOf(file: string, name: string): number {
  const db = new Database(file);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const row = db.query<{ rootpage: number }, [string]>("SELECT rootpage FROM sqlite_master WHERE name = ?").get(name);
  db.close();
  const root = row!.rootpage;
  const bytes = readFileSync(file);
  const at = (root - 1) * PAGE;
  // The last child of an interior page (SQLite's file format, 1.6); a tree of one page is its own.
  return bytes[at] === 2 || bytes[at] === 5 ? bytes.readUInt32BE(at + 8) : root;
}

function overwrite(file: string, page: number): void {
  const bytes = readFileSync(file);
  for (let i = 0; i < PAGE; i++) bytes[(page - 1) * PAGE + i] = (i * 31 + 7) & 0xff;
  writeFileSync(file, bytes);
}

async function damagedPages(): Promise<void> {
  const server = fresh("damaged");
  await server.start();
  for (const user of ["sender", "receiver", "neighbour"]) await LoadClient.register(port, user);
  const sender = new Sender("sender", "receiver");
  await sender.login();
  for (let i = 0; i < 10; i++) await sender.burst(50, 500);
  await sender.close();
  const backup = join(scratch, "backup");
  const made = await server.ctl("backup", "create", backup);
  check("a backup is made while the server runs", made.code === 0, made.err);
  const refused = await server.ctl("backup", "restore", backup);
  check("a restore is refused while the server runs", refused.code === 1 && /running/.test(refused.err), refused.err);
  await server.stop();
  const good = await server.ctl("backup", "verify", backup);
  check("the backup is good", good.code === 0, good.err);

  for (const tree of ["offline_message", "i_offline_message"]) {
    const file = fileOf(server);
    overwrite(file, pageOf(file, tree));
    const before = Bun.hash(readFileSync(file));
    for (const attempt of ["first", "second"]) {
      const { code, lines } = await refusal(server.stateDir);
      check(
        `a damaged page of ${tree}: the ${attempt} start is refused with one line that says what to do`,
        code === 1 && lines.length === 1 && /is damaged .*backup restore/.test(lines[0]),
        `${code}: ${lines.join("\n")}`,
      );
    }
    check(`a damaged page of ${tree}: the file is left as it is`, Bun.hash(readFileSync(file)) === before);
    const restored = await server.ctl("backup", "restore", backup);
    check(`a damaged page of ${tree}: the backup is restored`, restored.code === 0, restored.err);
    await server.start();
    await server.stop();
  }
  await server.start();
  const got = await fetchAll("receiver");
  check("after the restore every message is there, once", lost(sender, got).length === 0 && twice(got).length === 0);
  await server.stop();
  await damagedLater(server);
}

/** A file too large to be read at the start: what is not damaged is served on. */
async function damagedLater(server: BinaryServer): Promise<void> {
  const file = fileOf(server);
  await server.start();
  const sender = new Sender("sender", "receiver");
  await sender.login();
  for (let i = 0; i < 4; i++) await sender.burst(50, 500);
  await sender.close();
  await server.stop();
  const db = new Database(file);
  db.run("CREATE TABLE ballast (bytes)");
  for (let i = 0; i < 40; i++) db.run("INSERT INTO ballast VALUES (zeroblob(1048576))");
  db.close();
  overwrite(file, pageOf(file, "offline_message"));
  await server.start();
  const begin = server.log.length;
  const got = await fetchAll("receiver");
  const log = server.log.slice(begin);
  check("damage that shows later: it is told, with what to do", /database_damaged.*backup restore/.test(log), log);
  check("damage that shows later: the log is not filled", log.split("database_damaged").length === 2, log);
  check("damage that shows later: what can be read is delivered", twice(got).length === 0);
  const roster = new Sender("receiver", "neighbour");
  await roster.login();
  await roster.close();
  await LoadClient.register(port, "newcomer");
  check("damage that shows later: log-ins and registrations go on", server.exitCode === null);
  const bad = await server.ctl("backup", "create", join(scratch, "bad"));
  check(
    "a backup of a damaged store is refused, and leaves nothing",
    bad.code === 1 && !existsSync(join(scratch, "bad")) && !existsSync(join(scratch, "bad.partial")),
    bad.out + bad.err,
  );
  await server.stop();
}

// --- two servers, killed restores ----------------------------------------------------------------------------------------

async function secondServer(): Promise<void> {
  const server = fresh("two");
  await server.start();
  await LoadClient.register(port, "alice");
  const { code, lines } = await refusal(server.stateDir);
  check("a second server on one file ends with 1", code === 1, String(code));
  check(
    "a second server says so in one line",
    lines.length === 1 && /another server is using it/.test(lines[0]),
    lines.join("\n"),
  );
  await (await LoadClient.login(port, "alice", "x", { stanza() {}, acknowledged() {} })).close();
  check("the first server goes on", server.exitCode === null);
  await server.kill();
  await server.start();
  check("a server that was killed does not bar the next one", server.exitCode === null);
  await server.stop();
}

async function killedRestores(): Promise<void> {
  const server = fresh("restored");
  await server.start();
  for (const user of ["before", "sender"]) await LoadClient.register(port, user);
  // Large enough for a restore that takes its time.
  const sender = new Sender("sender", "before");
  await sender.login();
  for (let i = 0; i < 40; i++) await sender.burst(50, 4000);
  const backup = join(scratch, "kill-backup");
  await server.ctl("backup", "create", backup);
  await LoadClient.register(port, "after");
  await server.stop();
  const original = join(scratch, "original");
  Bun.spawnSync(["cp", "-a", server.stateDir, original]);
  let finished = 0;
  const rounds = 12;
  for (let round = 0; round < rounds; round++) {
    rmSync(server.stateDir, { recursive: true });
    Bun.spawnSync(["cp", "-a", original, server.stateDir]);
    const words = [binary(), "--state-dir", server.stateDir, "backup", "restore", backup];
    const run = Bun.spawn(words, { stdout: "ignore", stderr: "ignore" });
    // Later and later, until it is done before it is killed.
    await Bun.sleep(20 + round * 25);
    run.kill("SIGKILL");
    await run.exited;
    await server.start();
    const users = new Set<string>();
    for (const user of ["before", "after"]) {
      const login = LoadClient.login(port, user, "x", { stanza() {}, acknowledged() {} }, false);
      await login.then(
        async (client) => {
          users.add(user);
          await client.close();
        },
        () => {},
      );
    }
    // The state before, or the state of the backup; never something else.
    if (!users.has("before")) {
      check(`a restore killed in round ${round} leaves a whole store`, false, [...users].join());
      break;
    }
    if (!users.has("after")) finished++;
    await server.stop();
  }
  check("a restore that is killed leaves the old store, or the new one", true);
  const done = await server.ctl("backup", "restore", backup);
  check("a restore after killed ones works", done.code === 0, done.err);
  await server.start();
  const got = await fetchAll("before");
  check("and every message is there", lost(sender, got).length === 0, lost(sender, got).slice(0, 5).join());
  console.log(`(${finished} of ${rounds} killed restores had come far enough to be finished)`);
  await server.stop();
}

/** Backups are killed at any moment while messages come: those with their name are good. */
async function killedBackups(): Promise<void> {
  const server = fresh("backed-up");
  await server.start();
  for (const user of ["sender", "receiver"]) await LoadClient.register(port, user);
  const sender = new Sender("sender", "receiver");
  await sender.login();
  let over = false;
  const keepSending = async (): Promise<void> => {
    while (!over) await sender.burst(20, 1000);
  };
  let sending = keepSending();
  let bad = 0;
  for (let round = 0; round < 10; round++) {
    const target = join(scratch, `killed-${round}`);
    const run = Bun.spawn([binary(), "--state-dir", server.stateDir, "backup", "create", target], { stderr: "ignore" });
    await Bun.sleep(20 + round * 20);
    run.kill("SIGKILL");
    await run.exited;
    if (existsSync(target) && (await server.ctl("backup", "verify", target)).code !== 0) bad++;
  }
  check("a backup that is killed has no name, or is good", bad === 0);
  // Nobody holds the log any more: it is moved to the database as it grows.
  over = true;
  await sending;
  for (let i = 0; i < 400; i++) await sender.burst(20, 4000);
  const log = statSync(`${fileOf(server)}-wal`).size;
  check("a backup that is killed lets go of the log", log < 32 * 1024 * 1024, `${log} bytes`);
  over = false;
  sending = keepSending();
  const whole = join(scratch, "killed-0");
  rmSync(whole, { recursive: true, force: true });
  const again = await server.ctl("backup", "create", whole);
  over = true;
  await sending;
  check("the next one works", again.code === 0, again.err);
  const known = sender.stored.length;
  await sender.close();
  const verified = await server.ctl("backup", "verify", whole);
  check("a backup made while messages are written is good", verified.code === 0, verified.err);
  const copy = new Database(join(whole, "mongooseim.db"), { readonly: true });
  const { n } = copy.query<{ n: number }, []>("SELECT count(*) AS n FROM offline_message").get()!;
  copy.close();
  check("it has messages of its time", n > 0 && n <= known, `${n} of ${known}`);
  await server.stop();
}

// --- what is too old -----------------------------------------------------------------------------------------------------

/** A clean-up of archives and offline messages while messages come, killed and begun again. */
async function agedMessages(): Promise<void> {
  const server = serverIn(join(scratch, "aged"), {
    more: "[modules.mod_mam]\n[modules.mod_mam.pm]\n[retention]\narchive = 30\noffline = 7\nbatch_size = 50\npause = 100\n",
  });
  await server.start();
  for (const user of ["sender", "receiver"]) await LoadClient.register(port, user);
  const sender = new Sender("sender", "receiver");
  await sender.login();
  for (let i = 0; i < 20; i++) await sender.burst(50, 200);
  await sender.close();
  await server.stop();
  const db = new Database(fileOf(server), { safeIntegers: true });
  const day = 86_400_000_000n;
  db.query("UPDATE mam_message SET id = id - ?").run((31n * day) << 8n);
  db.query("UPDATE offline_message SET timestamp = timestamp - ?").run(8n * day);
  db.close();
  await server.start();
  const counts = async (...words: string[]): Promise<Record<string, number>> => {
    const { out, err } = await server.ctl("retention", "run", ...words);
    const { data } = JSON.parse(out || `{"error":${JSON.stringify(err)}}`) as {
      data: { retention: { run: { kind: string; count: number }[] } };
    };
    return Object.fromEntries(data.retention.run.map(({ kind, count }) => [kind, count]));
  };
  const told = JSON.stringify(await counts("--dry-run"));
  check("retention: a dry run counts", told === '{"archive":2000,"offline":1000}', told);
  const fresh = new Sender("sender", "receiver");
  await fresh.login();
  for (let i = 0; i < 2; i++) await fresh.burst(50, 200);
  const killed = server.ctl("retention", "run");
  const looking = new Database(fileOf(server));
  const archived = (): number => looking.query<{ n: number }, []>("SELECT count(*) AS n FROM mam_message").get()!.n;
  const all = archived();
  for (let i = 0; i < 500 && archived() > all - 100; i++) await Bun.sleep(10);
  await server.kill();
  looking.close();
  await killed;
  await server.start();
  const left = await counts("--dry-run");
  check(
    "retention: a clean-up that was killed has done some of its work",
    left.archive < 2000 && left.archive > 0 && left.archive % 50 === 0,
    JSON.stringify(left),
  );
  const late = new Sender("sender", "receiver", "late");
  await late.login();
  const cleaning = counts();
  let worst = 0;
  for (let i = 0; i < 20; i++) {
    const begin = performance.now();
    await late.burst(5, 200);
    worst = Math.max(worst, performance.now() - begin);
  }
  const done = await cleaning;
  check("retention: the next one does the rest", done.archive === left.archive && done.offline === left.offline);
  check("retention: messages go through meanwhile", worst < 1000, `${worst.toFixed(0)} ms`);
  check("retention: nothing is left to do", JSON.stringify(await counts("--dry-run")) === '{"archive":0,"offline":0}');
  await late.close();
  const got = await fetchAll("receiver");
  const missing = [...lost(fresh, got), ...lost(late, got)];
  check("retention: what is young stays", missing.length === 0, missing.join());
  await server.stop();
}

const parts: Record<string, () => Promise<void>> = {
  "full-disk": fullDisk,
  damaged: damagedPages,
  second: secondServer,
  "killed-restores": killedRestores,
  "killed-backups": killedBackups,
  retention: agedMessages,
};
for (const [name, part] of Object.entries(parts)) {
  if (ONLY !== undefined && name !== ONLY) continue;
  try {
    await part();
  } catch (error) {
    const log = servers.at(-1)?.log.slice(-3000) ?? "";
    check(`${name} broke off`, false, `${error instanceof Error ? error.stack : error}\n${log}`);
  } finally {
    for (const server of servers) await server.kill();
  }
}
rmSync(scratch, { recursive: true, force: true });
console.log(`embedded: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
