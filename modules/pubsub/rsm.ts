// XEP-0059 Result Set Management: the part of a list that is asked for, and the part that is given.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import { attr, type Markup, xml } from "../../core/xml/markup.ts";

export const NS_RSM = "http://jabber.org/protocol/rsm";
/** A page when the asker sets no size, and the most that is given at once. */
export const MAX_PAGE = 100;

export interface PageRequest {
  /** 0 asks for the count alone. */
  readonly max: number;
  readonly after?: string;
  /** "" is the end of the list. */
  readonly before?: string;
  readonly index?: number;
}

/** @throws StanzaError bad-request for a number that is none, or directions that exclude each other */
export function parsePage(set: Element, most = MAX_PAGE): PageRequest {
  const number = (name: string): number | undefined => {
    const text = set.getChildText(name, NS_RSM);
    if (text === null) return undefined;
    if (!/^\d{1,9}$/.test(text)) throw new StanzaError("bad-request", `<${name}/> must be a whole number`);
    return Number(text);
  };
  const after = set.getChildText("after", NS_RSM) ?? undefined;
  const before = set.getChildText("before", NS_RSM) ?? undefined;
  const index = number("index");
  if ([after, before, index].filter((x) => x !== undefined).length > 1) {
    throw new StanzaError("bad-request", "Only one of after, before and index can be asked for");
  }
  const page = { max: Math.min(number("max") ?? most, most) };
  if (after !== undefined && after !== "") return { ...page, after };
  if (before !== undefined) return { ...page, before };
  return index === undefined ? page : { ...page, index };
}

/** The <set/> of an answer; `first` and `last` are the ids at its ends, undefined for an empty page. */
export function pageMarkup(count: number, index: number, first?: string, last?: string): Markup {
  const ends =
    first === undefined ? undefined : xml`<first${attr("index", index)}>${first}</first><last>${last}</last>`;
  return xml`<set xmlns='${NS_RSM}'>${ends}<count>${count}</count></set>`;
}
