// kill -9 while a domain, and while an account, with much data is being removed: after the restart everything of it
// goes, nothing of another does, and others are served meanwhile. And what is kept of such an account is exported
// without the server growing by it.
//
//   bun test/fault/removal.ts [--messages N] [--users N] [--kills N] [--seed N] [--only DATABASE]    needs dist/mongooseimctl
//
// On the embedded store, and on the servers that TEST_PGSQL and TEST_MYSQL name. The last line is
// `removal: N passed, N failed`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Random } from "../fuzz/random.ts";
import { residentBytes } from "../support/binary.ts";
import { readExport } from "../support/personal.ts";
import { Checks, option, seedOption, wordOption } from "../support/script.ts";
import { LoadClient } from "./client.ts";
import { amounts, fill, orphans, total } from "./removal/data.ts";
import { Place } from "./removal/place.ts";

const MESSAGES = option("messages", 30_000);
const USERS = option("users", 1500);
const KILLS = option("kills", 3);
const seed = seedOption();
/** How long a removal may take in all, in ms. */
const PATIENCE = 30_000 + MESSAGES;
/** A message between two who have nothing to do with the removal takes at most so many ms. */
const LATE = 2000;

const GONE = "gone.example";
const KEPT = "kept.example";
/** Two who talk meanwhile. */
const CHATTERS = ["chatter1", "chatter2"];

/** The same moments again for the same --seed. */
const chance = new Random(seed);
const random = (): number => chance.next();

const checks = new Checks("removal");
const check = checks.check.bind(checks);
const same = (a: Record<string, number>, b: Record<string, number>): boolean =>
  Object.entries(a).every(([table, n]) => b[table] === n);

async function until(holds: () => Promise<boolean>): Promise<boolean> {
  for (const end = performance.now() + PATIENCE; performance.now() < end; await Bun.sleep(50)) {
    if (await holds()) return true;
  }
  return false;
}

/** Two accounts of the domain that stays say something to each other; the longest that a message took, in ms. */
async function chat(port: number, over: () => boolean): Promise<number> {
  let longest = 0;
  let heard: () => void = () => {};
  const silent = { stanza: () => undefined, acknowledged: () => undefined };
  const to = await LoadClient.login(
    port,
    "chatter2",
    "load",
    { ...silent, stanza: (e) => e.includes("Hear") && heard() },
    true,
    KEPT,
  );
  to.send("<presence/>");
  const from = await LoadClient.login(port, "chatter1", "load", silent, true, KEPT);
  while (!over()) {
    const begin = performance.now();
    const arrived = new Promise<void>((resolve) => {
      heard = resolve;
    });
    from.send(`<message to='chatter2@${KEPT}/load' type='chat'><body>Hear</body></message>`);
    await Promise.race([arrived, from.gone, to.gone]);
    if (over()) break;
    longest = Math.max(longest, performance.now() - begin);
    await Bun.sleep(5);
  }
  await Promise.all([from.close(), to.close()]);
  return longest;
}

async function removeDomain(place: Place): Promise<void> {
  const { server } = place;
  const kept = await amounts(place, KEPT);
  const before = total(await amounts(place, GONE));
  await server.start();
  const asked = await server.ctl("domain", "requestRemoveDomain", "--domain", GONE, "--hostType", "dynamic");
  check("the removal is begun", asked.code === 0, asked.out);
  const again = await server.ctl("domain", "addDomain", "--domain", GONE, "--hostType", "dynamic");
  check("it cannot be added meanwhile", again.code === 1 && again.out.includes("Domain already exists"), again.out);
  for (let kill = 1; kill <= KILLS; kill++) {
    await Bun.sleep(random() * 250);
    await server.kill();
    const left = total(await amounts(place, GONE));
    const marked = await place.count(`SELECT count(*) AS n FROM domain_settings WHERE domain = '${GONE}'`);
    console.log(`  kill ${kill}: ${left} of ${before} rows are left`);
    check("as long as rows are left the domain is marked", left === 0 || marked === 1, { left, marked });
    await server.start();
  }
  let over = false;
  const chatting = chat(place.port, () => over);
  const gone = await until(
    async () => (await place.count(`SELECT count(*) AS n FROM domain_settings WHERE domain = '${GONE}'`)) === 0,
  );
  over = true;
  const longest = await chatting;
  const left = await amounts(place, GONE);
  check("the domain is gone", gone);
  check("nothing of it is left", total(left) === 0, left);
  check("no row is nobody's", (await orphans(place)) === 0);
  // The two who chatted have been seen, and what they said is archived: their tables have grown.
  const now = await amounts(place, KEPT);
  const lost = Object.entries(kept).filter(([table, n]) => now[table] < n);
  check("nothing of another domain is gone", lost.length === 0, lost);
  check("others are served meanwhile", longest < LATE, { longest });
  console.log(`  the domain is gone; a message took ${longest.toFixed(0)} ms at most`);
  const added = await server.ctl("domain", "addDomain", "--domain", GONE, "--hostType", "dynamic");
  check("the domain can be added again", added.code === 0, added.out);
}

