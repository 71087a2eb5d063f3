// kill -9, and a database that fails, while clients set what is theirs: what was answered with a result is there, what
// was not may be there or not, and nothing is there by half.
//
//   bun test/fault/personal.ts [--rounds N] [--seed N] [--users N] [--away MS] [--only FAULT] [--log]      needs dist/mongooseimctl
//
// Rosters, private elements, vCards, privacy lists, blocking, PEP, publish-subscribe, markers, invitations, tokens,
// blocked accounts, broadcasts, the message of the day; on the embedded store, and where TEST_PGSQL names a PostgreSQL
// server on that, which is then also stopped and frozen for some seconds: a request gets an honest answer in time, and
// everything works again by itself. After each round everything is read twice, before and after another kill: what the
// server has in memory is what is in the database.
//
// The last line is `personal-kill: N passed, N failed`.

import { Random } from "../fuzz/random.ts";
import { Checks, flag, option, seedOption } from "../support/script.ts";
import { attribute, LoadClient } from "./client.ts";
import {
  blocked,
  type Cell,
  condition,
  configuration,
  isResult,
  item,
  marker,
  privacyDefault,
  privacyList,
  privateElements,
  rosterItem,
  vcard,
  wholeNode,
} from "./personal/cells.ts";
import { Place } from "./personal/server.ts";
import * as services from "./personal/services.ts";

const ROUNDS = option("rounds", 2);
const USERS = option("users", 4);
const seed = seedOption();
/** An answer takes at most so many milliseconds, whatever the database does: some need three of its answers. */
const BOUND = 20_000;
/** Milliseconds, about, that the database is away. */
const AWAY = option("away", 2500);
const SERVICE = "pubsub.localhost";

/** The same moments again for the same --seed. */
const chance = new Random(seed);
const random = (): number => chance.next();
let values = 0;
const fresh = (): string => `v${++values}`;

const checks = new Checks("personal-kill");
const check = checks.none.bind(checks);

/** A thing, and what it may hold. */
class Kept {
  known = "";
  /** Set, and not answered or not well. */
  maybe: string[] = [];
  constructor(readonly cell: Cell) {}

  /** Reads it; gives what is wrong. */
  async verify(client: LoadClient): Promise<string | undefined> {
    const { cell } = this;
    try {
      const value = await cell.read(client);
      const may = [this.known, ...this.maybe];
      this.known = value;
      this.maybe = [];
      return may.includes(value) ? undefined : `${client.user}: ${cell.name} is "${value}", not ${may.join(" or ")}`;
    } catch (error) {
      return `${client.user}: ${cell.name}: ${error instanceof Error ? error.message : error}`;
    }
  }
}

/** What has come to pass in a round. */
class Tally {
  answered = 0;
  readonly errors = new Map<string, number>();
  slowest = 0;
  readonly hangs: string[] = [];
  error(what: string): void {
    this.errors.set(what, (this.errors.get(what) ?? 0) + 1);
  }
}

class User {
  client!: LoadClient;
  readonly kept: Kept[];
  /** Ids of messages that came back. */
  private readonly bounced = new Set<string>();
  /** How often each message of the day came. */
  readonly motds = new Map<string, number>();

  constructor(
    readonly name: string,
    private readonly place: Place,
    n: number,
  ) {
    const lists = ["one", "two"];
    const node = (what: string): string => `${name}-${what}`;
    const cells: Cell[] = [
      ...[0, 1, 2].map(rosterItem),
      privateElements(0),
      privateElements(1),
      vcard,
      ...(n % 2 === 0
        ? [...lists.map((l) => privacyList(l, false)), privacyList("three", true), privacyDefault(lists)]
        : [0, 1, 2].map(blocked)),
      ...[0, 1].map((k) => item(k, "urn:items")),
      configuration("urn:configured"),
      wholeNode("urn:whole"),
      ...[0, 1].map((k) => item(k, node("items"), SERVICE)),
      configuration(node("configured"), SERVICE),
      ...[0, 1].map((k) => marker(k, this.bounced)),
    ];
    this.kept = cells.map((cell) => new Kept(cell));
  }

