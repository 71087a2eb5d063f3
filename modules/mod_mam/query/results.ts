// What a look-up is answered with: a message for each that was found (XEP-0313 §4.3), and <fin/> after the last.

import { withNamespace } from "../../../core/c2s/output.ts";
import { type BareJid, type Jid, tryParseJid } from "../../../core/jid.ts";
import { externalId, microsOfId } from "../../../core/message-id.ts";
import type { Iq, MaybePromise, Server } from "../../../core/module.ts";
import { NS_DELAY, NS_FORWARD, NS_RSM } from "../../../core/ns.ts";
import { printDateTime } from "../../../core/operations/scalars.ts";
import { viewText } from "../../../core/xml/framer.ts";
import { attr, escapeAttribute, escapeXml, Markup, xml } from "../../../core/xml/markup.ts";
import { stanzaText } from "../../../core/xml/stanza-text.ts";
import type { Found, PageFound } from "../backend.ts";

/** When a message came, as clients are told it: XEP-0082 with microseconds. */
export const stampOf = (id: bigint): string => printDateTime(microsOfId(id));

/** Makes the messages of one answer. */
class Envelope {
  private readonly head: string;
  private readonly afterNumber: string;
  private readonly afterId: string;
  private made = 0;

  /** @param token the beginning of the messages' own ids */
  constructor(archive: BareJid, to: Jid, ns: string, queryId: string | undefined, token: string) {
    this.head = `<message from='${escapeXml(archive.text)}' id='${token}-`;
    this.afterNumber = `' to='${escapeXml(to.text)}'><result id='`;
    const query = queryId === undefined ? "" : ` queryid='${escapeAttribute(queryId)}'`;
    this.afterId = `'${query} xmlns='${ns}'><forwarded xmlns='${NS_FORWARD}'>`;
  }

  /** The delay names who sent the message, as MongooseIM's does. */
  of({ id, from, stanza }: Found): string {
    const sender = escapeXml(from);
    return `${this.head}${this.made++}${this.afterNumber}${externalId(id)}${this.afterId}<delay from='${sender}' stamp='${stampOf(id)}' xmlns='${NS_DELAY}'/>${forwarded(stanza, from, sender)}</forwarded></result></message>`;
  }
}

/**
 * An archived message as it is forwarded: in its namespace, and from its sender, whatever it says itself. MongooseIM
 * stores messages that do not say whom they are from.
 */
function forwarded(stanza: string, from: string, escaped: string): string {
  const end = nameEnd(stanza);
  if (stanza.startsWith(` from='${escaped}'`, end)) return withNamespace(stanza, end);
  // A resource that the archive had no room for beside the message.
  if (stanza.startsWith(` from='${escaped}/`, end) && !from.includes("/")) return withNamespace(stanza, end);
  const sender = tryParseJid(from);
  if (sender === undefined) return withNamespace(stanza, end);
  const view = viewText(stanza);
  view.from = sender;
  return stanzaText(view, undefined, true);
}

/** The place behind the name of an element. */
function nameEnd(element: string): number {
  for (let i = 1; ; i++) {
    const c = element.charCodeAt(i);
    // A space of any kind, "/" or ">".
    if (!(c > 0x20) || c === 0x2f || c === 0x3e) return i;
  }
}

/**
 * Sends messages that were found to whoever asks, in order. One that reads slowly is waited for, so that no more than a
 * little of a page is in its buffer.
 */
export function sendResults(
  iq: Iq,
  ns: string,
  queryId: string | undefined,
  messages: readonly Found[],
  server: Server,
): MaybePromise<void> {
  if (messages.length === 0) return;
  const { session } = iq;
  const envelope = new Envelope(iq.to.bare, iq.from, ns, queryId, server.token(8));
  if (session?.serve !== undefined) return session.serve(messages.map((message) => envelope.of(message)));
  const send = (text: string): MaybePromise<void> =>
    session === undefined ? routed(text, iq, server) : session.write(text);
  const from = (start: number): MaybePromise<void> => {
    for (let i = start; i < messages.length; i++) {
      const done = send(envelope.of(messages[i]));
      if (done !== undefined) return done.then(() => from(i + 1));
    }
  };
  return from(0);
}

/** To somebody who is not connected here. It is nothing to archive or to store: it is asked for again. */
function routed(text: string, iq: Iq, server: Server): MaybePromise<void> {
  const stanza = viewText(text);
  stanza.from = iq.to;
  stanza.to = iq.from;
  stanza.copy = true;
  return server.route(stanza);
}

/** <fin/>: first and last are the oldest and the newest of the page, whatever the order they were sent in. */
export function finMarkup(ns: string, { messages, total, offset, complete }: PageFound): Markup {
  const last = messages.at(-1);
  const ends =
    last === undefined
      ? undefined
      : xml`<first${attr("index", offset)}>${externalId(messages[0].id)}</first><last>${externalId(last.id)}</last>`;
  const count = total === undefined ? undefined : xml`<count>${total}</count>`;
  return xml`<fin${attr("complete", complete ? "true" : undefined)} xmlns='${ns}'><set xmlns='${NS_RSM}'>${ends}${count}</set></fin>`;
}

/** <metadata/> (§5) of an archive, of which nothing is said when it is empty. */
export function metadataMarkup(ns: string, bounds: { first: bigint; last: bigint } | undefined): Markup {
  const end = (name: "start" | "end", id: bigint): string =>
    `<${name} id='${externalId(id)}' timestamp='${stampOf(id)}'/>`;
  if (bounds === undefined) return xml`<metadata xmlns='${ns}'/>`;
  const { first, last } = bounds;
  return new Markup(`<metadata xmlns='${ns}'>${end("start", first)}${end("end", last)}</metadata>`);
}