async function exportAccount(place: Place, messages: number): Promise<void> {
  const { server } = place;
  // Not into the state directory: the server keeps that for itself.
  const file = join(mkdtempSync(join(tmpdir(), "export-")), "user0.zip");
  const before = residentBytes(server.pid);
  let most = before;
  const words = ["gdpr", "retrievePersonalData", "--username", "user0", "--domain", KEPT, "--resultFilepath", file];
  const begin = performance.now();
  const done = server.ctl(...words);
  let over = false;
  void done.finally(() => {
    over = true;
  });
  while (!over) {
    most = Math.max(most, residentBytes(server.pid));
    await Bun.sleep(20);
  }
  const { code, out } = await done;
  check("the account is exported", code === 0 && out.includes("Data retrieved"), out);
  const grown = Math.round((most - before) / 2 ** 20);
  console.log(`  ${messages} messages exported in ${(performance.now() - begin).toFixed(0)} ms, ${grown} MB more`);
  if (code !== 0) return;
  const tables = readExport(file);
  rmSync(dirname(file), { recursive: true });
  check("every message is in it", tables["mam_pm"]?.rows.length === messages, tables["mam_pm"]?.rows.length);
  const expected = ["account", "auth_token", "inbox", "last", "offline", "private", "pubsub_items", "roster", "vcard"];
  check(
    "and everything else",
    expected.every((name) => tables[name]?.rows.length === 1),
    Object.entries(tables).map(([name, { rows }]) => [name, rows.length]),
  );
  check("the server has hardly grown", grown < 200, { grown });
}

async function removeAccount(place: Place): Promise<void> {
  const { server } = place;
  const others = await amounts(place, KEPT);
  const own = await amounts(place, KEPT, "user0");
  let gone = false;
  for (let kill = 1; kill <= KILLS + 5 && !gone; kill++) {
    if (kill > KILLS) await server.ctl("account", "removeUser", "--user", `user0@${KEPT}`);
    else {
      const asking = server.ctl("account", "removeUser", "--user", `user0@${KEPT}`);
      await Bun.sleep(80 + random() * 150);
      await server.kill();
      await asking;
      console.log(`  kill ${kill}: ${total(await amounts(place, KEPT, "user0"))} of ${total(own)} rows are left`);
      await server.start();
    }
    const settled = await until(async () => (await unfinished(place)) === 0);
    check("what was begun comes to its end", settled);
    const left = await amounts(place, KEPT, "user0");
    gone = left["users"] === 0;
    if (gone) check("nothing of the account is left", total(left) === 0, left);
    else check("an account that was not taken has everything", same(own, left), left);
  }
  check("the account is gone", gone);
  check("no row is nobody's", (await orphans(place)) === 0);
  const now = await amounts(place, KEPT);
  const expected = Object.fromEntries(Object.entries(others).map(([table, n]) => [table, n - own[table]]));
  check("nothing of another account is gone", same(expected, now), { expected, now });
}

/** Removals that have not come to their end: the marks are in the embedded store. */
async function unfinished(place: Place): Promise<number> {
  const { Database } = await import("bun:sqlite");
  const db = new Database(join(place.server.stateDir, "mongooseim.db"), { readonly: true });
  try {
    return db.query<{ n: number }, []>("SELECT count(*) AS n FROM mongooseim_removals").get()?.n ?? 0;
  } finally {
    db.close();
  }
}

const DATABASES: Readonly<Record<string, () => Promise<Place> | undefined>> = {
  embedded: () => Place.embedded(),
  pgsql: () => (process.env["TEST_PGSQL"] ? Place.service("pgsql", process.env["TEST_PGSQL"]) : undefined),
  mysql: () => (process.env["TEST_MYSQL"] ? Place.service("mysql", process.env["TEST_MYSQL"]) : undefined),
};

console.log(`kill -9 during removals: ${MESSAGES} messages, ${USERS} users, --seed ${seed}`);
for (const [name, make] of Object.entries(DATABASES)) {
  if ((wordOption("only") ?? name) !== name) continue;
  const place = await make();
  if (place === undefined) continue;
  console.log(name);
  try {
    const db = await place.open();
    for (const domain of [GONE, KEPT]) {
      await db.insertNew("domain_settings", { domain, host_type: "dynamic", status: 1 });
      await fill(db, domain, { users: USERS, messages: MESSAGES, ofFirst: domain === KEPT ? MESSAGES : 0 });
    }
    await db.insertMany(
      "users",
      ["server", "username", "password"],
      CHATTERS.map((user) => [KEPT, user, "password"]),
    );
    await db.close();
    await removeDomain(place);
    await exportAccount(place, (await amounts(place, KEPT, "user0"))["mam_message"]);
    await removeAccount(place);
  } catch (error) {
    checks.brokeOff(error, place.server.log);
  } finally {
    if (checks.failed) console.log(place.server.log.slice(-3000));
    await place.close();
  }
}
checks.end();
