// XEP-0398: one avatar for clients of XEP-0084 (in two nodes) and of XEP-0153 (in the vCard), and its hash in the
// presence of clients that do not know it.

import { createHash } from "node:crypto";
import type { Element } from "@xmpp/xml";
import { subscriptionLists } from "../../core/contacts.ts";
import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Session, Slot } from "../../core/module.ts";
import { NS_VCARD } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { Turns } from "../../core/turns.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { readVcard, updateVcard } from "../mod_vcard/index.ts";
import type { Item } from "../pubsub/model.ts";
import { ownNode, publishOwn } from "./own.ts";
import type { Pep, PepContext } from "./profile.ts";

export const NS_METADATA = "urn:xmpp:avatar:metadata";
const NS_AVATAR_DATA = "urn:xmpp:avatar:data";
const NS_UPDATE = "vcard-temp:x:update";
/** What XEP-0153 §3.2 recommends at most is 8 kB; clients of today send ten times that. */
const MAX_IMAGE = 256 * 1024;
/** Of an image of which nobody says it. */
const DEFAULT_TYPE = "image/png";
/** Between what two clients of an account do at once, at most; in microseconds. */
const AT_ONCE = 60 * 1e6;

/**
 * The SHA-1 of the avatar in the vCard, for sessions that are available. Most accounts have none, and their sessions
 * nothing here: it is looked for before the first presence.
 */
const HASH = new Slot<string>();
/** In place of the hash, of an available session for which nobody has looked: its client says the hash itself. */
const UNKNOWN = "?";

/** Sessions whose first presence waits for the look-up, and the hash that has been set meanwhile. */
const looking = new WeakMap<Session, { now?: string }>();

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

/**
 * Converts the avatars of accounts, for one account one after the other, and always from what is there by then: of two that
 * were set at once, the conversion that comes last finds both places as they will stay.
 */
export class Avatars {
  readonly #turns = new Turns();

  constructor(
    private readonly engine: Pep,
    private readonly ctx: PepContext,
  ) {}

  /** An account has published the metadata of its avatar. */
  published(account: BareJid): Promise<void> {
    return this.#convert(account, () => fromNodes(this.engine, this.ctx, account));
  }

  /** An account's vCard was set; not by a conversion, which would wait for itself. */
  vcardSet(account: BareJid): Promise<void> {
    return this.#convert(account, () => fromVcard(this.engine, this.ctx, account));
  }

  /** A conversion that fails is no failure of what was converted. */
  async #convert(account: BareJid, work: () => Promise<void>): Promise<void> {
    const { log } = this.ctx;
    try {
      await this.#turns.take(account.text, work);
    } catch (error) {
      // Too big for the other place: nothing that the sysadmin has to do about.
      if (error instanceof StanzaError) log.info("avatar_not_converted", { reason: error.message });
      else log.error("avatar_not_converted", { error });
    }
  }
}

// --- From the nodes to the vCard (§3.1) ------------------------------------------------------------------------------------

/** The item of the metadata that is in the data node: not one of an image elsewhere. */
const infoOf = (metadata: Element): Element | undefined =>
  metadata.getChildren("info", NS_METADATA).find((info) => info.attrs["url"] === undefined);

/** Makes the vCard show what the metadata says. Only open nodes are copied: everybody may read a vCard (§7). */
async function fromNodes(engine: Pep, ctx: PepContext, account: BareJid): Promise<void> {
  const node = await engine.nodes.get(account, NS_METADATA);
  if (node?.config.access_model !== "open") return;
  const [item] = await engine.store.newest(node, 1);
  // Whoever else may publish there: the vCard is its owner's.
  if (item === undefined || item.payload === "" || item.publisher.bare.text !== account.text) return;
  const metadata = parseElement(item.payload);
  const info = infoOf(metadata);
  if (info === undefined) {
    if (metadata.getChildElements().length === 0) await setPhoto(ctx, account, undefined);
    return;
  }
  const dataNode = await engine.nodes.get(account, NS_AVATAR_DATA);
  if (dataNode?.config.access_model !== "open") return;
  const id = info.attrs["id"] ?? "";
  const said = await engine.store.item(dataNode, id);
  if (said !== undefined) {
    const image = imageIn(said, info.attrs["type"] ?? DEFAULT_TYPE);
    if (image?.hash === id) await setPhoto(ctx, account, image);
    return;
  }
  // Another client has put its image in the place of this one before the metadata came: both would show nothing.
  const [last] = await engine.store.newest(dataNode, 1);
  if (last === undefined || last.publisher.text === item.publisher.text || item.at - last.at > AT_ONCE) return;
  const image = imageIn(last, DEFAULT_TYPE);
  if (image?.hash !== last.id) return;
  await publishOwn(engine, node, image.hash, metadataOf(image));
  await setPhoto(ctx, account, image);
}

/** Puts an image into the vCard, or takes the one that is there out. */
async function setPhoto(ctx: PepContext, account: BareJid, image: Image | undefined): Promise<void> {
  await updateVcard(ctx.host, account, (before) => {
    if ((before && photoOf(before))?.hash === image?.hash) return undefined;
    const vcard = before ?? parseElement(`<vCard xmlns='${NS_VCARD}'/>`);
    vcard.children = vcard.children.filter((c) => typeof c === "string" || !c.is("PHOTO", NS_VCARD));
    if (image !== undefined) vcard.append(photo(image));
    return vcard;
  });
  remember(ctx, account, image?.hash ?? "");
}

function imageIn({ payload }: Item, type: string): Image | undefined {
  const data = payload === "" ? undefined : parseElement(payload);
  return data?.is("data", NS_AVATAR_DATA) ? imageOf(data.text(), type) : undefined;
}

const photo = ({ bytes, type }: Image): Element =>
  parseElement(
    xml`<PHOTO xmlns='${NS_VCARD}'><TYPE>${type}</TYPE><BINVAL>${bytes.toString("base64")}</BINVAL></PHOTO>`.text,
  );

function photoOf(vcard: Element): Image | undefined {
  const element = vcard.getChild("PHOTO", NS_VCARD);
  const base64 = element?.getChildText("BINVAL", NS_VCARD);
  return base64 ? imageOf(base64, element?.getChildText("TYPE", NS_VCARD) || DEFAULT_TYPE) : undefined;
}

// --- From the vCard to the nodes (§3.2) ------------------------------------------------------------------------------------

/** Publishes what the vCard shows. */
async function fromVcard(engine: Pep, ctx: PepContext, account: BareJid): Promise<void> {
  const vcard = await readVcard(ctx.host, account);
  const image = vcard && photoOf(vcard);
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
  await publishOwn(engine, metadata, image.hash, metadataOf(image));
}

function metadataOf({ bytes, hash, type }: Image): Markup {
  const info = xml`<info bytes='${bytes.length}' id='${hash}' type='${type}'/>`;
  return xml`<metadata xmlns='${NS_METADATA}'>${info}</metadata>`;
}

function remember({ server }: PepContext, account: BareJid, hash: string): void {
  for (const session of server.sessionsOf(account)) {
    const look = looking.get(session);
    if (look !== undefined) look.now = hash;
    if (session.available) keep(session, hash);
  }
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
  const look: { now?: string } = {};
  looking.set(session, look);
  const hash = avatarHash(ctx, bare);
  // mod_presence is about to ask for the roster: both are read in one go.
  const lists = subscriptionLists(ctx.host, bare);
  const give = (found: string): undefined => {
    if (looking.get(session) === look) looking.delete(session);
    const hashNow = look.now ?? found;
    keep(session, hashNow);
    return stamp(presence, update, hashNow);
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
