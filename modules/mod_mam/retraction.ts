// Retracted messages in an archive (XEP-0424): what is left of them is a tombstone. Only the author takes a message
// back, and only in the conversation in which he asks for it; whatever else is asked for changes nothing.

import { type Jid, tryParseJid } from "../../core/jid.ts";
import { parseExternalId } from "../../core/message-id.ts";
import { NS_SID } from "../../core/ns.ts";
import {
  NS_FASTEN,
  NS_RETRACT,
  NS_RETRACT_FASTENED,
  NS_RETRACT_STANZA_ID,
  type Retraction,
  retractionOf,
} from "../../core/retraction.ts";
import type { Element, Stanza } from "../../core/stanza.ts";
import { Turns } from "../../core/turns.ts";
import { attr, escapeXml, Markup, xml } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import type { ArchiveBackend, Archived, Found, Owner } from "./backend.ts";

const RETRACTIONS = [NS_RETRACT, NS_RETRACT_FASTENED, NS_RETRACT_STANZA_ID];
const NS_MUC_USER = "http://jabber.org/protocol/muc#user";

/** Newest messages of a conversation among which one is looked for by its `id` attribute, which has no index; so many at once. */
const RECENT = 1000;
const PAGE = 100;

/** disco#info features; the tombstones only where retracted messages become such. */
export function retractionFeatures(tombstones: boolean): string[] {
  return tombstones ? [...RETRACTIONS, `${NS_RETRACT}#tombstone`, `${NS_RETRACT_FASTENED}#tombstone`] : RETRACTIONS;
}

