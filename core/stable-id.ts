// Ids that the server gives to messages (XEP-0359), which are those of the archive.

import { tryParseJid } from "./jid.ts";
import { externalId, parseExternalId } from "./message-id.ts";
import { NS_SID } from "./ns.ts";
import type { Stanza } from "./stanza.ts";
import { escapeXml } from "./xml/markup.ts";

/** The element that says an id. */
export const stanzaId = (by: string, id: bigint): string =>
  `<stanza-id by='${escapeXml(by)}' id='${externalId(id)}' xmlns='${NS_SID}'/>`;

/** Gives a message its id, and takes out what claims to be one by the account or by its server (§4, rules 6 and 7). */
export function stamp(stanza: Stanza, by: string, domain: string, id: bigint): void {
  if (stanza.has("stanza-id", NS_SID)) stripIds(stanza, by, domain);
  stanza.stableId = id;
  stanza.stamp = stanzaId(by, id);
  stanza.appended += stanza.stamp;
}

/** The id that an account has given a message, as the message says it; to be trusted in what this server has written. */
export function idBy(stanza: Stanza, account: string): bigint | undefined {
  if (!stanza.has("stanza-id", NS_SID)) return undefined;
  for (const [k, child] of stanza.children.entries()) {
    if (child.name !== "stanza-id" || child.ns !== NS_SID) continue;
    const { by, id } = stanza.kid(k).attrs;
    if (by === account) return parseExternalId(id ?? "");
  }
  return undefined;
}

/** Takes out ids that claim to be by the account or by its server. */
export function stripIds(stanza: Stanza, account: string, domain: string): void {
  stanza.children.forEach((child, k) => {
    if (child.name !== "stanza-id" || child.ns !== NS_SID) return;
    // However it is written: clients compare prepared JIDs.
    const by = tryParseJid(stanza.kid(k).attrs["by"] ?? "")?.text;
    if (by === account || by === domain) stanza.removeChild(k);
  });
}
