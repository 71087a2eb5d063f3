// What the elements of XEP-0198 have in common: their counters and their failures.

import { NS_SM } from "../../core/ns.ts";

/** <failed/>; `h` is what was handled of a stream that cannot be resumed any more. */
export const failed = (condition: string, h?: number): string =>
  `<failed xmlns='${NS_SM}'${h === undefined ? "" : ` h='${h}'`}><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>`;

/** A counter attribute: 0 to 2^32-1, undefined when it is not one. */
export function counter(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const h = Number(text);
  return h < 2 ** 32 ? h : undefined;
}
