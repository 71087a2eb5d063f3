// Asking an archive (XEP-0313) in stories: a query, and everything that answers it.
import { expect } from "vitest";
import type { Client } from "./client.ts";
import { childOf, find, textOf, type XElement } from "./match.ts";
import type { Absent } from "./story.ts";

export const NS_MAM = "urn:xmpp:mam:2";
const NS_RSM = "http://jabber.org/protocol/rsm";

/** What is asked for. */
export interface Question {
  /** Fields of the form; one with several values has a list. */
  readonly fields?: Readonly<Record<string, string | readonly string[]>>;
  /** Inside of <set/>, markup. */
  readonly rsm?: string;
  readonly queryid?: string;
  /** More children of <query/>, markup. */
  readonly more?: string;
  readonly to?: string;
  readonly ns?: string;
}

/** A message that came from an archive. */
export interface Archived {
  /** Its id in the archive. */
  readonly id: string;
  readonly body: string;
  readonly stamp: string;
  readonly queryid: string | undefined;
  /** The forwarded message. */
  readonly message: XElement;
  /** The message around it. */
  readonly envelope: XElement;
}

export interface Answer {
  readonly messages: readonly Archived[];
  readonly bodies: readonly string[];
  readonly ids: readonly string[];
  readonly iq: XElement;
  /** Of an error: type and condition. */
  readonly error: string | undefined;
  readonly complete: boolean;
  readonly first: string | undefined;
  readonly last: string | undefined;
  readonly index: number | undefined;
  readonly count: number | undefined;
}

let asked = 0;

export function queryXml({ fields, rsm, queryid, more = "", to, ns = NS_MAM }: Question, id: string): string {
  const form = Object.entries({ FORM_TYPE: ns, ...fields })
    .map(([name, values]) => {
      const list = [values].flat().map((value) => `<value>${value}</value>`);
      return `<field var="${name}">${list.join("")}</field>`;
    })
    .join("");
  const x = fields === undefined ? "" : `<x xmlns="jabber:x:data" type="submit">${form}</x>`;
  const set = rsm === undefined ? "" : `<set xmlns="${NS_RSM}">${rsm}</set>`;
  const attrs = `${to === undefined ? "" : ` to="${to}"`} id="${id}"`;
  return `<iq type="set"${attrs}><query xmlns="${ns}"${queryid === undefined ? "" : ` queryid="${queryid}"`}>${x}${set}${more}</query></iq>`;
}

/** Asks, and takes the answer; nothing else may come meanwhile. */
export async function asks(client: Client, question: Question = {}): Promise<Answer> {
  const id = `mam-${++asked}`;
  client.tally.assertions++;
  client.says(queryXml(question, id));
  const messages: Archived[] = [];
  for (;;) {
    const e = await client.next();
    if (e.name === "message") {
      messages.push(archived(e, question.ns ?? NS_MAM));
      continue;
    }
    expect([e.name, e.attrs["id"]], "the answer comes last").toEqual(["iq", id]);
    return answered(e, messages);
  }
}

function archived(envelope: XElement, ns: string): Archived {
  const result = childOf(envelope, "result", ns);
  const forwarded = result && childOf(result, "forwarded", "urn:xmpp:forward:0");
  const delay = forwarded && childOf(forwarded, "delay", "urn:xmpp:delay");
  const message = forwarded && childOf(forwarded, "message", "jabber:client");
  if (result === undefined || delay === undefined || message === undefined) {
    throw new Error(`No message from an archive: ${JSON.stringify(envelope)}`);
  }
  const body = childOf(message, "body");
  return {
    id: result.attrs["id"],
    queryid: result.attrs["queryid"],
    body: body === undefined ? "" : textOf(body),
    stamp: delay.attrs["stamp"],
    message,
    envelope,
  };
}

function answered(iq: XElement, messages: readonly Archived[]): Answer {
  const text = (name: string): string | undefined => {
    const found = find(iq, name);
    return found && textOf(found);
  };
  const number = (value: string | undefined): number | undefined => (value === undefined ? undefined : Number(value));
  const error = childOf(iq, "error");
  const condition = error?.children.find((c): c is XElement => typeof c !== "string" && c.name !== "text");
  return {
    messages,
    bodies: messages.map(({ body }) => body),
    ids: messages.map((message) => message.id),
    iq,
    error: error && `${error.attrs["type"]} ${condition?.name}`,
    complete: find(iq, "fin")?.attrs["complete"] === "true",
    first: text("first"),
    last: text("last"),
    index: number(find(iq, "first")?.attrs["index"]),
    count: number(text("count")),
  };
}

/** `from` and `to` talk in turns: "Message #1" to "Message #n", all of which are archived when this is done. */
export async function talk(from: Client, to: Client, count = 15): Promise<void> {
  for (let n = 1; n <= count; n++) {
    const [one, other] = n % 2 === 1 ? [from, to] : [to, from];
    one.sends`<message to="${other.full}" type="chat" id="m${n}"><body>Message #${n}</body></message>`;
    await other.hears(`<message id="m${n}"/>`);
  }
}

/** Sends a chat message with a body to an account. */
export function writes(from: Client, to: Client | Absent, body: string, more = ""): void {
  from.says(`<message to="${to.bare}" type="chat"><body>${body}</body>${more}</message>`);
}
