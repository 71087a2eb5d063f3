// An entry of an inbox: a conversation as its owner sees it, and its markup.

import type { BareJid } from "../../core/jid.ts";
import { NS_CLIENT, NS_DELAY, NS_FORWARD } from "../../core/ns.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import { viewText } from "../../core/xml/framer.ts";
import { Markup, xml } from "../../core/xml/markup.ts";

/** Which entry. */
export interface EntryKey {
  readonly user: BareJid;
  /** The other side, a user or a room, as bare JID. */
  readonly remote: string;
}

export interface Properties {
  readonly box: string;
  readonly unread: number;
  /** Microseconds since 1970; 0 or in the past: not muted. */
  readonly mutedUntil: number;
}

export interface Entry extends Properties {
  readonly remote: string;
  /** The last message as text. */
  readonly content: string;
  /** Of the last message, microseconds since 1970. */
  readonly timestamp: number;
}

/** An entry on its way to its owner, with what other features have to say of it. */
export interface InboxResult {
  readonly entry: Entry;
  readonly extra: Markup[];
}

/** <read/>, <box/>, <archive/> and <mute/>, in MongooseIM's order. `now` in microseconds. */
export function propertiesMarkup({ box, unread, mutedUntil }: Properties, now: number): Markup {
  const mute = mutedUntil > now ? printDateTime(mutedUntil) : "0";
  return xml`<read>${String(unread === 0)}</read><box>${box}</box><archive>${String(box === "archive")}</archive><mute>${mute}</mute>`;
}

/** The last message of an entry as XEP-0297 has it; one that cannot be read is left out. */
export function forwardedMarkup({ content, timestamp }: Entry): Markup {
  const stamp = printDateTime(timestamp);
  return xml`<forwarded xmlns='${NS_FORWARD}'><delay stamp='${stamp}' xmlns='${NS_DELAY}'/>${message(content)}</forwarded>`;
}

const TAG = "<message";

/** What MongooseIM has stored does not declare the namespace that every stanza of a stream has. */
function message(content: string): Markup | undefined {
  try {
    const declared = viewText(content).nsS >= 0;
    if (declared) return new Markup(content);
    return content.startsWith(TAG) ? new Markup(`${TAG} xmlns='${NS_CLIENT}'${content.slice(TAG.length)}`) : undefined;
  } catch {
    return;
  }
}
