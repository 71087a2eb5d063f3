// Much data of a domain in every large table, and how much of it is there.

import { makeBare, withResource } from "../../../core/jid.ts";
import type { Db, SqlValue } from "../../../core/storage/db.ts";
import { MamStore } from "../../../modules/mod_mam/store.ts";
import type { Place } from "./place.ts";

const STEP = 1000;

export interface Amounts {
  /** Accounts of the domain: user0, user1, ... */
  readonly users: number;
  /** Archived messages of all of them together. */
  readonly messages: number;
  /** Messages in user0's archive beside these. */
  readonly ofFirst?: number;
}

/** Columns, and the values of the i-th user's rows. */
type Filling = readonly [table: string, columns: readonly string[], row: (user: string, i: number) => SqlValue[]];

function fillings(domain: string): readonly Filling[] {
  const own = ["server", "username"];
  return [
    ["users", [...own, "password"], (user) => [domain, user, "password"]],
    ["last", [...own, "seconds", "state"], (user) => [domain, user, 1, ""]],
    ["vcard", [...own, "vcard"], (user) => [domain, user, `<vCard xmlns='vcard-temp'><FN>${user}</FN></vCard>`]],
    ["private_storage", [...own, "namespace", "data"], (user) => [domain, user, "urn:x", "<x xmlns='urn:x'/>"]],
    [
      "rosterusers",
      [...own, "jid", "nick", "subscription", "ask", "askmessage"],
      (user) => [domain, user, `friend@${domain}`, "", "B", "N", ""],
    ],
    [
      "offline_message",
      [...own, "timestamp", "from_jid", "packet"],
      (user, i) => [
        domain,
        user,
        1_790_000_000_000_000 + i,
        `friend@${domain}/x`,
        "<message><body>wait</body></message>",
      ],
    ],
    ["auth_token", ["owner", "seq_no"], (user) => [`${user}@${domain}`, 1]],
    [
      "inbox",
      ["lserver", "luser", "remote_bare_jid", "msg_id", "content", "timestamp", "unread_count"],
      (user) => [domain, user, `friend@${domain}`, "i", Buffer.from("<message/>"), 1_790_000_000_000_000, 1],
    ],
    [
      "pubsub_node",
      ["service_domain", "service_user", "node_id", "access_model"],
      (user) => [domain, user, "n", "open"],
    ],
    [
      "pubsub_item",
      [
        "service_domain",
        "service_user",
        "node_id",
        "item_id",
        "publisher_domain",
        "publisher_user",
        "publisher_resource",
        "payload",
        "published_at",
      ],
      (user) => [domain, user, "n", "i", domain, user, "", "<x xmlns='urn:x'/>", 1],
    ],
  ];
}

/** Fills a domain's tables. */
export async function fill(db: Db, domain: string, { users, messages, ofFirst = 0 }: Amounts): Promise<void> {
  const names = Array.from({ length: users }, (_, i) => `user${i}`);
  for (const [table, columns, row] of fillings(domain)) {
    for (let at = 0; at < users; at += STEP) {
      const part = names.slice(at, at + STEP);
      await db.insertMany(
        table,
        columns,
        part.map((user, i) => row(user, at + i)),
      );
    }
  }
  await archive(db, domain, messages, (i) => i % users);
  await archive(db, domain, ofFirst, () => 0, 1);
}

async function archive(db: Db, domain: string, n: number, ownerOf: (i: number) => number, node = 0): Promise<void> {
  const silent = { flushed: () => undefined, dropped: () => undefined, unfit: () => undefined };
  const { sql } = new MamStore(db).sql({ cache_users: true }, silent);
  const remote = makeBare("friend", domain);
  const from = withResource(remote, "x");
  for (let at = 0; at < n; at += STEP) {
    await Promise.all(
      Array.from({ length: Math.min(STEP, n - at) }, (_, k) => {
        const i = at + k;
        const owner = makeBare(`user${ownerOf(i)}`, domain);
        const stanza = `<message from='${from.text}' to='${owner.text}' type='chat'><body>Message ${i}</body></message>`;
        // Nothing of a message that another has.
        const id = ((1_790_000_000_000_000n + BigInt(i)) << 8n) | BigInt(node + 1);
        const message = { id, owner, from, remote, direction: "in" as const, groupchat: false };
        return sql.archive({ ...message, stanza, searchBody: "", originId: undefined });
      }),
    );
  }
}

/** Rows of a domain, or of one account of it, by table. */
export async function amounts(place: Place, domain: string, user?: string): Promise<Record<string, number>> {
  const of = (server: string, name: string): string =>
    `${server} = '${domain}'${user === undefined ? "" : ` AND ${name} = '${user}'`}`;
  const owner = user === undefined ? `owner LIKE '%@${domain}'` : `owner = '${user}@${domain}'`;
  const archives = `SELECT id FROM mam_server_user WHERE ${of("server", "user_name")}`;
  const where: Record<string, string> = {
    auth_token: owner,
    inbox: of("lserver", "luser"),
    mam_server_user: of("server", "user_name"),
    mam_message: `user_id IN (${archives})`,
    pubsub_node: of("service_domain", "service_user"),
    pubsub_item: of("service_domain", "service_user"),
  };
  const found: Record<string, number> = {};
  for (const table of ["users", "last", "vcard", "private_storage", "rosterusers", "offline_message"]) {
    found[table] = await place.count(`SELECT count(*) AS n FROM ${table} WHERE ${of("server", "username")}`);
  }
  for (const [table, condition] of Object.entries(where)) {
    found[table] = await place.count(`SELECT count(*) AS n FROM ${table} WHERE ${condition}`);
  }
  return found;
}

/** Rows that belong to nobody. */
export const orphans = (place: Place): Promise<number> =>
  place.count(`SELECT count(*) AS n FROM mam_message WHERE user_id NOT IN (SELECT id FROM mam_server_user)`);

export const total = (found: Record<string, number>): number => Object.values(found).reduce((sum, n) => sum + n, 0);
