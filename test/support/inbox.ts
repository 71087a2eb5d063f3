// Talk about inboxes, as stories need it.
import { expect } from "vitest";
import type { Client } from "./client.ts";
import { childOf, childrenOf, find, textOf, type XElement } from "./match.ts";

export const NS_INBOX = "erlang-solutions.com:xmpp:inbox:0";
export const NS_CONVERSATION = `${NS_INBOX}#conversation`;
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

/** An entry as its owner is shown it. */
export interface Shown {
  readonly unread: number;
  readonly from: string;
  readonly to: string;
  readonly body: string;
  readonly stamp: string;
  readonly queryid: string;
  readonly box: string;
  readonly archive: string;
  readonly read: string;
  readonly mute: string;
  /** The message inside. */
  readonly message: XElement;
}
export interface Inbox {
  readonly entries: readonly Shown[];
  readonly count: number;
  readonly unread: number;
  readonly active: number;
  readonly first: string | undefined;
  readonly last: string | undefined;
}
export interface Asked {
  readonly form?: Readonly<Record<string, string>>;
  /** Of <set/> (XEP-0059). */
  readonly page?: Readonly<Record<string, string>>;
  readonly queryid?: string;
  readonly id?: string;
}

const say = (e: XElement | undefined): string => (e === undefined ? "" : textOf(e));

/** The request for an inbox. */
export function request({ form, page, queryid, id = "inbox" }: Asked = {}): string {
  const fields = Object.entries(form ?? {}).map(([k, v]) => `<field var="${k}"><value>${v}</value></field>`);
  const x = form === undefined ? "" : `<x xmlns="jabber:x:data" type="submit">${fields.join("")}</x>`;
  const parts = Object.entries(page ?? {}).map(([k, v]) => `<${k}>${v}</${k}>`);
  const set = page === undefined ? "" : `<set xmlns="http://jabber.org/protocol/rsm">${parts.join("")}</set>`;
  const query = queryid === undefined ? "" : ` queryid="${queryid}"`;
  return `<iq type="set" id="${id}"><inbox xmlns="${NS_INBOX}"${query}>${x}${set}</inbox></iq>`;
}

/** Asks for an inbox. */
export async function inboxOf(client: Client, asked: Asked = {}): Promise<Inbox> {
  client.says(request(asked));
  const entries: Shown[] = [];
  for (;;) {
    const e = await client.next();
    if (e.name === "iq") {
      client.tally.assertions++;
      return ended(e, entries, asked);
    }
    const result = childOf(e, "result", NS_INBOX);
    expect(result, "what comes before the end of an inbox is its entries").toBeDefined();
    expect(e.attrs).toMatchObject({ from: client.bare, to: client.full });
    entries.push(shown(result!));
  }
}

function shown(result: XElement): Shown {
  const forwarded = childOf(result, "forwarded", "urn:xmpp:forward:0")!;
  const message = childOf(forwarded, "message", "jabber:client")!;
  return {
    unread: Number(result.attrs["unread"]),
    queryid: result.attrs["queryid"],
    from: message.attrs["from"],
    to: message.attrs["to"],
    body: say(childOf(message, "body")),
    stamp: childOf(forwarded, "delay", "urn:xmpp:delay")!.attrs["stamp"],
    box: say(childOf(result, "box")),
    archive: say(childOf(result, "archive")),
    read: say(childOf(result, "read")),
    mute: say(childOf(result, "mute")),
    message,
  };
}

function ended(iq: XElement, entries: readonly Shown[], { id = "inbox" }: Asked): Inbox {
  expect(iq.attrs).toMatchObject({ type: "result", id });
  const fin = childOf(iq, "fin", NS_INBOX)!;
  const set = childOf(fin, "set", "http://jabber.org/protocol/rsm");
  const end = (name: "first" | "last") => set && childOf(set, name) && say(childOf(set, name));
  return {
    entries,
    count: Number(say(childOf(fin, "count"))),
    unread: Number(say(childOf(fin, "unread-messages"))),
    active: Number(say(childOf(fin, "active-conversations"))),
    first: end("first"),
    last: end("last"),
  };
}

/** A conversation as a story expects it in an inbox. */
export interface Conversation {
  readonly unread: number;
  readonly from: Client | string;
  readonly to: Client | string;
  readonly body: string;
}
const address = (who: Client | string): string => (typeof who === "string" ? who : who.full);

