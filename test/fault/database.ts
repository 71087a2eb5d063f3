// kill -9 of the server, and of PostgreSQL; PostgreSQL stopped, and frozen (SIGSTOP); its connections cut in the middle of
// what they carry, a COMMIT and its answer too. All under load: nothing that was acknowledged is lost, nothing is there
// twice, no stream is stuck, and everything works again without a hand.
//
//   bun test/fault/database.ts [--rounds N] [--away MS] [--pairs N] [--only FAULT] [--log]     needs dist/mongooseimctl
//
// PostgreSQL is one of the test's own. Senders write to receivers that are online and to some that are not, with archives
// on, and set their rosters. A message is acknowledged when its number is at most the `h` of an <a/> (XEP-0198 §4) and no
// error came back for it: then it is in both archives, once, and reaches its receiver, once (where the server was killed,
// what a receiver had on its socket may come again). A message that was refused, or not acknowledged, is in an archive once
// or not at all. A message that was refused did not come; where the database was away for a moment only, none is refused,
// for whoever sends one again would have it twice. A roster is as it was set by the last request that was answered with a
// result, or by one after it.
//
// The last line is `database: N passed, N failed`, a round each. With --away 60000 it is away for a minute.

import { SQL } from "bun";
import { BinaryServer, freePort } from "../support/binary.ts";
import { auth, c2s, general, MANY_REGISTRATIONS, pool } from "../support/config-text.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import { Checks, flag, option, wordOption } from "../support/script.ts";
import { attribute, LoadClient } from "./client.ts";
import { CuttingRelay } from "./relay.ts";

const only = wordOption("only");

const ROUNDS = option("rounds", 1);
const AWAY = option("away", 3000);
/** Pairs of each kind. */
const PAIRS = option("pairs", 3);
const BURST = 10;
/** A stream that gets no answer for so long is stuck: a silent server is noticed after five seconds. */
const BOUND = 15_000;
/** A database that is away for less is waited for (core/storage/patience.ts). */
const MOMENT = 4000;
/** The longest until everything works again: the pause between two probes grows to max_start_interval. */
const BACK = 45_000;
const FAULTS = ["server killed", "database killed", "database stopped", "database frozen", "connections cut"] as const;
type Fault = (typeof FAULTS)[number];

const postgres = await OwnPostgres.create(["max_connections=100"]);
const sql = new SQL(postgres.url(), { max: 1 });
await sql.unsafe("CREATE DATABASE mongooseim");
await sql.close();
const relay = await new CuttingRelay(postgres.port).start();
const port = await freePort();
const server = new BinaryServer({
  port,
  config: `${general([MANY_REGISTRATIONS], "notice")}${c2s(port)}
${pool({ driver: "pgsql", host: "127.0.0.1", port: relay.port, database: "mongooseim", username: "mongooseim", password: "mongooseim" })}
${auth("rdbms", { plain: true })}
[modules.mod_cache_users]
[modules.mod_mam]
  [modules.mod_mam.pm]
[modules.mod_offline]
  backend = "rdbms"
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_register]
[modules.mod_roster]
  backend = "rdbms"
[modules.mod_stream_management]
  buffer_max = 100000

[access]
  register = [{acl = "all", value = "allow"}]
  max_user_offline_messages = [{acl = "all", value = 1_000_000}]
`,
});

/** Asks the database, past the server. */
async function rows<T>(text: string): Promise<T[]> {
  const db = new SQL(postgres.url("mongooseim"), { max: 1 });
  try {
    return [...(await db.unsafe(text))] as T[];
  } finally {
    await db.close();
  }
}

/** Ids of messages by the archive that they are in, as often as they are there. */
async function archives(): Promise<Map<string, Map<string, number>>> {
  const found = new Map<string, Map<string, number>>();
  const all = await rows<{ owner: string; message: Uint8Array }>(
    "SELECT u.user_name AS owner, m.message FROM mam_message m JOIN mam_server_user u ON u.id = m.user_id",
  );
  for (const { owner, message } of all) {
    const id = attribute(Buffer.from(message).toString(), "id") ?? "";
    const ids = found.get(owner) ?? new Map<string, number>();
    ids.set(id, (ids.get(id) ?? 0) + 1);
    found.set(owner, ids);
  }
  return found;
}

class Pair {
  sent = 0;
  acked = 0;
  /** The longest that a burst waited for its acknowledgement, and a request for its answer. */
  slowest = 0;
  readonly got = new Map<string, number>();
  readonly refused = new Set<string>();
  private roster = "";
  private rosterMaybe: string[] = [];
  over = false;
  private client: LoadClient | undefined;
  private receiver: LoadClient | undefined;

  constructor(
    readonly online: boolean,
    readonly n: number,
    readonly round: number,
  ) {}

