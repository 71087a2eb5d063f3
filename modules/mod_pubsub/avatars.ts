// XEP-0398: one avatar for clients of XEP-0084 (in two nodes) and of XEP-0153 (in the vCard), and its hash in the
// presence of clients that do not know it.

import { createHash } from "node:crypto";
import type { Element } from "@xmpp/xml";
import { subscriptionLists } from "../../core/contacts.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Session, Slot } from "../../core/module.ts";
import { NS_VCARD } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { readVcard, storeVcard } from "../mod_vcard/index.ts";
import type { PubsubNode } from "../pubsub/model.ts";
import { ownNode, publishOwn } from "./own.ts";
import type { Pep, PepContext } from "./profile.ts";

export const NS_METADATA = "urn:xmpp:avatar:metadata";
const NS_AVATAR_DATA = "urn:xmpp:avatar:data";
const NS_UPDATE = "vcard-temp:x:update";
/** What XEP-0153 §3.2 recommends at most is 8 kB; clients of today send ten times that. */
const MAX_IMAGE = 256 * 1024;

/**
 * The SHA-1 of the avatar in the vCard, for sessions that are available. Most accounts have none, and their sessions
 * nothing here: it is looked for before the first presence.
 */
const HASH = new Slot<string>();
/** In place of the hash, of an available session for which nobody has looked: its client says the hash itself. */
const UNKNOWN = "?";

/** An image of an account. */
interface Image {
  readonly bytes: Buffer;
  readonly hash: string;
  readonly type: string;
}

function imageOf(base64: string, type: string): Image | undefined {
  const bytes = Buffer.from(base64.replace(/\s+/g, ""), "base64");
  if (bytes.length === 0 || bytes.length > MAX_IMAGE) return undefined;
  return { bytes, hash: createHash("sha1").update(bytes).digest("hex"), type };
}

// --- From the nodes to the vCard (§3.1) ------------------------------------------------------------------------------------

/** The item of the metadata that is in the data node: not one of an image elsewhere. */
const infoOf = (metadata: Element): Element | undefined =>
  metadata.getChildren("info", NS_METADATA).find((info) => info.attrs["url"] === undefined);

/**
 * The metadata of an account's avatar was published. Only open nodes are copied: everybody may read a vCard (§7).
 */
export async function metadataPublished(
  engine: Pep,
  ctx: PepContext,
  node: PubsubNode,
  metadata: Element,
): Promise<void> {
  const account = node.service;
  if (node.config.access_model !== "open") return;
  const info = infoOf(metadata);
  if (info === undefined) {
    if (metadata.getChildElements().length === 0) await setPhoto(ctx, account, undefined);
    return;
  }
  const dataNode = await engine.nodes.get(account, NS_AVATAR_DATA);
  if (dataNode === undefined || dataNode.config.access_model !== "open") return;
  const id = info.attrs["id"] ?? "";
  const item = await engine.store.item(dataNode, id);
  const data = item === undefined ? undefined : parseElement(item.payload);
  const image = data?.is("data", NS_AVATAR_DATA) ? imageOf(data.text(), info.attrs["type"] ?? "image/png") : undefined;
  if (image !== undefined && image.hash === id) await setPhoto(ctx, account, image);
}

/** Puts an image into the vCard, or takes the one that is there out. */
async function setPhoto(ctx: PepContext, account: BareJid, image: Image | undefined): Promise<void> {
  const before = await readVcard(ctx.host, account);
  const there = before && photoOf(before);
  if (there?.hash !== image?.hash) {
    const vcard = before ?? parseElement(`<vCard xmlns='${NS_VCARD}'/>`);
    vcard.children = vcard.children.filter((c) => typeof c === "string" || !c.is("PHOTO", NS_VCARD));
    if (image !== undefined) vcard.append(photo(image));
    await storeVcard(ctx.host, account, vcard);
  }
  remember(ctx, account, image?.hash ?? "");
}

const photo = ({ bytes, type }: Image): Element =>
  parseElement(
    xml`<PHOTO xmlns='${NS_VCARD}'><TYPE>${type}</TYPE><BINVAL>${bytes.toString("base64")}</BINVAL></PHOTO>`.text,
  );

function photoOf(vcard: Element): Image | undefined {
  const element = vcard.getChild("PHOTO", NS_VCARD);
  const base64 = element?.getChildText("BINVAL", NS_VCARD);
  return base64 ? imageOf(base64, element?.getChildText("TYPE", NS_VCARD) || "image/png") : undefined;
}

