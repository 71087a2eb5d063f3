// A look-up: a page of what a query asks for (XEP-0313 §4, XEP-0059), and the ids that it must not name in vain.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../../core/errors.ts";
import { NS_RSM } from "../../../core/ns.ts";
import { type PageRequest, pageRequest } from "../../../core/xml/rsm.ts";
import type { ArchiveBackend, Found, Owner, Page, PageFound } from "../backend.ts";
import type { AskedArchive } from "./archive.ts";
import { type Asked, messageId, readForm } from "./form.ts";

/** A query, read. */
export interface Query {
  readonly asked: Asked;
  readonly page: Page;
  /** Ids that must be in the archive: those of the form and that of the page. */
  readonly named: readonly bigint[];
  /** The newest of the page is sent first (§4.2.4). */
  readonly flipped: boolean;
  /** `queryid`, which comes back with each message. */
  readonly queryId: string | undefined;
}

/**
 * Reads a <query/> of type set.
 * @throws StanzaError for what makes no sense, or is not understood
 */
export function readQuery(query: Element, { words, limits }: Pick<AskedArchive, "words" | "limits">): Query {
  // Archives of publish-subscribe nodes (XEP-0442): nothing of the account's own is meant.
  if (query.attrs["node"] !== undefined) throw new StanzaError("feature-not-implemented", "Nodes have no archive here");
  const asked = readForm(query, words, limits.most);
  const wanted = pageRequest(query) ?? {};
  const max = Math.min(wanted.max ?? limit(query) ?? limits.default, limits.most);
  const page = pageOf(wanted, max, !(asked.simple || limits.simple));
  return {
    asked,
    page,
    named: page.id === undefined ? asked.named : [...asked.named, page.id],
    flipped: query.getChild("flip-page") !== undefined,
    queryId: query.attrs["queryid"],
  };
}

/** What clients of old wrote for <max/>, as MongooseIM reads it. */
function limit(query: Element): number | undefined {
  const text = query.getChild("set", NS_RSM)?.getChildText("limit");
  return text != null && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function pageOf({ after, before, index }: PageRequest, max: number, count: boolean): Page {
  if (before !== undefined) {
    return { dir: "before", max, count, ...(before !== "" && { id: messageId(before) }) };
  }
  // An empty <after/> is the beginning.
  if (after !== undefined && after !== "") return { dir: "after", id: messageId(after), max, count };
  return { dir: "after", max, count, ...(index !== undefined && { index }) };
}

const NOT_FOUND = "Message with specified ID is not found";
const NOTHING: PageFound = { messages: [], total: 0, offset: 0, complete: true };

/**
 * Looks a page up.
 * @throws StanzaError item-not-found when an id that the query names is not in the archive (§4.1.3, §4.2.2)
 */
export async function lookup(backend: ArchiveBackend, owner: Owner, { asked, page, named }: Query): Promise<PageFound> {
  const { filter, nothing } = asked;
  if (named.length === 1 && named[0] === page.id && page.max > 0 && !nothing) {
    // The page itself shows, in most cases, whether there is what it begins at.
    const found = await pageFrom(backend, owner, filter, page);
    const there = found.edge ?? (await backend.present(owner, named)).has(page.id);
    if (!there) throw new StanzaError("item-not-found", NOT_FOUND);
    return page.count ? found : { ...found, total: undefined, offset: undefined };
  }
  // Both in one turn, so that the database is asked once.
  const [present, found] = await Promise.all([
    named.length === 0 ? undefined : backend.present(owner, named),
    nothing ? NOTHING : pageFrom(backend, owner, filter, page),
  ]);
  if (present !== undefined && named.some((id) => !present.has(id))) {
    throw new StanzaError("item-not-found", NOT_FOUND);
  }
  return page.count ? found : { ...found, total: undefined, offset: undefined };
}

async function pageFrom(
  backend: ArchiveBackend,
  owner: Owner,
  filter: Asked["filter"],
  page: Page,
): Promise<PageFound> {
  if (page.max > 0) return backend.lookup(owner, filter, page);
  if (!page.count) {
    // Whether there is anything beyond a page of none.
    const { messages } = await backend.lookup(owner, filter, { ...page, max: 1 });
    return { messages: [], total: undefined, offset: undefined, complete: messages.length === 0 };
  }
  const { total = 0, offset = 0 } = await backend.lookup(owner, filter, page);
  const complete = page.dir === "before" ? offset === 0 : offset >= total;
  return { messages: [], total, offset, complete };
}

/** The order in which the messages of a page are sent. */
export function inOrder({ messages }: PageFound, flipped: boolean): readonly Found[] {
  return flipped ? messages.toReversed() : messages;
}
