// The markers in a message (XEP-0333).

import { NS_DELAY, NS_HINTS, NS_MARKERS, NS_SID } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import type { MarkerType } from "./store.ts";

const NAMES: readonly MarkerType[] = ["received", "displayed", "acknowledged"];
/** What may stand beside a marker that is all a message has to say. */
const ASIDE: ReadonlySet<string> = new Set([NS_HINTS, NS_SID, NS_DELAY]);

/** Types of messages that markers are sent in. */
export const MARKER_MESSAGES = ["chat", "", "normal", "groupchat"] as const;

export interface Mark {
  readonly type: MarkerType;
  readonly id: string;
}

/** Whether a message marks another one; `<markable/>`, which asks for that, does not. Makes nothing. */
export const marks = (message: Stanza): boolean => NAMES.some((name) => message.has(name, NS_MARKERS));

/** The marks of a message, one of a kind, the last one; those that do not say what they mark are none. */
export function marksOf(message: Stanza): Mark[] {
  const marks = new Map<MarkerType, Mark>();
  for (let k = 0; k < message.childCount; k++) {
    if (message.kidNs(k) !== NS_MARKERS) continue;
    const type = NAMES.find((name) => name === message.kidName(k));
    const id = message.kidAttr(k, "id");
    if (type !== undefined && id) marks.set(type, { type, id });
  }
  return [...marks.values()];
}

/** The thread of a message, "" without one. */
export const threadOf = (message: Stanza): string => message.childText("thread") ?? "";

/** Whether the marks are all that a message has to say. */
export const onlyMarks = (message: Stanza): boolean =>
  message.children.every((c) => c.ns === NS_MARKERS || ASIDE.has(c.ns) || c.name === "thread");

/** Takes the marks out of a message that has more to say. */
export function takeOutMarks(message: Stanza): void {
  message.children.forEach((c, k) => {
    if (c.ns === NS_MARKERS && NAMES.some((name) => name === c.name)) message.removeChild(k);
  });
}
