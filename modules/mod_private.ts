// XEP-0049 Private XML Storage: one element for each namespace, for its owner alone.

import type { Element } from "@xmpp/xml";
import { z } from "zod";
import { enumOf, iqdisc, own, positive } from "../core/config/types.ts";
import { StanzaError } from "../core/errors.ts";
import type { PersonalData } from "../core/hooks.ts";
import type { BareJid } from "../core/jid.ts";
import { defineModule, type HostType, type Iq, type ModuleContext, type PersonalStore } from "../core/module.ts";
import { NS_VCARD } from "../core/ns.ts";
import { defineOperation, OperationError, type OperationNode, userOf } from "../core/operations.ts";
import type { Stanza } from "../core/stanza.ts";
import { type Deleted, deleteInBatches } from "../core/storage/batches.ts";
import type { Db } from "../core/storage/db.ts";
import { DIALECTS } from "../core/storage/dialect.ts";
import { Turns } from "../core/turns.ts";
import { Markup, xml } from "../core/xml/markup.ts";
import { standalone } from "../core/xml/standalone.ts";

const NS_PRIVATE = "jabber:iq:private";
/** Width of the column that holds the namespace. */
const MAX_NAMESPACE = 250;
/** What MySQL's TEXT holds; the other databases take whatever passed the stream's limit. */
const MAX_MYSQL_TEXT = 65_535;

interface Entry {
  namespace: string;
  /** The element, serialised. */
  data: string;
}

