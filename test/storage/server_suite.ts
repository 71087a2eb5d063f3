// A whole server whose data is in a database: its configuration, its clients, and what is expected of it on each database.
import { afterEach, expect, vi } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { Client } from "../support/client.ts";
import { show, type XElement } from "../support/match.ts";
import type { Changes, StoryServer } from "../support/story-server.ts";

/** Longest time until a request is given up: the query's and the connection's time-out, the wait for a server to be back, and some. */
const GIVEN_UP_MS = 14_000;

/** Accounts and what belongs to them are in the database of `connection`. */
export function keptIn(connection: Changes): Changes {
  const kept = { backend: "rdbms" };
  return {
    outgoing_pools: { rdbms: { default: { workers: 3, connection: { query_timeout: 1000, ...connection } } } },
    auth: { methods: ["rdbms"], internal: null, rdbms: {} },
    modules: { mod_roster: kept, mod_offline: kept, mod_last: kept, mod_private: kept, mod_vcard: kept },
  };
}

/** Users of a server, whose clients are cut off after each test. */
export function usersOf(server: () => StoryServer, passwordOf: (local: string) => string = () => "secret") {
  const clients: Client[] = [];
  afterEach(() => {
    for (const each of clients.splice(0)) each.wire.cut();
  });
  const client = (local: string, domain = "localhost"): Client => {
    const made = new Client({ local, domain, password: passwordOf(local) }, { assertions: 0 });
    clients.push(made);
    return made;
  };
  const target = () => server().target("tcp");
  const logIn = (local: string, resource?: string): Promise<Client> => client(local).logsIn(target(), resource);
  return {
    client,
    target,
    logIn,
    account: (local: string, domain = "localhost") => server().addAccount(local, domain, passwordOf(local)),
    online: async (local: string, domain?: string): Promise<Client> =>
      (await client(local, domain).logsIn(target())).comesOnline(),
  };
}
type Users = ReturnType<typeof usersOf>;

/** What has this id, of what came or comes. */
export const answerTo = (who: Client, id: string): Promise<XElement> =>
  vi.waitFor(
    () => {
      const found = who.waiting.find((e) => e.attrs["id"] === id);
      if (!found) throw new Error(`no answer to ${id}`);
      return found;
    },
    { timeout: GIVEN_UP_MS, interval: 20 },
  );

/** Tries until it works: what "service resumes by itself" means. */
export const eventually = <T>(attempt: () => Promise<T>): Promise<T> =>
  vi.waitFor(attempt, { timeout: 20_000, interval: 100 });

