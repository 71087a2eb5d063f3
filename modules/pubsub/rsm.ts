// XEP-0059 for lists of a service: a page has a bound, whatever the asker says.

import type { Element } from "@xmpp/xml";
import { type PageRequest, parsePage } from "../../core/xml/rsm.ts";

/** A page when the asker sets no size, and the most that is given at once. */
const MAX_PAGE = 100;

export interface BoundedPage extends PageRequest {
  /** 0 asks for the count alone. */
  readonly max: number;
}

/**
 * What <set/> asks for. An empty <after/> is the beginning of the list.
 * @throws StanzaError bad-request for a number that is none, or directions that exclude each other
 */
export function boundedPage(set: Element, most = MAX_PAGE): BoundedPage {
  const { max = most, after, ...page } = parsePage(set);
  return { ...page, max: Math.min(max, most), after: after === "" ? undefined : after };
}