  get from(): string {
    return `s-${this.online ? "on" : "off"}-${this.n}`;
  }
  get to(): string {
    return `r-${this.online ? "on" : "off"}-${this.n}`;
  }
  private readonly id = (i: number): string => `${this.round}.${this.from}.${i}`;

  private readonly receives = {
    stanza: (element: string): void => {
      const id = element.startsWith("<message") ? attribute(element, "id") : undefined;
      if (id !== undefined && attribute(element, "type") !== "error") this.got.set(id, (this.got.get(id) ?? 0) + 1);
    },
    acknowledged(): void {},
  };
  private wake: () => void = () => {};

  async begin(): Promise<void> {
    if (this.online) await this.comesOnline();
    this.client = await LoadClient.login(port, this.from, "load", {
      stanza: (element) => {
        if (attribute(element, "type") === "error") this.refused.add(attribute(element, "id") ?? "");
      },
      acknowledged: (h) => {
        this.acked = h;
        this.wake();
      },
    });
  }

  private async comesOnline(): Promise<void> {
    this.receiver = await LoadClient.login(port, this.to, "load", this.receives);
    this.receiver.send("<presence/>");
  }

  /** Sends bursts, each after the acknowledgement of the one before, and a roster set now and then, until it is told. */
  async load(): Promise<void> {
    const client = this.client;
    if (client === undefined) return;
    const gone = client.gone.then(() => true);
    for (let n = 0; !this.over; n++) {
      if (await this.burst(client, gone)) return;
      if (n % 5 === 0 && (await this.setRoster(client, gone))) return;
      await Bun.sleep(20);
    }
  }

  private async burst(client: LoadClient, gone: Promise<boolean>): Promise<boolean> {
    let text = "";
    for (let i = 0; i < BURST; i++) {
      text += `<message to='${this.to}@localhost' id='${this.id(this.sent++)}' type='chat'><body>hello</body></message>`;
    }
    const answered = new Promise<boolean>((resolve) => {
      this.wake = () => resolve(false);
    });
    const begin = performance.now();
    client.send(`${text}<r xmlns='urn:xmpp:sm:3'/>`);
    const ended = await Promise.race([answered, gone, Bun.sleep(60_000).then(() => true)]);
    this.slowest = Math.max(this.slowest, performance.now() - begin);
    return ended;
  }

  private async setRoster(client: LoadClient, gone: Promise<boolean>): Promise<boolean> {
    const value = `v${this.round}-${this.sent}`;
    this.rosterMaybe.push(value);
    const item = `<query xmlns='jabber:iq:roster'><item jid='friend@localhost' name='${value}'/></query>`;
    // It is counted by XEP-0198 too, so it takes a number among the messages: the id says what it is.
    this.sent++;
    const begin = performance.now();
    const asked = client.ask(value, `<iq type='set' id='${value}'>${item}</iq>`).catch(() => undefined);
    const answer = await Promise.race([asked, gone, Bun.sleep(60_000).then(() => true)]);
    this.slowest = Math.max(this.slowest, performance.now() - begin);
    if (typeof answer !== "string") return true;
    if (attribute(answer, "type") === "result") {
      this.roster = value;
      this.rosterMaybe = [];
    }
    return false;
  }

  /** What is wrong with the messages in the archives, with what the receiver got and with the roster. */
  async problems(fault: Fault, found: Map<string, Map<string, number>>): Promise<string[]> {
    const wrong: string[] = [];
    for (let i = 0; i < this.sent; i++) {
      const id = this.id(i);
      const times = [this.from, this.to].map((owner) => found.get(owner)?.get(id) ?? 0);
      if (times.some((n) => n > 1)) wrong.push(`${id} is in an archive ${Math.max(...times)} times`);
      const got = this.got.get(id) ?? 0;
      const mayRepeat = fault === "server killed" && this.online;
      if (got > 1 && !mayRepeat) wrong.push(`${id} came ${got} times`);
      if (this.refused.has(id) && got > 0) wrong.push(`${id} was refused and came`);
      if (this.refused.has(id) && AWAY < MOMENT && !this.isRequest(i)) wrong.push(`${id} was refused`);
      if (i >= this.acked || this.refused.has(id) || this.isRequest(i)) continue;
      if (times.includes(0)) wrong.push(`${id} was acknowledged and is in ${times.join(" and ")} archives`);
      if (got === 0) wrong.push(`${id} was acknowledged and did not come`);
    }
    const [row] = await rows<{ nick: string }>(`SELECT nick FROM rosterusers WHERE username = '${this.from}'`);
    const may = [this.roster, ...this.rosterMaybe];
    if (!may.includes(row?.nick ?? ""))
      wrong.push(`the roster of ${this.from} is ${row?.nick}, not ${may.join(" or ")}`);
    return wrong;
  }

  /** Numbers of the stanzas that are no messages: each after five bursts. */
  private isRequest(i: number): boolean {
    return i % (5 * BURST + 1) === BURST;
  }

