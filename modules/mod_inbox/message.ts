// A message as an inbox keeps it.

import type { BareJid } from "../../core/jid.ts";
import { stanzaId } from "../../core/stable-id.ts";
import type { Stanza } from "../../core/stanza.ts";
import { forwardable, stanzaText } from "../../core/xml/stanza-text.ts";

/** A message for an inbox. */
export interface Message {
  readonly msgId: string | undefined;
  /** The whole element. */
  readonly content: string;
}

/** The message as its addressee is shown it: with what features have added on the way, such as the archive's id. */
export function messageOf(stanza: Stanza): Message {
  const content = stanza.toText === undefined ? stanzaText(stanza, stanza.to, true) : forwardable(stanza);
  return { msgId: stanza.id, content };
}

/** The message as its sender is shown it: under the id that his own archive has it by. */
export function sentMessageOf(stanza: Stanza, sender: BareJid): Message {
  if (stanza.ownId === undefined) return messageOf(stanza);
  const { appended } = stanza;
  stanza.appended += stanzaId(sender.text, stanza.ownId);
  const message = messageOf(stanza);
  stanza.appended = appended;
  return message;
}