/** What a user may store in all. */
interface Quota {
  readonly elements: number;
  readonly bytes: number;
}
const NO_QUOTA: Quota = { elements: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

class PrivateStore implements PersonalStore {
  /** One write of a user after the other: what there is room for is seen before. */
  private readonly turns = new Turns();

  constructor(private readonly db: Db) {}

  /** Of the namespaces asked for, those that have something. */
  async multiGetData(jid: BareJid, namespaces: readonly string[]): Promise<Map<string, string>> {
    const rows = await this.db.query<Entry>(
      `SELECT namespace, data FROM private_storage
       WHERE server = ? AND username = ? AND namespace IN (${namespaces.map(() => "?").join(", ")})`,
      [jid.domain, jid.local, ...namespaces],
    );
    return new Map(rows.map((row) => [row.namespace, row.data]));
  }

  /** Stores all or nothing. Throws a StanzaError for what the table cannot hold, and for what is too much. */
  multiSetData(jid: BareJid, entries: readonly Entry[], quota: Quota = NO_QUOTA): Promise<void> {
    return this.turns.take(jid.text, () => this.write(jid, entries, quota));
  }

  private async write(jid: BareJid, entries: readonly Entry[], { elements, bytes }: Quota): Promise<void> {
    for (const { namespace, data } of entries) {
      if (namespace.length > MAX_NAMESPACE) throw new StanzaError("not-acceptable", "The namespace is too long");
      if (this.db.dialect === "mysql" && Buffer.byteLength(data) > MAX_MYSQL_TEXT) {
        throw new StanzaError("resource-constraint", "The element is too big");
      }
    }
    const replaced = new Map(entries.map(({ namespace, data }) => [namespace, Buffer.byteLength(data)]));
    const kept = await this.sizeWithout(jid, [...replaced.keys()]);
    if (kept.elements + replaced.size > elements) {
      throw new StanzaError("policy-violation", `More than ${elements} elements cannot be stored`);
    }
    if (replaced.values().reduce((sum, n) => sum + n, kept.bytes) > bytes) {
      throw new StanzaError("policy-violation", `More than ${bytes} bytes cannot be stored`);
    }
    const sql = DIALECTS[this.db.dialect].upsert("private_storage", ["server", "username", "namespace"], ["data"]);
    await this.db.transaction(
      entries.map(({ namespace, data }) => ({ sql, params: [jid.domain, jid.local, namespace, data] })),
    );
  }

  /** What a user has stored under other namespaces than these. */
  private async sizeWithout(jid: BareJid, namespaces: readonly string[]): Promise<Quota> {
    const [row] = await this.db.query<{ elements: number | string; bytes: number | string | null }>(
      `SELECT count(*) AS elements, sum(octet_length(data)) AS bytes FROM private_storage
       WHERE server = ? AND username = ? AND namespace NOT IN (${namespaces.map(() => "?").join(", ")})`,
      [jid.domain, jid.local, ...namespaces],
    );
    return { elements: Number(row.elements), bytes: Number(row.bytes ?? 0) };
  }

  async removeUser(jid: BareJid): Promise<void> {
    const sql = "DELETE FROM private_storage WHERE server = ? AND username = ?";
    await this.db.execute(sql, [jid.domain, jid.local]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await deleteInBatches(
      this.db,
      { table: "private_storage", key: ["server", "username"], where: "server = ?", params: [domain] },
      deleted,
    );
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const rows = await this.db.query<Entry>(
      "SELECT namespace, data FROM private_storage WHERE server = ? AND username = ? ORDER BY namespace",
      [jid.domain, jid.local],
    );
    return [{ name: "private", columns: ["ns", "xml"], rows: rows.map((r) => [r.namespace, r.data]) }];
  }
}

const config = z.strictObject({
  backend: enumOf("mnesia", "rdbms").default("rdbms").describe("Where the elements are kept"),
  iqdisc: iqdisc("one_queue"),
  max_elements: own(positive()).default(100).describe("Elements a user may store"),
  max_bytes: own(positive()).default(524_288).describe("Bytes that they may have together"),
});
type Context = ModuleContext<z.output<typeof config>, PrivateStore>;

declare module "../core/operations.ts" {
  interface ModuleInstances {
    mod_private: Context;
  }
}
declare module "../core/hooks.ts" {
  interface NoticeHooks {
    /** A user's elements of these namespaces were stored anew, for him or by an administrator. Waited for. */
    private_stored: { jid: BareJid; namespaces: readonly string[] };
  }
}

const contextOf = (host: HostType): Context | undefined => host.modules.get("mod_private")?.ctx as Context | undefined;

/** The element of a namespace that a user has stored, as markup, for features that name mod_private in `uses`. */
export async function readPrivate(host: HostType, jid: BareJid, namespace: string): Promise<string | undefined> {
  return (await contextOf(host)?.store.multiGetData(jid, [namespace]))?.get(namespace);
}

/**
 * Stores an element for a user without telling `private_stored`. False when mod_private does not run; throws the
 * StanzaErrors that the user would get.
 */
export async function writePrivate(host: HostType, jid: BareJid, namespace: string, data: string): Promise<boolean> {
  const ctx = contextOf(host);
  if (ctx === undefined) return false;
  await ctx.store.multiSetData(jid, [{ namespace, data }], quotaOf(ctx));
  return true;
}

async function get(iq: Iq, { store }: Context): Promise<Markup> {
  const asked = elements(iq);
  const stored = await store.multiGetData(
    iq.to.bare,
    asked.map((el) => el.attrs["xmlns"]),
  );
  // What was never stored comes back as it was asked for (§3, example 4).
  const found = asked.map((el) => new Markup(stored.get(el.attrs["xmlns"]) ?? el.toString()));
  return xml`<query xmlns='${NS_PRIVATE}'>${found}</query>`;
}

async function set(iq: Iq, ctx: Context): Promise<void> {
  const entries = elements(iq).map((el) => ({ namespace: el.attrs["xmlns"], data: standalone(el) }));
  await keepEntries(ctx, iq.to.bare, entries);
}

async function keepEntries(ctx: Context, jid: BareJid, entries: readonly Entry[]): Promise<void> {
  await ctx.store.multiSetData(jid, entries, quotaOf(ctx));
  await ctx.host.hooks.notify("private_stored", { jid, namespaces: entries.map((e) => e.namespace) });
}

const quotaOf = ({ config }: Context): Quota => ({ elements: config.max_elements, bytes: config.max_bytes });

/** The elements of a request. Throws bad-request when there are none, or one does not name its namespace. */
function elements(iq: Iq): Element[] {
  if (iq.payload.name !== "query") throw new StanzaError("bad-request");
  const found = iq.payload.getChildElements();
  if (found.length === 0) throw new StanzaError("bad-request", "There is no element in the query");
  for (const el of found) {
    const ns = el.attrs["xmlns"];
    if (!ns) throw new StanzaError("bad-request", "The element has no namespace of its own");
    // Reserved (§5).
    if (ns.startsWith("jabber:") || ns === NS_VCARD) throw new StanzaError("not-acceptable");
  }
  return found;
}

async function stored(node: OperationNode, user: BareJid, element: string, namespace: string): Promise<string> {
  const { store } = await runningFor(node, user);
  return (await store.multiGetData(user, [namespace])).get(namespace) ?? emptyElement(element, namespace);
}

function emptyElement(name: string, namespace: string): string {
  if (!/^[\p{L}_][\p{L}\p{N}_.-]*$/u.test(name)) throw new OperationError("parse_error", `"${name}" names no element`);
  return xml`<${new Markup(name)} xmlns='${namespace}'/>`.text;
}

async function keep(node: OperationNode, user: BareJid, element: Stanza): Promise<string> {
  const namespace = element.attr("xmlns");
  if (!namespace) throw new OperationError("parse_error", "The element has no namespace of its own");
  const running = await runningFor(node, user);
  try {
    await keepEntries(running, user, [{ namespace, data: element.text }]);
  } catch (error) {
    if (!(error instanceof StanzaError)) throw error;
    throw new OperationError("parse_error", error.message);
  }
  return element.text;
}

/** The feature in the user's domain. Throws not_found. */
async function runningFor(node: OperationNode, user: BareJid): Promise<Context> {
  const running = node.instance("mod_private", user.domain);
  if (running && (await node.accounts.exists(user))) return running;
  throw new OperationError("not_found", `User ${user.text} does not exist`, { jid: user.text });
}

const head = { category: "private", needs: ["mod_private"] } as const;
const elementArgs = { element: "String!", nameSpace: "NonEmptyString!" } as const;

const operations = [
  defineOperation({
    ...head,
    name: "getPrivate",
    kind: "query",
    description: "Get an element of a user's private storage",
    args: { user: "JID!", ...elementArgs },
    result: "XmlElement",
    scope: "domain",
    domainArgs: ["user"],
    run: ({ user, element, nameSpace }, _caller, node) => stored(node, user.bare, element, nameSpace),
  }),
  defineOperation({
    ...head,
    name: "setPrivate",
    kind: "mutation",
    description: "Put an element into a user's private storage",
    args: { user: "JID!", elementString: "XmlElement!" },
    result: "XmlElement",
    scope: "domain",
    domainArgs: ["user"],
    run: ({ user, elementString }, _caller, node) => keep(node, user.bare, elementString),
  }),
  defineOperation({
    ...head,
    name: "getPrivate",
    kind: "query",
    description: "Get an element of your private storage",
    args: elementArgs,
    result: "XmlElement",
    scope: "user",
    run: ({ element, nameSpace }, caller, node) => stored(node, userOf(caller), element, nameSpace),
  }),
  defineOperation({
    ...head,
    name: "setPrivate",
    kind: "mutation",
    description: "Put an element into your private storage",
    args: { elementString: "XmlElement!" },
    result: "XmlElement",
    scope: "user",
    run: ({ elementString }, caller, node) => keep(node, userOf(caller), elementString),
  }),
];

export default defineModule({
  name: "mod_private",
  xeps: [{ n: 49, version: "1.2" }],
  config,
  features: [NS_PRIVATE],
  store: (db) => new PrivateStore(db),
  timed: {
    backends: ["mnesia", "rdbms"],
    in: (store) => store,
    calls: { multi_get_data: "multiGetData", multi_set_data: "multiSetData" },
  },
  iq: { "get own jabber:iq:private": get, "set own jabber:iq:private": set },
  operations,
});
