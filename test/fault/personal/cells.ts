// What a user's client sets, one thing at a time, and how it is read: each thing holds a value ("" for nothing), and is
// written so that a half of it would be seen.

import { attribute, type LoadClient } from "../client.ts";

/** One thing that is set again and again. */
export interface Cell {
  readonly name: string;
  /** Sets it; gives the answer. `before` is what it holds. */
  write(client: LoadClient, value: string, before: string): Promise<string>;
  /** What it holds. Throws for a half of something, and for an answer that is none. */
  read(client: LoadClient): Promise<string>;
  /** What it may hold next. */
  next(fresh: string, before: string): string;
}

let ids = 0;

/** Sends a request and gives the whole answer. */
export function ask(client: LoadClient, type: "get" | "set", payload: string, to?: string): Promise<string> {
  const id = `q${++ids}`;
  const address = to === undefined ? "" : ` to='${to}'`;
  return client.ask(id, `<iq type='${type}' id='${id}'${address}>${payload}</iq>`);
}

export const isResult = (answer: string): boolean => attribute(answer, "type") === "result";
/** The condition of an error. */
export const condition = (answer: string): string =>
  /<error[^>]*>.*?<([a-z-]+)[^>]*urn:ietf:params:xml:ns:xmpp-stanzas/.exec(answer)?.[1] ?? answer;

/** An answer that may only be a result, or an error that says "nothing there". */
function result(answer: string, nothing: readonly string[] = []): string {
  if (isResult(answer)) return answer;
  if (nothing.includes(condition(answer))) return "";
  throw new Error(`cannot be read: ${answer}`);
}

/** The one value of all places; throws when they differ. */
function same(values: readonly (string | undefined)[], what: string): string {
  const [first] = values;
  if (values.some((value) => value !== first)) throw new Error(`half: ${values.join(", ")} in ${what}`);
  return first ?? "";
}
const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map((m) => m[1]);

const always = (fresh: string): string => fresh;
const toggled = (fresh: string, before: string): string => (before === "" ? fresh : "");
const often = (fresh: string, before: string): string => (before !== "" && fresh.endsWith("3") ? "" : fresh);

export function rosterItem(k: number): Cell {
  const jid = `contact${k}@elsewhere`;
  const query = (item: string): string => `<query xmlns='jabber:iq:roster'>${item}</query>`;
  return {
    name: `roster item ${k}`,
    next: often,
    write: (c, v) =>
      ask(
        c,
        "set",
        query(
          v === ""
            ? `<item jid='${jid}' subscription='remove'/>`
            : `<item jid='${jid}' name='${v}'><group>${v}</group><group>2-${v}</group></item>`,
        ),
      ),
    async read(c) {
      const roster = result(await ask(c, "get", query("")));
      const item = new RegExp(`<item [^>]*jid='${jid}'[^>]*(/>|>.*?</item>)`).exec(roster)?.[0];
      if (item === undefined) return "";
      const groups = all(item, /<group>(?:2-)?([^<]*)</g);
      if (groups.length !== 2) throw new Error(`half: ${item}`);
      return same([attribute(item, "name"), ...groups], item);
    },
  };
}

export function privateElements(k: number): Cell {
  const query = (value: (n: number) => string): string =>
    `<query xmlns='jabber:iq:private'>${value(1)}${value(2)}</query>`;
  return {
    name: `private elements ${k}`,
    next: always,
    write: (c, v) =>
      ask(
        c,
        "set",
        query((n) => `<x xmlns='urn:p${k}:${n}'>${v}</x>`),
      ),
    async read(c) {
      // One after the other: the server takes one at a time.
      const get = async (n: number): Promise<string> =>
        result(await ask(c, "get", `<query xmlns='jabber:iq:private'><x xmlns='urn:p${k}:${n}'/></query>`));
      const both = [await get(1), await get(2)];
      return same(
        both.map((text) => />([^<]*)<\/x>/.exec(text)?.[1]),
        both.join(" "),
      );
    },
  };
}

export const vcard: Cell = {
  name: "vCard",
  next: always,
  write: (c, v) => ask(c, "set", `<vCard xmlns='vcard-temp'><FN>${v}</FN><NICKNAME>${v}</NICKNAME></vCard>`),
  async read(c) {
    const card = result(await ask(c, "get", "<vCard xmlns='vcard-temp'/>"), ["item-not-found"]);
    return same([/<FN>([^<]*)/.exec(card)?.[1], /<NICKNAME>([^<]*)/.exec(card)?.[1]], card);
  },
};

const NS_PRIVACY = "jabber:iq:privacy";
const privacy = (inside: string): string => `<query xmlns='${NS_PRIVACY}'>${inside}</query>`;

export function privacyList(name: string, goes: boolean): Cell {
  const items = (v: string): string =>
    [1, 2, 3].map((n) => `<item type='jid' value='${v}@${n}' action='deny' order='${n}'><message/></item>`).join("");
  return {
    name: `privacy list ${name}`,
    next: goes ? often : always,
    write: (c, v) =>
      ask(c, "set", privacy(v === "" ? `<list name='${name}'/>` : `<list name='${name}'>${items(v)}</list>`)),
    async read(c) {
      const list = result(await ask(c, "get", privacy(`<list name='${name}'/>`)), ["item-not-found"]);
      if (list === "") return "";
      const values = all(list, /value='([^'@]*)@/g);
      if (values.length !== 3) throw new Error(`half: ${list}`);
      return same(values, list);
    },
  };
}

