// Things that are done at the same time: by two sessions of one user, by two users, by a user and the administrator who
// removes him. In the end what the server has in memory is what a fresh server finds in the database, nothing is there
// by half, and no row is left of an account or a domain that was removed.
//
//   bun test/fault/races.ts [--rounds N] [--seed N]      needs dist/mongooseimctl
//
// On the embedded store, and on PostgreSQL where TEST_PGSQL names a server. The last line is `races: N passed, N failed`.

import { Random } from "../fuzz/random.ts";
import { Checks, option, seedOption } from "../support/script.ts";
import { LoadClient } from "./client.ts";
import {
  ask,
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
  pubsub,
  rosterItem,
  vcard,
  wholeNode,
} from "./personal/cells.ts";
import { Place } from "./personal/server.ts";
import * as services from "./personal/services.ts";

const ROUNDS = option("rounds", 3);
const seed = seedOption();
const SERVICE = "pubsub.localhost";
/** Milliseconds that a race goes on. */
const RACE = 400;

/** The same moments again for the same --seed. */
const chance = new Random(seed);
const random = (): number => chance.next();
let values = 0;

const checks = new Checks("races");
const check = checks.none.bind(checks);

/** Everything that a user sets, all of it by each of his sessions. */
const cellsOf = (user: string): Cell[] => [
  rosterItem(0),
  privateElements(0),
  vcard,
  privacyList("one", false),
  privacyList("blocking", true),
  privacyDefault(["one"]),
  blocked(0),
  item(0, "urn:raced"),
  wholeNode("urn:raced"),
  configuration("urn:raced"),
  item(0, `raced-${user}`, SERVICE),
  wholeNode(`raced-${user}`, SERVICE),
  configuration(`raced-${user}`, SERVICE),
  marker(0, new Set()),
];

/** Answers that say that somebody else was first. */
const BEATEN = ["item-not-found", "conflict", "not-allowed", "forbidden", "bad-request", "service-unavailable"];

async function login(place: Place, user: string, resource: string, domain = "localhost"): Promise<LoadClient> {
  const events = { stanza() {}, acknowledged() {} };
  const client = await LoadClient.login(place.ports.plain, user, resource, events, false, domain);
  client.send("<presence/>");
  return client;
}

/** Sets what comes to hand until the time is over or the connection gone; gives answers that should not be. */
async function hammer(client: LoadClient, cells: readonly Cell[], until: number): Promise<string[]> {
  const odd: string[] = [];
  const before = new Map<Cell, string>();
  while (performance.now() < until) {
    const cell = cells[Math.floor(random() * cells.length)];
    const value = cell.next(`v${++values}`, before.get(cell) ?? "");
    const answer = await cell.write(client, value, before.get(cell) ?? "").catch(() => undefined);
    if (answer === undefined) return odd;
    if (isResult(answer)) before.set(cell, value);
    else if (!BEATEN.includes(condition(answer))) odd.push(`${client.user}: ${cell.name}: ${answer}`);
  }
  return odd;
}

const readAll = async (client: LoadClient, cells: readonly Cell[]): Promise<string[]> => {
  const all: string[] = [];
  for (const cell of cells) {
    const value = await cell.read(client).catch((error: Error) => error.message);
    // Ids of requests are not of one length.
    all.push(`${client.user}: ${cell.name} is "${value.replaceAll(/ id='q\d+'/g, "").slice(0, 2000)}"`);
  }
  return all;
};

const differences = (one: readonly string[], other: readonly string[]): string[] =>
  one.flatMap((line, i) => (line === other[i] ? [] : [`${line}; after a restart: ${other[i]}`]));
/** Blocking and the list "blocking" are one thing, which several sessions fill. */
const halves = (lines: readonly string[]): string[] =>
  lines.filter((line) => line.includes("half") && !line.includes("block"));

/** Every row of every table that has the word in it. */
async function mentions(place: Place, word: string): Promise<string[]> {
  const found: string[] = [];
  for (const table of await place.tables()) {
    for (const row of await place.sql(`SELECT * FROM ${table}`)) {
      const text = Object.values(row)
        .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : String(value)))
        .join(" | ");
      if (text.includes(word)) found.push(`${table}: ${text}`);
    }
  }
  return found;
}