/** A message that asks to retract another, as one of the two archives sees it. */
export interface Asked {
  readonly owner: Owner;
  /** The other party. */
  readonly remote: Jid;
  /** Of the message that asks, and so of the one that is meant. */
  readonly direction: "in" | "out";
  /** Who asks. */
  readonly from: Jid;
  readonly message: Stanza;
  /** The id of the message that asks in this archive. */
  readonly id: bigint;
  /** Resolves when the message that asks is archived. */
  readonly archived: Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Puts a tombstone in the place of the message that is meant. What is to be retracted may still wait to be written: it is
 * looked for when that has come to its end. Resolves to whether there was such a message.
 */
export async function retract(backend: ArchiveBackend, asked: Asked): Promise<boolean> {
  const retraction = retractionOf(asked.message);
  if (retraction === undefined) return false;
  await asked.archived;
  await backend.settled();
  const found = await meant(backend, asked, retraction);
  if (found === undefined) return false;
  await backend.replace(asked.owner, found.id, tombstone(found.stanza, retraction, asked).text);
  return true;
}

async function meant(backend: ArchiveBackend, asked: Asked, retraction: Retraction): Promise<Found | undefined> {
  const { owner, remote, direction, id } = asked;
  const may = (found: Found, stanza: Element): boolean =>
    found.id < id && byAuthor(found, stanza, asked) && !isTombstone(stanza) && !asksToRetract(stanza);

  if (retraction.ns === NS_RETRACT_STANZA_ID) {
    const wanted = parseExternalId(retraction.id);
    if (wanted === undefined) return undefined;
    const page = { dir: "after", max: 1, count: false } as const;
    const { messages } = await backend.lookup(owner, { ids: [wanted], with: remote.bare }, page);
    return messages.find((found) => may(found, parseElement(found.stanza)));
  }
  const named = await backend.byOriginId(owner, remote.bare, direction, retraction.id);
  if (named !== undefined) return may(named, parseElement(named.stanza)) ? named : undefined;
  if (retraction.ns !== NS_RETRACT || asked.message.type === "groupchat") return undefined;
  return byIdAttribute(backend, asked, retraction.id, may);
}

async function byIdAttribute(
  backend: ArchiveBackend,
  { owner, remote, id }: Asked,
  wanted: string,
  may: (found: Found, stanza: Element) => boolean,
): Promise<Found | undefined> {
  // Most of them need not be parsed, unless XML has two ways to write the id without a reference.
  const text = /[>'"]/.test(wanted) ? undefined : escapeXml(wanted);
  const isMeant = (found: Found): boolean => {
    if (text !== undefined && !found.stanza.includes(text) && !found.stanza.includes("&")) return false;
    const stanza = parseElement(found.stanza);
    return stanza.attrs["id"] === wanted && may(found, stanza);
  };
  const page = { dir: "before", max: PAGE, count: false } as const;
  for (let beforeId = id, seen = 0; seen < RECENT; seen += PAGE) {
    const { messages, complete } = await backend.lookup(owner, { with: remote.bare, beforeId }, page);
    const found = messages.findLast(isMeant);
    if (found !== undefined || complete || messages.length === 0) return found;
    beforeId = messages[0].id;
  }
  return undefined;
}

/**
 * Whether who asks is the author. A person is known by the bare JID; in a room and in private messages through one, whose
 * people share the room's bare JID, by the full one.
 */
function byAuthor(found: Found, stanza: Element, { from, message }: Asked): boolean {
  const author = tryParseJid(found.from);
  if (author === undefined) return false;
  const groupchat = message.type === "groupchat";
  if (groupchat !== (stanza.attrs["type"] === "groupchat")) return false;
  const throughRoom = message.has("x", NS_MUC_USER) || stanza.getChild("x", NS_MUC_USER) !== undefined;
  return groupchat || throughRoom ? author.text === from.text : author.bare.text === from.bare.text;
}

const isTombstone = (stanza: Element): boolean =>
  RETRACTIONS.some((ns) => stanza.getChild("retracted", ns) !== undefined);

/** Such a message is kept whatever comes (XEP-0424 §5): who was away when it came learns from it what was taken back. */
const asksToRetract = (stanza: Element): boolean =>
  stanza.getChild("retract", NS_RETRACT) !== undefined ||
  RETRACTIONS.some((ns) => stanza.getChild("apply-to", NS_FASTEN)?.getChild("retract", ns) !== undefined);

/**
 * What is left of a message (XEP-0424 §4): its own tag and `<retracted/>`. That names the message that asked (its `id`),
 * or with the older namespaces the one that was meant.
 */
export function tombstone(stanza: string, { ns, id }: Retraction, { message, owner, now }: Asked): Markup {
  const was = parseElement(stanza);
  const kept = Object.entries(was.attrs).map(([name, value]) => xml` ${new Markup(name)}='${value}'`);
  const stamp = new Date(now).toISOString();
  if (ns === NS_RETRACT) {
    const asking = attr("id", message.id);
    return xml`<message${kept}><retracted xmlns='${ns}' stamp='${stamp}'${asking}/></message>`;
  }
  const byArchive = ns === NS_RETRACT_STANZA_ID;
  const origin = byArchive ? was.getChild("origin-id", NS_SID)?.attrs["id"] : id;
  const by = owner.local === "" ? owner.domain : `${owner.local}@${owner.domain}`;
  return xml`<message${kept}><retracted xmlns='${ns}' stamp='${stamp}'>${[
    ...(byArchive ? [xml`<stanza-id xmlns='${NS_SID}' id='${id}' by='${by}'/>`] : []),
    ...(origin === undefined ? [] : [xml`<origin-id xmlns='${NS_SID}' id='${origin}'/>`]),
  ]}</retracted></message>`;
}

/** Retractions of one archive back end: those of one account one after the other, so that many hold up nobody else. */
export class Retractions {
  private readonly turns = new Turns();

  constructor(private readonly backend: ArchiveBackend) {}

  /** Has a message that was given to the archive retract what it asks for, if it does; it waits for that (Stanza.wait). */
  after(stanza: Stanza, message: Archived, archived: Promise<void>, now: number): void {
    if (retractionOf(stanza) === undefined) return;
    const { owner, remote, direction, from, id } = message;
    const asked = { owner, remote, direction, from, message: stanza, id, archived, now };
    stanza.wait(this.turns.take(from.bare.text, () => retract(this.backend, asked)));
  }
}
