// XEP-0059 Result Set Management: what a client asks for, and what it is told about the page it got.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../errors.ts";
import { NS_RSM } from "../ns.ts";
import { type Markup, xml } from "./markup.ts";

export interface PageRequest {
  /** Most items; undefined for as many as the server likes, 0 for the count alone (§2.7). */
  readonly max?: number;
  /** The item after which the page begins. */
  readonly after?: string;
  /** The item before which the page ends; "" for the last page (§2.5). */
  readonly before?: string;
  /** Number of the page's first item, from 0 (§2.6). */
  readonly index?: number;
}

/** The <set/> inside `parent`, undefined when there is none. Throws bad-request for one that makes no sense. */
export function pageRequest(parent: Element): PageRequest | undefined {
  const set = parent.getChild("set", NS_RSM);
  return set === undefined ? undefined : parsePage(set);
}

/** What <set/> asks for. Throws bad-request when it makes no sense. */
export function parsePage(set: Element): PageRequest {
  const text = (name: string): string | undefined => set.getChild(name, NS_RSM)?.text();
  const request = {
    max: whole(text("max")),
    after: text("after"),
    before: text("before"),
    index: whole(text("index")),
  };
  const places = [request.after, request.before, request.index].filter((place) => place !== undefined);
  if (places.length > 1) throw new StanzaError("bad-request", "A page is after, before or at an index");
  return request;
}

/** More items than any list has. */
const MOST = 999_999_999;

/** An xs:int of the schema, white space around it being nothing. */
function whole(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[ \t\r\n]*\d+[ \t\r\n]*$/.test(text)) {
    throw new StanzaError("bad-request", `"${text.slice(0, 32)}" is no number of items`);
  }
  return Math.min(Number(text), MOST);
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Number of the first item. */
  readonly index: number;
  /** All items there are. */
  readonly count: number;
}

/**
 * A page of a list that is in memory. Throws item-not-found when the item that the page follows or precedes is not in
 * the list (§2.2). An index beyond its end gives an empty page (§2.6).
 */
export function pageOf<T>(all: readonly T[], idOf: (item: T) => string, request: PageRequest = {}): Page<T> {
  const count = all.length;
  const { max = count } = request;
  const place = (id: string): number => {
    const at = all.findIndex((item) => idOf(item) === id);
    if (at < 0) throw new StanzaError("item-not-found");
    return at;
  };
  let index = 0;
  if (request.after !== undefined) index = place(request.after) + 1;
  else if (request.before !== undefined) {
    const end = request.before === "" ? count : place(request.before);
    index = Math.max(0, end - max);
    return { items: all.slice(index, end), index, count };
  } else if (request.index !== undefined) {
    index = request.index;
  }
  return { items: all.slice(index, index + max), index, count };
}

/** <set/> about a page. */
export function pageMarkup<T>({ items, index, count }: Page<T>, idOf: (item: T) => string): Markup {
  const last = items.at(-1);
  const ends =
    last === undefined ? undefined : xml`<first index='${index}'>${idOf(items[0])}</first><last>${idOf(last)}</last>`;
  return xml`<set xmlns='${NS_RSM}'>${ends}<count>${count}</count></set>`;
}