/** The inbox has exactly these conversations, in this order. */
export async function hasInbox(client: Client, expected: readonly Conversation[], asked: Asked = {}): Promise<Inbox> {
  const inbox = await inboxOf(client, asked);
  expect(inbox.entries.map(({ unread, from, to, body }) => ({ unread, from, to, body }))).toEqual(
    expected.map(({ unread, from, to, body }) => ({ unread, from: address(from), to: address(to), body })),
  );
  for (const entry of inbox.entries) expect(entry.queryid).toBe(asked.queryid ?? asked.id ?? "inbox");
  expect(inbox.count).toBe(expected.length);
  return inbox;
}

/** The fields of a form: types, values, choices. */
export function fieldsOf(iq: XElement) {
  const form = childOf(childrenOf(iq)[0], "x", "jabber:x:data")!;
  return childrenOf(form).map((field) => ({
    name: field.attrs["var"],
    type: field.attrs["type"],
    value: childOf(field, "value") && textOf(childOf(field, "value")!),
    options: childrenOf(field)
      .filter((c) => c.name === "option")
      .map((o) => textOf(childOf(o, "value")!)),
  }));
}

let ids = 0;

/** One says something to another; resolves with the message as it has come. */
export async function writes(from: Client, to: Client, body: string): Promise<XElement> {
  const id = `m${++ids}`;
  from.says(`<message to="${to.full}" type="chat" id="${id}"><body>${body}</body></message>`);
  return to.hears(`<message from="${from.full}" id="${id}"><body>${body}</body></message>`);
}

/** The newest thing that `writer` has said is displayed by `reader`, who says so. */
export function marks(reader: Client, writer: Client, id: string, marker = "displayed"): void {
  reader.says(`<message to="${writer.full}"><${marker} xmlns="urn:xmpp:chat-markers:0" id="${id}"/></message>`);
}

/** One says something, and the other has displayed it. */
export async function writesAndIsRead(from: Client, to: Client, body: string): Promise<void> {
  const message = await writes(from, to, body);
  marks(to, from, message.attrs["id"]);
  await from.receives`<message from="${to.full}"><displayed xmlns="urn:xmpp:chat-markers:0" id="${message.attrs["id"]}"/></message>`;
}

/** Writes to each in turn; the conversations, the newest first, and when each message had come. */
export async function writesToEach(from: Client, to: readonly Client[]) {
  const sent: (Conversation & { after: string })[] = [];
  for (const [i, other] of to.entries()) {
    const body = `Msg ${i + 1}`;
    await writes(from, other, body);
    // Times of entries are milliseconds here, and the bounds of a query are inclusive.
    await Bun.sleep(3);
    const after = new Date().toISOString();
    await Bun.sleep(3);
    sent.unshift({ unread: 0, from, to: other, body, after });
  }
  return sent;
}

/** A request for changes of an entry. */
export const change = (jid: string | undefined, properties: string, { id = "set", queryid = "" } = {}): string =>
  `<iq type="set" id="${id}"><query xmlns="${NS_CONVERSATION}"${jid === undefined ? "" : ` jid="${jid}"`}${
    queryid === "" ? "" : ` queryid="${queryid}"`
  }>${properties}</query></iq>`;

/** Changes an entry: every client is told, and the one that asked has its answer after that. */
export async function sets(
  client: Client,
  other: Client,
  properties: Readonly<Record<string, string>>,
  asked: { id?: string; queryid?: string } = {},
): Promise<XElement> {
  const { id = "set" } = asked;
  const xml = Object.entries(properties).map(([name, value]) => `<${name}>${value}</${name}>`);
  client.says(change(other.bare, xml.join(""), asked));
  const told = await client.next();
  expect(told.name).toBe("message");
  expect(told.attrs).toMatchObject({ id, from: client.bare, to: client.bare });
  const x = childOf(told, "x", NS_CONVERSATION)!;
  expect(x.attrs).toMatchObject({ jid: other.bare, queryid: asked.queryid ?? id });
  for (const [name, value] of Object.entries(properties)) {
    if (name === "mute" && value !== "0") expect(Date.parse(say(childOf(x, name)))).toBeGreaterThan(Date.now());
    else expect(say(childOf(x, name))).toBe(value);
  }
  await client.receives`<iq type="result" id="${id}"/>`;
  return x;
}

/** A request is refused with a condition, and with words in the text. */
export async function refused(client: Client, iq: string, condition: string, ...words: string[]): Promise<void> {
  client.says(iq);
  const e = await client.receives`<iq type="error"><error><${condition} xmlns="${NS_STANZAS}"/></error></iq>`;
  const text = say(find(e, "text"));
  for (const word of words) expect(text).toContain(word);
}
