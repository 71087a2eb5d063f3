// Bookmarks are the same wherever a client looks for them: in the items of urn:xmpp:bookmarks:1 (XEP-0402), in the one
// item of storage:bookmarks (XEP-0048), in private storage (XEP-0049). Whatever is written at one place is copied to the
// others (XEP-0402 §5.3, XEP-0411). The items of XEP-0402 are what counts.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import { Turns } from "../../core/turns.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { readPrivate, writePrivate } from "../mod_private.ts";
import type { NodeConfig, PubsubNode } from "../pubsub/model.ts";
import { retractItem } from "../pubsub/publish.ts";
import {
  type Bookmark,
  bookmarkOf,
  bookmarksIn,
  legacyMarkup,
  NS_LEGACY,
  NS_NATIVE,
  nativeMarkup,
  saysTheSame,
} from "./bookmarks.ts";
import { ownNode, publishOwn } from "./own.ts";
import type { Pep, PepContext } from "./profile.ts";

/** Nobody else may see them (XEP-0223, XEP-0411 §5). */
const PRIVATE: Partial<NodeConfig> = {
  access_model: "whitelist",
  persist_items: true,
  send_last_published_item: "never",
  max_items: Number.POSITIVE_INFINITY,
};
/** The one item of the old node. */
const LEGACY_ID = "current";
/** Bookmarks of an account that are copied: more stay where they are, none are lost on the way. */
const MAX_BOOKMARKS = 1000;
const tooMany = (): StanzaError => new StanzaError("policy-violation", `More than ${MAX_BOOKMARKS} bookmarks`);

export const isBookmarks = (node: string | undefined): boolean => node === NS_NATIVE || node === NS_LEGACY;

/** Copies the bookmarks of accounts; what it does for one account it does one after the other. */
export class Unifier {
  readonly #turns = new Turns();

  constructor(
    private readonly engine: Pep,
    private readonly ctx: PepContext,
  ) {}

  /** Something has changed at one of the two nodes. */
  changed(node: PubsubNode): Promise<void> {
    const account = node.service;
    return this.#turns.take(account.text, () =>
      this.#tried(account, async () => {
        if (node.name === NS_NATIVE) return this.#fromNative(account);
        const storage = await this.#legacyItem(account);
        if (storage !== undefined) await this.#fromLegacy(account, storage, "node");
      }),
    );
  }

  /** Private storage was written. */
  privateStored(account: BareJid): Promise<void> {
    return this.#turns.take(account.text, () => this.#tried(account, () => this.#fromPrivate(account)));
  }

  /** An account's bookmarks are about to be used: those from before this feature was there are taken over. */
  async prepare(account: BareJid): Promise<void> {
    if ((await this.engine.nodes.get(account, NS_NATIVE)) !== undefined) return;
    await this.#turns.take(account.text, () =>
      this.#tried(account, async () => {
        if ((await this.engine.nodes.get(account, NS_NATIVE)) !== undefined) return;
        const storage = await this.#legacyItem(account);
        if (storage === undefined) await this.#fromPrivate(account);
        else await this.#fromLegacy(account, storage, "node");
      }),
    );
  }

  /** What was asked for is done: a copy that cannot be made is no failure of it. */
  async #tried(account: BareJid, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof StanzaError) {
        this.ctx.log.info("bookmarks_not_copied", { reason: error.message, user: account.text });
      } else this.ctx.log.error("bookmarks_not_copied", { error, user: account.text });
    }
  }

  async #fromPrivate(account: BareJid): Promise<void> {
    const storage = await this.#privateElement(account);
    if (storage !== undefined) await this.#fromLegacy(account, storage, "private");
  }

  async #fromNative(account: BareJid): Promise<void> {
    const node = await this.engine.nodes.get(account, NS_NATIVE);
    if (node !== undefined && node.config.access_model !== "whitelist") return;
    const bookmarks = node === undefined ? [] : (await this.#bookmarks(node)).values();
    await this.#writeLegacy(account, [...bookmarks]);
  }

  /** Takes over what an old client has written: only what is different is touched, and told (XEP-0402 §5.3.2). */
  async #fromLegacy(account: BareJid, storage: Element, origin: "node" | "private"): Promise<void> {
    const wanted = bookmarksIn(storage);
    if (wanted.size > MAX_BOOKMARKS) throw tooMany();
    const node = await ownNode(this.engine, account, NS_NATIVE, PRIVATE);
    if (node === undefined || node.config.access_model !== "whitelist") return;
    const there = await this.#bookmarks(node);
    for (const [jid, bookmark] of wanted) {
      if (jid.length > this.engine.profile.limits.itemId) continue;
      const known = there.get(jid);
      if (known !== undefined && saysTheSame(bookmark, known)) continue;
      // Who does not know of extensions has not taken them out.
      const extensions = bookmark.extensions ?? known?.extensions;
      await publishOwn(this.engine, node, jid, nativeMarkup({ ...bookmark, extensions }));
    }
    for (const jid of there.keys()) if (!wanted.has(jid)) await retractItem(this.engine, node, jid);
    const all = [...(await this.#bookmarks(node)).values()];
    if (origin === "private") await this.#writeLegacyNode(account, all, storage);
    else await this.#writePrivate(account, all);
  }

  /** The bookmarks of the node, by the id of their item. */
  async #bookmarks(node: PubsubNode): Promise<Map<string, Bookmark>> {
    const found = new Map<string, Bookmark>();
    const items = await this.engine.store.newest(node, MAX_BOOKMARKS + 1);
    if (items.length > MAX_BOOKMARKS) throw tooMany();
    for (const item of items) {
      const bookmark = bookmarkOf(item);
      if (bookmark !== undefined) found.set(item.id, bookmark);
    }
    return found;
  }

  async #writeLegacy(account: BareJid, all: readonly Bookmark[]): Promise<void> {
    // One of the two that has no room must not leave the other behind: who reads there would write old ones back.
    await this.#tried(account, () => this.#writePrivate(account, all));
    await this.#writeLegacyNode(account, all, await this.#legacyItem(account));
  }

  async #writePrivate(account: BareJid, all: readonly Bookmark[]): Promise<void> {
    const { host } = this.ctx;
    if (!host.modules.has("mod_private")) return;
    const before = await this.#privateElement(account);
    const { text } = legacyMarkup(all, before);
    if (before?.toString() !== text) await writePrivate(host, account, NS_LEGACY, text);
  }

  async #writeLegacyNode(account: BareJid, all: readonly Bookmark[], before: Element | undefined): Promise<void> {
    const node = await ownNode(this.engine, account, NS_LEGACY, { ...PRIVATE, max_items: 1 });
    if (node === undefined || node.config.access_model !== "whitelist") return;
    const markup = legacyMarkup(all, before);
    const [last] = await this.engine.store.newest(node, 1);
    if (last?.payload !== markup.text) await publishOwn(this.engine, node, last?.id ?? LEGACY_ID, markup);
  }

  async #legacyItem(account: BareJid): Promise<Element | undefined> {
    const node = await this.engine.nodes.get(account, NS_LEGACY);
    if (node === undefined || node.config.access_model !== "whitelist") return undefined;
    const [last] = await this.engine.store.newest(node, 1);
    return storageOf(last?.payload);
  }

  async #privateElement(account: BareJid): Promise<Element | undefined> {
    return storageOf(await readPrivate(this.ctx.host, account, NS_LEGACY));
  }
}

function storageOf(text: string | undefined): Element | undefined {
  if (!text) return undefined;
  const element = parseElement(text);
  return element.is("storage", NS_LEGACY) ? element : undefined;
}