  async login(): Promise<void> {
    this.client = await LoadClient.login(this.place.ports.plain, this.name, "r", {
      stanza: (element) => {
        if (!element.startsWith("<message")) return;
        if (attribute(element, "type") === "error") this.bounced.add(attribute(element, "id") ?? "");
        const motd = /<body>(motd-[^<]*)/.exec(element)?.[1];
        if (motd !== undefined) this.motds.set(motd, (this.motds.get(motd) ?? 0) + 1);
      },
      acknowledged() {},
    });
    this.client.send("<presence/>");
  }

  /** Makes the nodes that are there from the beginning. */
  async prepare(): Promise<void> {
    for (const kept of this.kept) if (kept.cell.name.startsWith("item")) await this.attempt(kept, new Tally());
    for (const to of [undefined, SERVICE]) {
      const node = to === undefined ? "urn:configured" : `${this.name}-configured`;
      const id = `create-${node}`;
      const create = `<pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='${node}'/></pubsub>`;
      await this.client.ask(id, `<iq type='set' id='${id}'${to === undefined ? "" : ` to='${to}'`}>${create}</iq>`);
    }
  }

  /** Sets a thing once. False when the connection is gone. */
  async attempt(kept: Kept, tally: Tally): Promise<boolean> {
    const value = kept.cell.next(fresh(), kept.known);
    if (kept.maybe.length > 0 && kept.cell.name.startsWith("blocked")) return true; // what is blocked is not known
    const before = [...kept.maybe];
    kept.maybe.push(value);
    const begin = performance.now();
    let answer: string | undefined;
    try {
      const late = Bun.sleep(BOUND).then(() => undefined);
      answer = await Promise.race([kept.cell.write(this.client, value, kept.known), late]);
    } catch {
      return false;
    }
    tally.slowest = Math.max(tally.slowest, performance.now() - begin);
    if (answer === undefined) {
      tally.hangs.push(`${this.name}: ${kept.cell.name} has no answer after ${BOUND} ms`);
      return true;
    }
    tally.answered++;
    if (isResult(answer)) {
      kept.known = value;
      kept.maybe = [];
      return true;
    }
    const error = condition(answer);
    tally.error(`${kept.cell.name.replace(/ \d/, "")}: ${error}`);
    // Refused for what is there: nothing has changed.
    if (["item-not-found", "conflict", "not-allowed"].includes(error)) kept.maybe = before;
    return true;
  }

  async work(tally: Tally, goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      const kept = this.kept[Math.floor(random() * this.kept.length)];
      if (!(await this.attempt(kept, tally))) return;
    }
  }

  async verify(): Promise<string[]> {
    const found: string[] = [];
    for (const kept of this.kept) {
      const problem = await kept.verify(this.client);
      if (problem !== undefined) found.push(problem);
    }
    return found;
  }
}

/** What is ordered of the server, and was answered. */
class Orders {
  invites: { token: string; user: string }[] = [];
  tokens: { user: string; token: string }[] = [];
  broadcasts: number[] = [];
  motd: string[] = [""];
  private readonly blocked = new Map<string, string[]>();
  private n = 0;

  constructor(
    private readonly place: Place,
    private readonly admin: User,
    private readonly users: readonly User[],
  ) {}

