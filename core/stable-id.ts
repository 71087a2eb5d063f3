// Ids that the server gives to messages (XEP-0359), which are those of the archive.

import { tryParseJid } from "./jid.ts";
import { NS_SID } from "./ns.ts";
import type { Stanza } from "./stanza.ts";
import { escapeXml } from "./xml/markup.ts";

/** A 64-bit id as MongooseIM shows it: base 32 with the digits 0-9A-V. */
export const externalId = (id: bigint): string => id.toString(32).toUpperCase();

/** Reads what `externalId` wrote; undefined for anything else. */
export function parseExternalId(text: string): bigint | undefined {
  if (!/^[0-9A-Va-v]{1,13}$/.test(text)) return undefined;
  let id = 0n;
  for (let i = 0; i < text.length; i++) id = (id << 5n) | BigInt(Number.parseInt(text[i], 32));
  return id < 1n << 63n ? id : undefined;
}

/** Microseconds since 1970 of an id. */
export const timeOfId = (id: bigint): number => Number(id >> 8n);

/** The lowest id of a time, microseconds since 1970. */
export const idAtTime = (micros: number): bigint => BigInt(Math.max(0, Math.floor(micros))) << 8n;

/** The element that says an id. */
export const stanzaId = (by: string, id: bigint): string =>
  `<stanza-id by='${escapeXml(by)}' id='${externalId(id)}' xmlns='${NS_SID}'/>`;

/** Gives a message its id, and takes out what claims to be one by the account or by its server (§4, rules 6 and 7). */
export function stamp(stanza: Stanza, by: string, domain: string, id: bigint): void {
  if (stanza.has("stanza-id", NS_SID)) stripIds(stanza, by, domain);
  stanza.stableId = id;
  stanza.appended += stanzaId(by, id);
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