/** Which list is the default one. */
export function privacyDefault(names: readonly string[]): Cell {
  return {
    name: "default list",
    next: (fresh) => ["", ...names][Number(fresh.slice(1)) % (names.length + 1)],
    write: (c, v) => ask(c, "set", privacy(v === "" ? "<default/>" : `<default name='${v}'/>`)),
    async read(c) {
      const lists = result(await ask(c, "get", privacy("")));
      return /<default name='([^']*)'/.exec(lists)?.[1] ?? "";
    },
  };
}

export function blocked(k: number): Cell {
  const items = (v: string): string => `<item jid='a${k}-${v}@blocked'/><item jid='b${k}-${v}@blocked'/>`;
  return {
    name: `blocked ${k}`,
    next: toggled,
    write: (c, v, before) =>
      ask(
        c,
        "set",
        v === ""
          ? `<unblock xmlns='urn:xmpp:blocking'>${items(before)}</unblock>`
          : `<block xmlns='urn:xmpp:blocking'>${items(v)}</block>`,
      ),
    async read(c) {
      const list = result(await ask(c, "get", "<blocklist xmlns='urn:xmpp:blocking'/>"));
      const values = all(list, new RegExp(`jid='[ab]${k}-([^@]*)@`, "g"));
      if (values.length !== 0 && values.length !== 2) throw new Error(`half: ${list}`);
      return same(values, list);
    },
  };
}

const NS_PUBSUB = "http://jabber.org/protocol/pubsub";
export const pubsub = (inside: string): string => `<pubsub xmlns='${NS_PUBSUB}'>${inside}</pubsub>`;
const owner = (inside: string): string => `<pubsub xmlns='${NS_PUBSUB}#owner'>${inside}</pubsub>`;
const GONE = ["item-not-found"];

const publishing = (node: string, id: string, v: string): string =>
  pubsub(`<publish node='${node}'><item id='${id}'><x xmlns='urn:x' a='${v}'>${v}</x></item></publish>`);

async function readItem(c: LoadClient, node: string, id: string, to?: string): Promise<string> {
  const answer = await ask(c, "get", pubsub(`<items node='${node}'><item id='${id}'/></items>`), to);
  const item = /<x [^>]*\ba=['"]([^'"]*)['"][^>]*>([^<]*)</.exec(result(answer, GONE));
  return item === null ? "" : same([item[1], item[2]], answer);
}

/** An item of a node; without `to` of PEP. */
export function item(k: number, node: string, to?: string): Cell {
  const id = `i${k}`;
  return {
    name: `item ${k} of ${to ?? "PEP"}`,
    next: often,
    write: (c, v) =>
      ask(
        c,
        "set",
        v === "" ? pubsub(`<retract node='${node}'><item id='${id}'/></retract>`) : publishing(node, id, v),
        to,
      ),
    read: (c) => readItem(c, node, id, to),
  };
}

/** A node's configuration. */
export function configuration(node: string, to?: string): Cell {
  const field = (name: string, value: string): string => `<field var='${name}'><value>${value}</value></field>`;
  const form = (v: string): string =>
    `<x xmlns='jabber:x:data' type='submit'>${field("FORM_TYPE", `${NS_PUBSUB}#node_config`)}${field("pubsub#title", v)}${field("pubsub#type", v)}</x>`;
  return {
    name: `configuration of ${to ?? "PEP"}`,
    next: always,
    write: (c, v) => ask(c, "set", owner(`<configure node='${node}'>${form(v)}</configure>`), to),
    async read(c) {
      const text = result(await ask(c, "get", owner(`<configure node='${node}'/>`), to));
      const value = (name: string): string | undefined =>
        new RegExp(`var='pubsub#${name}'[^>]*><value>([^<]*)</value>`).exec(text)?.[1];
      return same([value("title"), value("type")], text);
    },
  };
}

/** A node that comes with its item, and goes with it. */
export function wholeNode(node: string, to?: string): Cell {
  return {
    name: `node of ${to ?? "PEP"}`,
    next: toggled,
    write: (c, v) => ask(c, "set", v === "" ? owner(`<delete node='${node}'/>`) : publishing(node, "one", v), to),
    read: (c) => readItem(c, node, "one", to),
  };
}

/** The marker in a conversation: kept before the answer to what is sent after it. */
export function marker(k: number, failed: ReadonlySet<string>): Cell {
  const peer = `peer${k}@localhost`;
  return {
    name: `marker ${k}`,
    next: always,
    async write(c, v) {
      const mark = `<displayed xmlns='urn:xmpp:chat-markers:0' id='${v}'/>`;
      c.send(`<message to='${peer}' type='chat' id='${v}'>${mark}</message>`);
      const answer = await ask(c, "get", "<ping xmlns='urn:xmpp:ping'/>", "localhost");
      return failed.has(v) ? "<iq type='error'/>" : answer;
    },
    async read(c) {
      const text = result(await ask(c, "get", `<query xmlns='esl:xmpp:smart-markers:0' peer='${peer}'/>`));
      return all(text, /<marker [^>]*\bid='([^']*)'/g)[0] ?? "";
    },
  };
}