/** Two sessions of a user, and another user at the same nodes of the service. */
async function sameThings(place: Place, title: string): Promise<void> {
  const users = ["twice", "other"];
  const clients = await Promise.all(users.flatMap((user) => ["a", "b", "c"].map((r) => login(place, user, r))));
  const until = performance.now() + RACE * 2;
  const cells = [...cellsOf("twice"), item(1, "raced-both", SERVICE), wholeNode("raced-both", SERVICE)];
  const odd = await Promise.all(clients.map((client) => hammer(client, cells, until)));
  check(`${title}: answers`, odd.flat());
  const [one, , , two] = clients;
  const before = [...(await readAll(one, cells)), ...(await readAll(two, cells))];
  check(`${title}: no halves`, halves(before));
  await place.server.kill();
  await place.start();
  const again = await Promise.all(users.map((user) => login(place, user, "a")));
  const after = [...(await readAll(again[0], cells)), ...(await readAll(again[1], cells))];
  check(`${title}: memory and database agree`, differences(before, after));
  for (const [what, statement] of Object.entries(services.ORPHANS)) {
    const rows = await place.sql(statement);
    if (rows.length > 0)
      check(
        `${title}: ${what}`,
        rows.map((row) => JSON.stringify(row)),
      );
  }
}

/** What others do with the nodes of somebody who goes. */
async function visit(client: LoadClient, host: string, until: number): Promise<void> {
  const me = `${client.user}@localhost`;
  while (performance.now() < until) {
    const done = await Promise.race([
      ask(client, "set", pubsub(`<subscribe node='urn:raced' jid='${me}'/>`), host),
      ask(client, "get", pubsub("<items node='urn:raced'/>"), host),
      ask(client, "set", pubsub(`<subscribe node='raced-visited' jid='${me}'/>`), SERVICE),
    ]).catch(() => undefined);
    if (done === undefined) return;
    client.send(`<message to='${host}' type='chat'><body>hello</body></message>`);
  }
}

/** The one who goes uses what is his and what is another's. */
async function spread(client: LoadClient, jid: string, other: string, until: number): Promise<void> {
  for (let n = 0; performance.now() < until; n++) {
    const id = `${jid}-${n}`;
    const done = await Promise.race([
      ask(client, "set", pubsub(`<subscribe node='open' jid='${jid}'/>`), other),
      ask(client, "set", pubsub(`<create node='of-${id.replace("@", "-")}'/>`), SERVICE),
      services.invite(client),
    ]).catch(() => "gone");
    if (done === "gone") return;
  }
}

async function removal(place: Place, title: string, domain: string | undefined, n: number): Promise<void> {
  const at = domain ?? "localhost";
  const word = domain ?? `goner${n}x`;
  const user = domain === undefined ? word : "somebody";
  const jid = `${user}@${at}`;
  if (domain !== undefined) await place.graphql.domain("addDomain", domain);
  if (!(await place.graphql.account(user, at))) throw new Error(`${jid} cannot be made`);
  const clients = await Promise.all(["a", "b", "c", "d"].map((r) => login(place, user, r, at)));
  const visitors = await Promise.all(["a", "b"].map((r) => login(place, "other", r)));
  const open =
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#access_model'><value>open</value></field></x>";
  await ask(visitors[0], "set", pubsub(`<create node='open'/><configure>${open}</configure>`));
  await ask(clients[0], "set", pubsub(`<create node='urn:raced'/><configure>${open}</configure>`));
  await ask(visitors[0], "set", pubsub("<create node='raced-visited'/>"), SERVICE);
  const until = performance.now() + RACE + 2000;
  const cells = cellsOf(user).filter((cell) => domain === undefined || !cell.name.includes(SERVICE));
  const racing = [
    ...clients.slice(0, 3).map((client) => hammer(client, cells, until)),
    spread(clients[3], jid, "other@localhost", until),
    ...visitors.map((client) => visit(client, jid, performance.now() + RACE + 200)),
  ];
  await Bun.sleep(RACE * random());
  const gone = domain === undefined ? place.graphql.removeAccount(jid) : place.graphql.domain("removeDomain", domain);
  check(`${title}: done`, (await gone) ? [] : [`${word} cannot be removed`]);
  await Promise.all(racing);
  await Bun.sleep(300);
  const left = (await mentions(place, word)).filter((row) => !allowed(row));
  check(`${title}: nothing is left`, left);
}

/** What others have of somebody is theirs, and domain_events is what the servers of a cluster tell each other. */
const allowed = (row: string): boolean =>
  /^(rosterusers|rostergroups): \S* \| (other|admin) /.test(row) ||
  /^offline_message: .* \| localhost \| peer0 /.test(row) ||
  row.startsWith("domain_events: ");

