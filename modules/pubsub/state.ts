// The state of a subscription, as answers and events show it (XEP-0060 §6.1.2, §12.18).

import type { Jid } from "../../core/jid.ts";
import { attr, type Markup, xml } from "../../core/xml/markup.ts";
import { type Event, eventOf } from "./event.ts";
import type { PubsubNode, SubscriptionState } from "./model.ts";

export function subscriptionMarkup(node: string, jid: Jid, state: SubscriptionState, subid = ""): Markup {
  const id = attr("subid", subid === "" ? undefined : subid);
  return xml`<subscription jid='${jid.text}' node='${node}'${id} subscription='${state}'/>`;
}

export const subscriptionEvent = (node: PubsubNode, jid: Jid, state: SubscriptionState): Event =>
  eventOf(node, subscriptionMarkup(node.name, jid, state));
