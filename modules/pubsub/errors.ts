// The errors of XEP-0060, each with its application-specific condition (§6 to §8, schema of pubsub#errors).

import { type ErrorType, type StanzaCondition, StanzaError } from "../../core/errors.ts";
import { attr, xml } from "../../core/xml/markup.ts";

export const NS_ERRORS = "http://jabber.org/protocol/pubsub#errors";

/** Condition of pubsub#errors to condition of RFC 6120, and the type where the XEP wants another than usual. */
const CONDITIONS = {
  "closed-node": "not-allowed",
  "configuration-required": "not-acceptable",
  "invalid-jid": "bad-request",
  "invalid-options": "bad-request",
  "invalid-payload": "bad-request",
  "invalid-subid": "not-acceptable",
  "item-forbidden": "bad-request",
  "item-required": "bad-request",
  "jid-required": "bad-request",
  "max-items-exceeded": "not-allowed",
  "max-nodes-exceeded": "policy-violation",
  "nodeid-required": "bad-request",
  "not-in-roster-group": "not-authorized",
  "not-subscribed": "unexpected-request",
  "payload-too-big": "not-acceptable",
  "payload-required": "bad-request",
  "pending-subscription": "not-authorized",
  "precondition-not-met": "conflict",
  "presence-subscription-required": "not-authorized",
  "subid-required": "bad-request",
  "too-many-subscriptions": "policy-violation",
  "unsupported-access-model": "not-acceptable",
} as const satisfies Record<string, StanzaCondition>;

export type PubsubCondition = keyof typeof CONDITIONS;

/** An error of pubsub; `under` is the RFC's condition, `as` the type, where a section has another one than most. */
export function pubsubError(
  condition: PubsubCondition,
  text?: string,
  under: StanzaCondition = CONDITIONS[condition],
  as?: ErrorType,
): StanzaError {
  // unexpected-request is "wait" in RFC 6120; XEP-0060 §6.2.3.2 has nothing to wait for.
  const type = as ?? (under === "unexpected-request" ? "cancel" : undefined);
  return new StanzaError(under, text, type, `<${condition} xmlns='${NS_ERRORS}'/>`);
}

/** A feature of §10 that is not there. */
export function unsupported(feature: string): StanzaError {
  const extra = xml`<unsupported${attr("feature", feature)} xmlns='${NS_ERRORS}'/>`;
  return new StanzaError("feature-not-implemented", undefined, undefined, extra.text);
}
