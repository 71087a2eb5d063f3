// Subscriptions as their subscribers see them (XEP-0060 §5.6, §5.7, §6.1, §6.2).

import { StanzaError } from "../../core/errors.ts";
import type { BareJid, Jid } from "../../core/jid.ts";
import { attr, type Markup, xml } from "../../core/xml/markup.ts";
import { isPending, requireAccess } from "./access.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { pubsubError, unsupported } from "./errors.ts";
import { Delivery, delayOf, eventOf, itemEvent, tellOwners } from "./event.ts";
import { NS_PUBSUB } from "./form.ts";
import { authorizationRequest } from "./manage.ts";
import type { PubsubNode, Subscription, SubscriptionState } from "./model.ts";
import { optionsOf } from "./options.ts";
import type { Request } from "./request.ts";
import { subscriptionEvent, subscriptionMarkup } from "./state.ts";

type Of<K extends Request["kind"]> = Request & { kind: K };

/** §6.1 */
export function subscribe(engine: PubsubEngine, asker: Asker, request: Of<"subscribe">): Promise<Markup> {
  const { jid } = request;
  const who = asker.from.bare;
  return engine.nodes.turn(asker.service, request.node, async (node) => {
    if (node === undefined) throw engine.profile.missing(asker.service, who, false);
    // §6.1.3.1: for oneself, or for one's own resource.
    if (jid.bare.text !== who.text) throw pubsubError("invalid-jid");
    if (!node.config.subscribe && engine.affiliation(node, who) !== "owner") throw unsupported("subscribe");
    await requireAccess(engine, node, who);
    const wanted = request.options !== undefined && request.options.size > 0 ? request.options : undefined;
    if (wanted !== undefined && !engine.profile.subscriptionOptions) throw unsupported("subscription-options");
    const [known] = node.subscriptions.get(jid.text) ?? [];
    if (known?.state === "subscribed") {
      if (wanted === undefined) return answer(node, known);
      const changed = { ...known, options: optionsOf(known.options, wanted, engine.server.now()) };
      await engine.nodes.putSubscription(node, changed);
      return answer(node, changed);
    }
    if (isPending(node, who)) throw pubsubError("pending-subscription");
    const options = wanted && optionsOf(undefined, wanted, engine.server.now());
    const state = stateOfNew(engine, node, who);
    const subscription: Subscription = { jid, state, subid: engine.newSubid(), options };
    if (node.subscriptions.size >= engine.profile.limits.subscriptionsPerNode) throw engine.tooMany();
    await engine.nodes.putSubscription(node, subscription);
    if (subscription.state === "pending") {
      tellOwners(engine, node, authorizationRequest(node, subscription));
    } else {
      told(engine, node, jid, "subscribed");
      if (node.config.send_last_published_item !== "never") await sendLast(engine, node, jid);
    }
    return answer(node, subscription);
  });
}

const answer = (node: PubsubNode, { jid, state, subid }: Subscription): Markup =>
  xml`<pubsub xmlns='${NS_PUBSUB}'>${subscriptionMarkup(node.name, jid, state, subid)}</pubsub>`;

/** §4.5: under `authorize` an owner has to agree, to those who are neither owner, publisher nor member. */
function stateOfNew(engine: PubsubEngine, node: PubsubNode, who: BareJid): "subscribed" | "pending" {
  return node.config.access_model === "authorize" && engine.affiliation(node, who) === "none"
    ? "pending"
    : "subscribed";
}

/** Tells the owners of a subscriber that came or went, where the node is configured to (`notify_sub`). */
export function told(engine: PubsubEngine, node: PubsubNode, jid: Jid, state: SubscriptionState): void {
  if (node.config.notify_sub) tellOwners(engine, node, subscriptionEvent(node, jid, state));
}

/** Sends the newest item of a node to a new subscriber (§6.1.7), who is answered before. */
async function sendLast(engine: PubsubEngine, node: PubsubNode, jid: Jid): Promise<void> {
  const item = await engine.lastItem(node);
  if (item === undefined) return;
  const event = eventOf(node, itemEvent(engine, node, item), delayOf(item));
  // When the promises that the answer hangs on have been kept.
  setImmediate(() => new Delivery(engine, event, false).toSubscriber(jid, true));
}

/** §6.2 */
export function unsubscribe(engine: PubsubEngine, asker: Asker, request: Of<"unsubscribe">): Promise<void> {
  const { jid, subid } = request;
  const who = asker.from.bare;
  return engine.nodes.turn(asker.service, request.node, async (node) => {
    if (node === undefined) throw engine.profile.missing(asker.service, who, false);
    if (jid.bare.text !== who.text) throw new StanzaError("forbidden");
    const known = node.subscriptions.get(jid.text) ?? [];
    if (known.length === 0) throw pubsubError("not-subscribed");
    if (subid === undefined && known.length > 1) throw pubsubError("subid-required");
    const gone = subid === undefined ? known : known.filter((s) => s.subid === subid);
    if (gone.length === 0) throw pubsubError("invalid-subid");
    await engine.nodes.dropSubscriptions(node, gone);
    told(engine, node, jid, "none");
  });
}

/** §5.6: one's own, all of them or those at one node. */
export async function subscriptions(
  engine: PubsubEngine,
  { service, from }: Asker,
  { node }: Of<"subscriptions">,
): Promise<Markup> {
  const all = await engine.store.subscriptionsOf(service, from.bare);
  const some = node === undefined ? all : all.filter((s) => s.node === node);
  const inside = some.map(({ node: name, subscription: { jid, state, subid } }) =>
    subscriptionMarkup(name, jid, state, subid),
  );
  return xml`<pubsub xmlns='${NS_PUBSUB}'><subscriptions${attr("node", node)}>${inside}</subscriptions></pubsub>`;
}

/** Nodes of an account that are looked at for its own affiliations. */
const MAX_OWN = 1000;

/** §5.7 */
export async function affiliations(
  engine: PubsubEngine,
  { service, from }: Asker,
  { node }: Of<"affiliations">,
): Promise<Markup> {
  const implied = engine.profile.impliedAffiliation(service, from.bare);
  const all =
    implied === undefined
      ? await engine.store.affiliationsOf(service, from.bare)
      : (await engine.store.nodes(service, "", MAX_OWN)).map(({ name }) => ({ node: name, affiliation: implied }));
  const some = node === undefined ? all : all.filter((a) => a.node === node);
  const inside = some.map((a) => xml`<affiliation affiliation='${a.affiliation}' node='${a.node}'/>`);
  return xml`<pubsub xmlns='${NS_PUBSUB}'><affiliations${attr("node", node)}>${inside}</affiliations></pubsub>`;
}
