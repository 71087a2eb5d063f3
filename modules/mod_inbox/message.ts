// A message as an inbox keeps it.

import type { Stanza } from "../../core/stanza.ts";
import { forwardable, stanzaText } from "../../core/xml/stanza-text.ts";

/** A message for an inbox. */
export interface Message {
  readonly msgId: string | undefined;
  /** The whole element. */
  readonly content: string;
}

/** The message as it is shown later: with its addressee, and what features have added on the way. */
export function messageOf(stanza: Stanza): Message {
  const content = stanza.toText === undefined ? stanzaText(stanza, stanza.to, true) : forwardable(stanza);
  return { msgId: stanza.id, content };
}