async function accounts(place: Place, title: string): Promise<void> {
  const name = `flicker${++values}x`;
  const until = performance.now() + RACE;
  const admin = await login(place, "admin", "invites");
  const again = async (act: () => Promise<unknown>): Promise<void> => {
    while (performance.now() < until) await act();
  };
  const register = async (): Promise<void> => {
    const token = await services.invite(admin);
    if (token !== undefined) await services.register(place.ports.plain, name, token).catch(() => undefined);
  };
  await Promise.all([
    again(register),
    again(register),
    again(() => place.graphql.removeAccount(`${name}@localhost`)),
    again(async () => {
      const client = await login(place, name, "r").catch(() => undefined);
      if (client !== undefined) await hammer(client, cellsOf(name), until);
    }),
  ]);
  await place.graphql.removeAccount(`${name}@localhost`);
  await Bun.sleep(300);
  check(
    `${title}: nothing is left`,
    (await mentions(place, name)).filter((row) => !allowed(row)),
  );
  admin.cut();
}

async function once(place: Place, title: string): Promise<void> {
  const admin = await login(place, "admin", "invites");
  const token = await services.invite(admin);
  if (token === undefined) throw new Error("no invitation");
  const names = [0, 1, 2, 3].map(() => `invited${++values}`);
  const answers = await Promise.all(names.map((name) => services.register(place.ports.plain, name, token)));
  const made = answers.filter(isResult).length;
  check(`${title}: an invitation is used once`, made === 1 ? [] : [`${made} accounts: ${answers.join(" ")}`]);
  admin.cut();
  const key = await services.requestToken(place.ports.tls, "twice");
  if (key === undefined) throw new Error("no token");
  const opened = await Promise.all([1, 2, 3].map(() => services.tokenOpens(place.ports.tls, "twice", key, 7)));
  const times = opened.filter(Boolean).length;
  check(`${title}: a token is used once`, times === 1 ? [] : [`${times} times`]);
}

/** The server is killed while it removes a domain: it goes on with that when it is back. */
async function interrupted(place: Place, title: string, domain: string): Promise<void> {
  await place.graphql.domain("addDomain", domain);
  for (const user of ["a", "b", "c"]) {
    await place.graphql.account(user, domain);
    const client = await login(place, user, "r", domain);
    for (const cell of cellsOf(user)) await cell.write(client, `v${++values}`, "");
  }
  void place.graphql.domain("removeDomain", domain);
  await Bun.sleep(random() * 40);
  await place.server.kill();
  await place.start();
  const left = async (): Promise<string[]> => (await mentions(place, domain)).filter((row) => !allowed(row));
  const isThere = async (): Promise<boolean> =>
    (await place.sql(`SELECT status FROM domain_settings WHERE domain = '${domain}'`)).some(
      (row) => row["status"] === 1,
    );
  // The request may have come too late.
  if (await isThere()) await place.graphql.domain("removeDomain", domain);
  for (let i = 0; i < 50 && (await left()).length > 0; i++) await Bun.sleep(100);
  check(`${title}: nothing is left`, await left());
}

async function run(place: Place): Promise<void> {
  try {
    await place.start();
    for (const user of ["twice", "other", "admin", "peer0"]) await place.graphql.account(user);
    for (let n = 1; n <= ROUNDS; n++) {
      await sameThings(place, `${place.name} ${n} the same things`);
      await removal(place, `${place.name} ${n} an account goes`, undefined, n);
      await removal(place, `${place.name} ${n} a domain goes`, `domain${n}x.example`, n);
      await accounts(place, `${place.name} ${n} an account comes and goes`);
      await interrupted(place, `${place.name} ${n} a domain goes, and the server`, `killed${n}x.example`);
      await once(place, `${place.name} ${n} once`);
    }
    const errors = place.server.log.split("\n").filter((line) => /level=(error|critical)/.test(line));
    check(`${place.name}: the log has no errors`, errors);
  } catch (error) {
    checks.check(`${place.name} goes on`, false);
    checks.brokeOff(error, place.server.log);
  } finally {
    await place.close();
  }
}

console.log(`races: ${ROUNDS} rounds, --seed ${seed}`);
await run(await Place.embedded());
const url = process.env["TEST_PGSQL"];
if (url !== undefined) await run(await Place.pgsql(url));
checks.end();