  /** Lets the receiver take what waits for it. */
  async fetch(): Promise<void> {
    const offline = this.receiver === undefined || !this.online;
    if (offline) await this.comesOnline();
    const client = this.receiver;
    if (client === undefined) return;
    let quiet = 0;
    for (let i = 0; quiet < 5; i++) {
      const before = this.got.size;
      await client.settled(`settle-${i}`);
      await Bun.sleep(50);
      quiet = this.got.size === before ? quiet + 1 : 0;
    }
  }

  async leave(): Promise<void> {
    await Promise.all([this.client?.close(), this.receiver?.close()]);
  }

  /** After the server was killed: nobody is connected any more. */
  forget(): void {
    this.client = undefined;
    this.receiver = undefined;
  }
}

/** Waits until a message is stored and acknowledged again, asked for by nobody but a user; gives the milliseconds. */
async function recovery(): Promise<number> {
  const begin = performance.now();
  while (performance.now() - begin < BACK) {
    try {
      const asked = LoadClient.login(port, "probe", "probe", { stanza() {}, acknowledged() {} });
      const client = await Promise.race([asked, Bun.sleep(BOUND).then(() => undefined)]);
      if (client !== undefined) {
        const item = "<query xmlns='jabber:iq:roster'><item jid='a@localhost'/></query>";
        const answer = await client.ask("probe", `<iq type='set' id='probe'>${item}</iq>`);
        client.cut();
        if (attribute(answer, "type") === "result") return performance.now() - begin;
      }
    } catch {
      // Refused: not yet.
    }
    await Bun.sleep(100);
  }
  throw new Error(`nothing works ${BACK} ms after the database is back`);
}

async function fail(fault: Fault): Promise<void> {
  switch (fault) {
    case "server killed":
      await server.kill();
      return;
    case "database killed":
      await postgres.kill();
      break;
    case "database stopped":
      await postgres.stop();
      break;
    case "database frozen":
      postgres.freeze();
      break;
    case "connections cut":
      relay.cutting = true;
  }
  await Bun.sleep(AWAY);
  relay.cutting = false;
  if (fault === "database frozen") postgres.thaw();
  else if (fault !== "connections cut") await postgres.start();
}

async function round(n: number, fault: Fault): Promise<boolean> {
  const pairs = [true, false].flatMap((online) => Array.from({ length: PAIRS }, (_, i) => new Pair(online, i, n)));
  for (const pair of pairs) await pair.begin();
  const loads = pairs.map((pair) => pair.load());
  await Bun.sleep(1500);
  await fail(fault);
  if (fault === "server killed") {
    await Promise.all(loads);
    for (const pair of pairs) pair.forget();
    await server.start();
  }
  const back = await recovery();
  await Bun.sleep(500);
  for (const pair of pairs) pair.over = true;
  await Promise.all(loads);
  await Promise.all(pairs.map((pair) => pair.fetch()));
  const found = await archives();
  const problems = (await Promise.all(pairs.map((pair) => pair.problems(fault, found)))).flat();
  const slowest = Math.max(...pairs.map((pair) => pair.slowest));
  if (slowest > BOUND) problems.push(`a stream had no answer for ${slowest.toFixed(0)} ms`);
  await Promise.all(pairs.map((pair) => pair.leave()));
  const sum = (of: (pair: Pair) => number): number => pairs.reduce((total, pair) => total + of(pair), 0);
  console.log(
    `${fault}: ${sum((p) => p.sent)} sent, ${sum((p) => p.acked)} acknowledged, ${sum((p) => p.refused.size)} of them refused; ` +
      `longest wait ${slowest.toFixed(0)} ms, works again after ${back.toFixed(0)} ms; ${problems.length} problems`,
  );
  for (const problem of problems.slice(0, 20)) console.log(`  ${problem}`);
  return problems.length === 0;
}

const checks = new Checks("database");
try {
  await server.start();
  const names = [true, false].flatMap((online) =>
    Array.from({ length: PAIRS }, (_, i) => new Pair(online, i, 0)).flatMap(({ from, to }) => [from, to]),
  );
  for (const name of [...names, "probe"]) await LoadClient.register(port, name);
  let n = 0;
  for (let i = 0; i < ROUNDS; i++) {
    for (const fault of FAULTS) {
      if (only !== undefined && fault !== only) continue;
      checks.check(`round ${++n}, ${fault}`, await round(n, fault));
    }
  }
  if (only === undefined || only === "connections cut") checks.check("connections were cut", relay.cuts > 0);
  const uncaught = /uncaught_exception|unhandled_rejection/.test(server.log);
  checks.check("every error is caught", !uncaught, uncaught ? server.log.slice(-4000) : "");
  if (flag("log")) console.log(server.log.slice(-6000));
} catch (error) {
  checks.brokeOff(error, server.log);
} finally {
  await server.kill();
  server.remove();
  relay.stop();
  await postgres.remove();
}
checks.end();
