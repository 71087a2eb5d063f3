// What asks to take back an earlier message of its sender: XEP-0424, its first versions (by XEP-0422), and MongooseIM's
// way to name the message by the id that an archive gave it.

import type { Stanza } from "./stanza.ts";

export const NS_RETRACT = "urn:xmpp:message-retract:1";
/** Versions 0.1 to 0.3 of XEP-0424. */
export const NS_RETRACT_FASTENED = "urn:xmpp:message-retract:0";
/** MongooseIM's. */
export const NS_RETRACT_STANZA_ID = "urn:esl:message-retract-by-stanza-id:0";
export const NS_FASTEN = "urn:xmpp:fasten:0";

export interface Retraction {
  readonly ns: typeof NS_RETRACT | typeof NS_RETRACT_FASTENED | typeof NS_RETRACT_STANZA_ID;
  /**
   * The message that is meant: by its `id` attribute or its origin-id (NS_RETRACT; in rooms the room's stanza-id), by
   * its origin-id (NS_RETRACT_FASTENED), by the id of the archive (NS_RETRACT_STANZA_ID). Never empty.
   */
  readonly id: string;
}

/** What a message asks to take back; undefined when it asks for nothing, or does not say what. */
export function retractionOf(message: Stanza): Retraction | undefined {
  const k = message.find("retract", NS_RETRACT);
  if (k >= 0) {
    const id = message.kidAttr(k, "id");
    return id ? { ns: NS_RETRACT, id } : undefined;
  }
  const f = message.find("apply-to", NS_FASTEN);
  if (f < 0) return undefined;
  const id = message.kidAttr(f, "id");
  if (!id) return undefined;
  const fastening = message.kid(f);
  for (const ns of [NS_RETRACT_FASTENED, NS_RETRACT_STANZA_ID] as const)
    if (fastening.getChild("retract", ns)) return { ns, id };
  return undefined;
}