  async work(goesOn: () => boolean): Promise<void> {
    const { ports, graphql } = this.place;
    const steps = [
      async () => {
        const token = await services.invite(this.admin.client);
        if (token !== undefined) this.invites.push({ token, user: `invited${++this.n}` });
      },
      async () => {
        const { name } = this.users[this.n++ % this.users.length];
        // A newer one that was not answered may have taken its place.
        this.tokens = this.tokens.filter(({ user }) => user !== name);
        const token = await services.requestToken(ports.tls, name);
        if (token !== undefined) this.tokens.push({ user: name, token });
      },
      async () => {
        const user = `victim${++this.n % 3}`;
        const on = random() < 0.5;
        const may = this.blocked.get(user) ?? ["false"];
        this.blocked.set(user, [...may, String(on)]);
        if (await graphql.block(user, on)) this.blocked.set(user, [String(on)]);
      },
      async () => {
        const id = await graphql.broadcast(`cast-${++this.n}`, "admin", 1000);
        if (id !== undefined) this.broadcasts.push(id);
      },
      async () => {
        const body = `motd-${++this.n}`;
        this.motd.push(body);
        if (await services.setMotd(this.admin.client, body)) this.motd = [body];
      },
    ];
    for (let i = 0; goesOn(); i++) {
      try {
        await steps[i % steps.length]();
      } catch {
        if (!goesOn()) return;
        await Bun.sleep(20);
      }
    }
  }

  /** What is missing. */
  async verify(): Promise<string[]> {
    const { sql, ports, graphql } = this.place;
    const problems: string[] = [];
    for (const { token } of this.invites) {
      if (!(await services.inviteIsKept(sql, token))) problems.push(`the invitation ${token} is gone`);
    }
    for (const { user, token } of this.tokens.splice(0)) {
      if (!(await services.tokenOpens(ports.tls, user, token, 1))) problems.push(`${user} cannot use his token`);
      else if (await services.tokenOpens(ports.tls, user, token, 1)) problems.push(`a token of ${user} is used twice`);
    }
    const rows = await sql("SELECT luser FROM blocklist");
    for (const [user, may] of this.blocked) {
      const is = String(rows.some((row) => row["luser"] === user));
      if (!may.includes(is)) problems.push(`blocked: ${user} is ${is}`);
      this.blocked.set(user, [is]);
    }
    const [row] = await sql("SELECT body FROM mongooseim_announcements WHERE kind = 'motd'");
    const body = String(row?.["body"] ?? "");
    if (!this.motd.includes(body)) problems.push(`the message of the day is "${body}"`);
    this.motd = [body];
    for (const id of this.broadcasts.splice(0)) {
      const finished = async (): Promise<boolean> => (await graphql.broadcastState(id)) === "FINISHED";
      for (let i = 0; i < 100 && !(await finished()); i++) await Bun.sleep(100);
      if (!(await finished())) problems.push(`broadcast ${id} is ${await graphql.broadcastState(id)}`);
    }
    return problems;
  }

  /** Uses an invitation: it makes one account, and no second one. */
  async useInvite(): Promise<string[]> {
    const used = this.invites.shift();
    if (used === undefined) return [];
    const answers = await Promise.all(
      ["a", "b"].map((end) => services.register(this.place.ports.plain, used.user + end, used.token)),
    );
    const made = answers.filter(isResult).length;
    return made === 1 ? [] : [`an invitation makes ${made} accounts: ${answers.join(" ")}`];
  }
}

async function halves({ sql }: Place): Promise<string[]> {
  const found: string[] = [];
  for (const [what, statement] of Object.entries(services.ORPHANS)) {
    const rows = await sql(statement);
    if (rows.length > 0) found.push(`${rows.length} ${what}`);
  }
  return found;
}

type Fault = "kill" | "stop" | "freeze";
const only = process.argv.indexOf("--only");
/** What happens to PostgreSQL; --only names one of them. */
const FAULTS = only < 0 ? (["kill", "stop", "freeze"] as const) : [process.argv[only + 1] as Fault];

