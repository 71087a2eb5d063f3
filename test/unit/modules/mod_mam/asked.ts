// A feature that is the asking side alone, on an archive in memory.
import { z } from "zod";
import { type BareJid, parseBareJid, parseJid } from "../../../../core/jid.ts";
import { defineModule, type Iq, type IqReply, type MaybePromise, type ModuleContext } from "../../../../core/module.ts";
import { PreferenceStore, Preferences } from "../../../../modules/mod_mam/prefs/index.ts";
import { type AskedArchive, answer, Shapers } from "../../../../modules/mod_mam/query/index.ts";
import { FakeCounter } from "../../../support/fake-parts.ts";
import { type FakeOptions, FakeServer } from "../../../support/fake-server.ts";
import { MemoryArchive } from "../../../support/memory-archive.ts";

export const NS = "urn:xmpp:mam:2";
/** Microseconds of the first message; those after it come a second later each. */
export const BEGAN = Date.parse("2026-11-22T00:00:00Z") * 1000;
export const idOf = (n: number): bigint => (BigInt(BEGAN + (n - 1) * 1_000_000) << 8n) | 1n;
export const shownId = (n: number): string => idOf(n).toString(32).toUpperCase();

export interface Changes {
  readonly server?: FakeOptions;
  readonly limits?: AskedArchive["limits"];
  readonly searches?: boolean;
  /** Undefined: nobody may set preferences. */
  readonly mostJids?: number;
  readonly contacts?: readonly string[];
}

/** A server with romeo, whose archive has `count` messages with juliet, every third with mercutio. */
export async function verona(count = 15, changes: Changes = {}) {
  const server = new FakeServer({ users: ["romeo", "juliet"], ...changes.server });
  const archive = new MemoryArchive();
  for (let n = 1; n <= count; n++) {
    const remote = parseJid(n % 3 === 0 ? "mercutio@localhost/x" : "juliet@localhost/balcony");
    const from = n % 2 === 0 ? parseJid("romeo@localhost/orchard") : remote;
    await archive.archive({
      id: idOf(n),
      owner: { local: "romeo", domain: "localhost" },
      from,
      remote,
      direction: n % 2 === 0 ? "out" : "in",
      stanza: `<message from='${from.text}' to='b@localhost' type='chat'><body>Message #${n}</body></message>`,
      searchBody: `message ${n}`,
      originId: undefined,
      groupchat: n === 5,
    });
  }
  const counters = {
    lookup: new FakeCounter(),
    simple: new FakeCounter(),
    size: new FakeCounter(),
    time: new FakeCounter(),
    getPrefs: new FakeCounter(),
    setPrefs: new FakeCounter(),
    droppedIq: new FakeCounter(),
  };
  const failures: unknown[] = [];
  const inRoster = (_owner: BareJid, contact: BareJid): boolean => changes.contacts?.includes(contact.text) ?? false;
  const prefs =
    changes.mostJids === undefined
      ? undefined
      : new Preferences(new PreferenceStore(server.db), inRoster, changes.mostJids, () => server.clock.time);
  const asked: AskedArchive = {
    backend: archive,
    prefs,
    words: changes.searches === false ? undefined : (text) => text.toLowerCase().split(/\s+/),
    limits: changes.limits ?? { default: 50, most: 50, simple: false },
    mayAsk: (from, owner) => from.bare.text === owner.text,
    access: server.host.access,
    shapers: new Shapers("mam", server.host.access, server),
    counters,
    server,
    failed: (error) => void failures.push(error),
  };
  const run = (iq: Iq, _ctx: ModuleContext): MaybePromise<IqReply> => answer(iq, asked);
  const iq = Object.fromEntries(
    [NS, "urn:xmpp:mam:1"].flatMap((ns) => [
      [`get account ${ns}`, run],
      [`set account ${ns}`, run],
    ]),
  );
  await server.startModule(defineModule({ name: "mod_asked", xeps: [], config: z.strictObject({}), iq }));
  const romeo = server.connect("romeo@localhost/orchard");
  return { server, romeo, archive, asked, prefs, counters, failures, owner: parseBareJid("romeo@localhost") };
}

/** A <query/> of type set; `fields` of its form, with their values. */
export function query(
  rsm: string,
  fields: Readonly<Record<string, string | readonly string[]>> = {},
  { ns = NS, more = "", to = "" }: { ns?: string; more?: string; to?: string } = {},
): string {
  const form = Object.entries({ FORM_TYPE: ns, ...fields })
    .map(
      ([name, values]) =>
        `<field var='${name}'>${[values]
          .flat()
          .map((value) => `<value>${value}</value>`)
          .join("")}</field>`,
    )
    .join("");
  const x = Object.keys(fields).length === 0 ? "" : `<x xmlns='jabber:x:data' type='submit'>${form}</x>`;
  const address = to === "" ? "" : ` to='${to}'`;
  return `<iq type='set' id='q'${address}><query xmlns='${ns}' queryid='f27'>${x}<set xmlns='http://jabber.org/protocol/rsm'>${rsm}</set>${more}</query></iq>`;
}

/** The numbers of the messages that came, in order, and what <fin/> said. */
export function read(texts: readonly string[]) {
  const last = texts.at(-1) ?? "";
  const numbers = texts.slice(0, -1).map((text) => Number(/Message #(\d+)/.exec(text)?.[1]));
  const text = (name: string): string | undefined =>
    new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(last)?.[1];
  return {
    numbers,
    error: /<error[^>]*><([\w-]+)/.exec(last)?.[1],
    index: /<first index=["'](\d+)/.exec(last)?.[1],
    first: text("first"),
    last: text("last"),
    count: text("count"),
    complete: /<fin complete=["']true/.test(last),
    fin: last.includes("<fin"),
  };
}