/** Everything that a user has is in the database. */
export async function keepsAllOf(local: string, users: Users, db: Db): Promise<void> {
  await users.account(local);
  const user = await users.online(local);
  user.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="nurse@localhost" name="Nürse 🐎"/></query></iq>`;
  user.sends`<iq type="set" id="v"><vCard xmlns="vcard-temp"><FN>Juliet</FN></vCard></iq>`;
  user.sends`<iq type="set" id="p"><query xmlns="jabber:iq:private"><x xmlns="urn:x">ż</x></query></iq>`;
  for (const id of ["r", "v", "p"]) expect((await answerTo(user, id)).attrs["type"]).toBe("result");
  user.sends`<presence type="unavailable"><status>bye</status></presence>`;
  await user.leaves();
  const of = `WHERE server = 'localhost' AND username = '${local}'`;
  expect(await db.query(`SELECT username, password FROM users ${of}`)).toEqual([
    { username: local, password: "secret" },
  ]);
  expect(await db.query(`SELECT jid, nick FROM rosterusers ${of}`)).toEqual([
    { jid: "nurse@localhost", nick: "Nürse 🐎" },
  ]);
  expect(await db.query(`SELECT username FROM vcard ${of}`)).toHaveLength(1);
  expect(await db.query(`SELECT namespace FROM private_storage ${of}`)).toEqual([{ namespace: "urn:x" }]);
  await eventually(async () => expect(await db.query(`SELECT state FROM last ${of}`)).toEqual([{ state: "bye" }]));
}

export interface Outage {
  /** Part of the names of its users. */
  readonly name: string;
  fail(): Promise<void>;
  mend(): Promise<void>;
  /** What was on its way to a server that only seemed dead may be done later, long after its sender was told an error. */
  readonly doneLater: "never" | "perhaps";
}

/** Clients are told what cannot be done, what needs no database goes on, and nothing stored is lost. */
export async function survives({ name, fail, mend, doneLater }: Outage, users: Users): Promise<void> {
  const [a, b, absent] = ["a", "b", "absent"].map((who) => `${who}-${name}`);
  for (const who of [a, b, absent]) await users.account(who);
  const [one, two] = [await users.online(a), await users.online(b)];
  // The addressee's account is known before the failure.
  one.sends`<message to="${absent}@localhost" type="chat" id="before"><body>stored</body></message>`;
  await one.settled();
  await fail();
  try {
    const late = users.client(absent);
    await late.connects(users.target());
    await late.opens();
    const started = performance.now();
    late.sendsRaw(
      `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${btoa(`\0${absent}\0secret`)}</auth>`,
    );
    one.sends`<message to="${absent}@localhost" type="chat" id="lost"><body>not stored</body></message>`;
    two.sends`<iq type="get" id="vcard"><vCard xmlns="vcard-temp"/></iq>`;
    await vi.waitFor(() => expect(show(late.waiting[0])).toContain("temporary-auth-failure"), GIVEN_UP_MS);
    expect((await answerTo(one, "lost")).attrs["type"]).toBe("error");
    expect((await answerTo(two, "vcard")).attrs["type"]).toBe("error");
    expect(performance.now() - started).toBeLessThan(GIVEN_UP_MS);
    two.sends`<message to="${one.full}" type="chat" id="online"><body>still here</body></message>`;
    expect(show(await answerTo(one, "online"))).toContain("still here");
  } finally {
    await mend();
  }
  const back = await eventually(() => users.logIn(absent));
  back.sends`<presence/>`;
  expect(show(await answerTo(back, "before"))).toContain("stored");
  await back.settled();
  if (doneLater === "never") expect(back.waiting.some((e) => e.attrs["id"] === "lost")).toBe(false);
  two.sends`<iq type="get" id="private"><query xmlns="jabber:iq:private"><x xmlns="urn:x"/></query></iq>`;
  expect((await answerTo(two, "private")).attrs["type"]).toBe("result");
}

/** A database that is away for a moment is missed by nobody: what needs it is done when it is back, each thing once. */
export async function isMissedByNobody({ name, fail, mend }: Omit<Outage, "doneLater">, users: Users): Promise<void> {
  const [sender, absent] = ["sender", "absent"].map((who) => `${who}-${name}`);
  for (const who of [sender, absent]) await users.account(who);
  const one = await users.online(sender);
  const says = (id: string) =>
    one.sends`<message to="${absent}@localhost" type="chat" id="${id}"><body>${id}</body></message>`;
  says("before");
  await one.settled();
  await fail();
  says("first");
  const coming = users.logIn(absent);
  one.sends`<iq type="set" id="vcard"><vCard xmlns="vcard-temp"><FN>One</FN></vCard></iq>`;
  says("second");
  await Bun.sleep(1000);
  await mend();
  expect((await answerTo(one, "vcard")).attrs["type"]).toBe("result");
  await one.settled();
  expect(one.waiting.filter((e) => e.attrs["type"] === "error")).toEqual([]);
  const back = await coming;
  back.sends`<presence/>`;
  await answerTo(back, "second");
  await back.settled();
  const ids = back.waiting.filter((e) => e.name === "message").map((e) => e.attrs["id"]);
  expect(new Set(ids).size).toBe(ids.length);
}