async function round(place: Place, users: readonly User[], orders: Orders, n: string, fault: Fault): Promise<void> {
  const { server, relay } = place;
  const tally = new Tally();
  let over = false;
  const goesOn = (): boolean => !over;
  const logBefore = server.log.length;
  const working = [...users.map((user) => user.work(tally, goesOn)), orders.work(goesOn)];
  await Bun.sleep(300 + random() * 700);
  if (fault === "kill") {
    over = true;
    await server.kill();
    await Promise.all(working);
  } else {
    const away = AWAY * (0.5 + random());
    if (fault === "stop") await relay?.stop();
    else relay?.freeze();
    await Bun.sleep(away);
    if (fault === "stop") await relay?.start();
    else relay?.thaw();
    if (flag("log")) console.log(`back at ${new Date().toISOString()} after ${away.toFixed(0)} ms`);
    await Bun.sleep(500);
    over = true;
    await Promise.all(working);
    const log = server.log.slice(logBefore);
    const silent = [...tally.errors.keys()].some((e) => e.includes("internal-server-error")) && log.trim() === "";
    check(`${n}: errors are in the log`, silent ? ["internal-server-error without a line"] : []);
    check(`${n}: answers in time`, tally.hangs);
    // By itself: every thing can be set again.
    const refused = new Tally();
    const settled: string[] = [];
    for (const user of users) {
      settled.push(...(await user.verify()));
      for (const kept of user.kept) await user.attempt(kept, refused);
    }
    check(`${n}: what is there once the database is back`, settled);
    const odd = [...refused.errors].filter(([error]) => !/item-not-found|conflict/.test(error));
    check(`${n}: everything works again`, [...odd.map(([error, times]) => `${error} (${times})`), ...refused.hangs]);
    await server.kill();
  }
  const up = await place.start();
  await Promise.all(users.map((user) => user.login()));
  const lost = (await Promise.all(users.map((user) => user.verify()))).flat();
  check(`${n}: what was answered is there`, lost);
  check(`${n}: orders`, await orders.verify());
  check(`${n}: no halves`, await halves(place));
  check(`${n}: an invitation`, await orders.useInvite());
  const errors = [...tally.errors].map(([error, times]) => `${error} ${times}`).join(", ");
  if (fault === "kill") {
    const odd = [...tally.errors.keys()].filter((error) => !/item-not-found|conflict/.test(error));
    check(`${n}: no errors`, odd);
  }
  console.log(
    `${n}: ${tally.answered} answers, slowest ${tally.slowest.toFixed(0)} ms, up in ${up.toFixed(0)} ms${errors === "" ? "" : `; ${errors}`}`,
  );
}

async function run(place: Place, faults: readonly Fault[], rounds: number): Promise<void> {
  try {
    await place.start();
    const names = Array.from({ length: USERS }, (_, i) => `user${i}`);
    for (const name of [...names, "admin", "victim0", "victim1", "victim2", "peer0", "peer1"]) {
      await place.graphql.account(name);
    }
    const users = names.map((name, i) => new User(name, place, i));
    const admin = new User("admin", place, 0);
    const all = [...users, admin];
    for (const user of all) {
      await user.login();
      await user.prepare();
    }
    const orders = new Orders(place, admin, users);
    for (let n = 0; n < rounds; n++) {
      for (const fault of faults) await round(place, all, orders, `${place.name} ${n + 1} ${fault}`, fault);
    }
    const twice = all.flatMap((user) =>
      [...user.motds]
        .filter(([, times]) => times > 2)
        .map(([motd, times]) => `${user.name} got ${motd} ${times} times`),
    );
    check(`${place.name}: messages of the day`, twice);
  } catch (error) {
    checks.check(`${place.name} goes on`, false);
    checks.brokeOff(error, place.server.log);
  } finally {
    if (flag("log")) console.log(place.server.log);
    await place.close();
  }
}

console.log(`personal data under kill -9: ${ROUNDS} rounds, --seed ${seed}`);
const embeddedRounds = option("embedded", ROUNDS);
await run(await Place.embedded(), ["kill"], embeddedRounds);
const url = process.env["TEST_PGSQL"];
if (url !== undefined) await run(await Place.pgsql(url), FAULTS, ROUNDS);
checks.end();