// --- From the vCard to the nodes (§3.2) ------------------------------------------------------------------------------------

/** A user has set his vCard. */
export async function vcardSet(engine: Pep, ctx: PepContext, account: BareJid, vcard: Markup): Promise<void> {
  const image = photoOf(parseElement(vcard.text));
  remember(ctx, account, image?.hash ?? "");
  if (image === undefined) return;
  // What everybody may read in the vCard may be read here.
  const open = { access_model: "open", max_items: 1 } as const;
  const metadata = await ownNode(engine, account, NS_METADATA, open);
  const data = await ownNode(engine, account, NS_AVATAR_DATA, open);
  if (metadata === undefined || data === undefined) return;
  const [last] = await engine.store.newest(metadata, 1);
  if (last?.id === image.hash) return;
  await publishOwn(
    engine,
    data,
    image.hash,
    xml`<data xmlns='${NS_AVATAR_DATA}'>${image.bytes.toString("base64")}</data>`,
  );
  const info = xml`<info bytes='${image.bytes.length}' id='${image.hash}' type='${image.type}'/>`;
  await publishOwn(engine, metadata, image.hash, xml`<metadata xmlns='${NS_METADATA}'>${info}</metadata>`);
}

function remember({ server }: PepContext, account: BareJid, hash: string): void {
  for (const session of server.sessionsOf(account)) if (session.available) keep(session, hash);
}

function keep(session: Session, hash: string): void {
  if (hash !== "" || HASH.get(session) !== undefined) HASH.set(session, hash === "" ? undefined : hash);
}

/** The hash for a session, "" for none; undefined when somebody has to look. */
function known(session: Session): string | undefined {
  const hash = HASH.get(session);
  if (hash === undefined) return session.available ? "" : undefined;
  return hash === UNKNOWN ? undefined : hash;
}

// --- Presence (§4) ---------------------------------------------------------------------------------------------------------

/** Puts the hash into a session's presence, broadcast or directed, unless the client says that it is not ready. */
export function stampPresence(presence: Stanza, session: Session, ctx: PepContext): MaybePromise<undefined> {
  if (!ctx.host.modules.has("mod_vcard")) return undefined;
  const update = presence.find("x", NS_UPDATE);
  // An empty <photo/>: the client has not looked at its avatar yet, or wants none (XEP-0153 §4.1).
  const photo = update >= 0 ? photoIn(presence.kid(update)) : undefined;
  const hashThere = known(session);
  if (photo !== "" && hashThere !== undefined) return stamp(presence, update, hashThere);
  // A client that has looked knows better than to be asked about.
  if (photo !== undefined) {
    if (hashThere === undefined) HASH.set(session, UNKNOWN);
    return undefined;
  }
  const { bare } = session.jid;
  const hash = avatarHash(ctx, bare);
  // mod_presence is about to ask for the roster: both are read in one go.
  const lists = subscriptionLists(ctx.host, bare);
  const give = (found: string): undefined => {
    keep(session, found);
    return stamp(presence, update, found);
  };
  return lists instanceof Promise ? Promise.all([hash, lists]).then(([found]) => give(found)) : hash.then(give);
}

const photoIn = (x: Element): string | undefined => x.getChildText("photo", NS_UPDATE) ?? undefined;

function stamp(presence: Stanza, update: number, hash: string): undefined {
  if (hash === "") return;
  if (update >= 0) presence.removeChild(update);
  presence.append(xml`<x xmlns='${NS_UPDATE}'><photo>${hash}</photo></x>`);
}

/** The hash as the metadata has it, where that is the vCard's too. */
async function avatarHash({ store, log }: PepContext, account: BareJid): Promise<string> {
  try {
    const payload = await store.newestOpen(account, NS_METADATA);
    if (payload === undefined) return "";
    const metadata = parseElement(payload);
    return (metadata.is("metadata", NS_METADATA) && infoOf(metadata)?.attrs["id"]) || "";
  } catch (error) {
    log.error("avatar_hash_unknown", { error, user: account.text });
    return "";
  }
}

/** A session is gone for others: its next presence looks anew. */
export function forgetHash(session: Session): void {
  if (HASH.get(session) !== undefined) HASH.set(session, undefined);
}
