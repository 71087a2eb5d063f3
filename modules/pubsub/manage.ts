// What owners do about those who have to do with their nodes (XEP-0060 §8.6, §8.8, §8.9).

import { StanzaError } from "../../core/errors.ts";
import { type Jid, tryParseJid } from "../../core/jid.ts";
import { NS_DATA } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { attr, type Markup, xml } from "../../core/xml/markup.ts";
import { ownedNode, requireOwner } from "./access.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { pubsubError } from "./errors.ts";
import { Delivery, type Event, ownersOf } from "./event.ts";
import { booleanOf, NS_PUBSUB, parseForm } from "./form.ts";
import type { Affiliation, PubsubNode, Subscription } from "./model.ts";
import { NS_OWNER, type Request, type SubscriptionChange } from "./request.ts";
import { subscriptionEvent } from "./state.ts";

type Of<K extends Request["kind"]> = Request & { kind: K };

// --- Affiliations --------------------------------------------------------------------------------------------------------

export async function nodeAffiliations(
  engine: PubsubEngine,
  asker: Asker,
  request: Of<"node affiliations">,
): Promise<Markup> {
  const node = await ownedNode(engine, asker, request.node);
  const all = new Map(node.affiliations);
  for (const owner of ownersOf(engine, node)) all.set(owner.text, "owner");
  const inside = [...all].map(([jid, what]) => xml`<affiliation affiliation='${what}' jid='${jid}'/>`);
  return xml`<pubsub xmlns='${NS_OWNER}'><affiliations node='${node.name}'>${inside}</affiliations></pubsub>`;
}

/** Changes all or nothing; a node keeps an owner (§8.9.2.4). */
export function setAffiliations(engine: PubsubEngine, asker: Asker, request: Of<"set affiliations">): Promise<void> {
  return engine.nodes.turn(asker.service, request.node, async (found) => {
    const node = requireOwner(engine, asker, found);
    const changes = new Map<string, Affiliation>();
    for (const { jid, affiliation } of request.changes) {
      const implied = engine.profile.impliedAffiliation(node.service, jid.bare);
      if (implied !== undefined && implied !== affiliation) throw new StanzaError("not-acceptable");
      if (implied === undefined) changes.set(jid.bare.text, affiliation);
    }
    const after = new Map([...node.affiliations, ...changes]);
    const kept = [...after.values()].filter((what) => what !== "none");
    const implied = engine.profile.impliedAffiliation(node.service, node.service) === "owner";
    if (!implied && !kept.includes("owner")) throw keepsOwner(node, changes);
    if (kept.length > engine.profile.limits.affiliationsPerNode) throw new StanzaError("resource-constraint");
    await engine.nodes.setAffiliations(node, changes);
    await dropShutOut(engine, node, changes);
  });
}

/** §8.9.2.4: an error that tells the affiliations as they stay. */
function keepsOwner(node: PubsubNode, changes: ReadonlyMap<string, Affiliation>): StanzaError {
  const stay = [...changes.keys()].map((jid) => {
    const affiliation = node.affiliations.get(jid) ?? "none";
    return xml`<affiliation affiliation='${affiliation}' jid='${jid}'/>`;
  });
  const payload = xml`<pubsub xmlns='${NS_OWNER}'><affiliations node='${node.name}'>${stay}</affiliations></pubsub>`;
  return new StanzaError("not-acceptable", "A node has an owner", undefined, undefined, payload.text);
}

/** Who may no longer read a node has no subscription there any more (§8.9.2.4, §12.15). */
async function dropShutOut(
  engine: PubsubEngine,
  node: PubsubNode,
  changes: ReadonlyMap<string, Affiliation>,
): Promise<void> {
  const closed = node.config.access_model === "whitelist";
  const out = [...node.subscriptions.values()].flat().filter(({ jid }) => {
    const now = changes.get(jid.bare.text);
    return now === "outcast" || now === "publish-only" || (closed && now === "none");
  });
  await engine.nodes.dropSubscriptions(node, out);
  for (const { jid } of out) tell(engine, subscriptionEvent(node, jid, "none"), jid);
}

// --- Subscriptions -------------------------------------------------------------------------------------------------------

export async function nodeSubscriptions(
  engine: PubsubEngine,
  asker: Asker,
  request: Of<"node subscriptions">,
): Promise<Markup> {
  const node = await ownedNode(engine, asker, request.node);
  const inside = [...node.subscriptions.values()].flat().map(({ jid, state, subid }) => {
    const id = attr("subid", subid === "" ? undefined : subid);
    return xml`<subscription jid='${jid.text}'${id} subscription='${state}'/>`;
  });
  return xml`<pubsub xmlns='${NS_OWNER}'><subscriptions node='${node.name}'>${inside}</subscriptions></pubsub>`;
}

export function setSubscriptions(engine: PubsubEngine, asker: Asker, request: Of<"set subscriptions">): Promise<void> {
  return engine.nodes.turn(asker.service, request.node, async (found) => {
    const node = requireOwner(engine, asker, found);
    for (const change of request.changes) checkChange(node, change);
    checkRoom(engine, node, request.changes);
    for (const change of request.changes) await changeSubscription(engine, node, change);
  });
}

/** Nothing is changed when one of the changes cannot be made. */
function checkChange(node: PubsubNode, { jid, state, subid }: SubscriptionChange): void {
  const known = node.subscriptions.get(jid.text) ?? [];
  if (subid !== undefined && !known.some((s) => s.subid === subid)) throw pubsubError("invalid-subid");
  // Owners let in and put out; waiting is what subscribers do.
  if (state === "pending" || state === "unconfigured") throw new StanzaError("not-acceptable");
}

/** There is room for all that are let in, without what those leave who are put out by the same request. */
function checkRoom(engine: PubsubEngine, node: PubsubNode, changes: readonly SubscriptionChange[]): void {
  const fresh = new Set<string>();
  for (const { jid, state } of changes) {
    if (state === "subscribed" && !node.subscriptions.has(jid.text)) fresh.add(jid.text);
  }
  const room = engine.profile.limits.subscriptionsPerNode - node.subscriptions.size;
  if (fresh.size > 0 && fresh.size > room) throw engine.tooMany();
}

async function changeSubscription(engine: PubsubEngine, node: PubsubNode, change: SubscriptionChange): Promise<void> {
  const { jid, subid } = change;
  const known = node.subscriptions.get(jid.text) ?? [];
  const meant = subid === undefined ? known : known.filter((s) => s.subid === subid);
  if (change.state === "none") {
    if (meant.length === 0) return;
    await engine.nodes.dropSubscriptions(node, meant);
    return tell(engine, subscriptionEvent(node, jid, "none"), jid);
  }
  const fresh: Subscription = { jid, state: "subscribed", subid: engine.newSubid(), options: undefined };
  const next = meant.length === 0 ? [fresh] : meant.filter((s) => s.state !== "subscribed");
  for (const subscription of next) await engine.nodes.putSubscription(node, { ...subscription, state: "subscribed" });
  if (next.length > 0) tell(engine, subscriptionEvent(node, jid, "subscribed"), jid);
}

function tell(engine: PubsubEngine, event: Event, jid: Jid): void {
  new Delivery(engine, event, false).toSubscriber(jid, false);
}

// --- Requests that wait for an owner ---------------------------------------------------------------------------------------

/** §8.6: the form by which an owner is asked. */
export function authorizationRequest(node: PubsubNode, { jid, subid }: Subscription): Event {
  const id = subid === "" ? undefined : xml`<field type='hidden' var='pubsub#subid'><value>${subid}</value></field>`;
  const content = xml`<x type='form' xmlns='${NS_DATA}'><title>Request for a subscription</title><field type='hidden' var='FORM_TYPE'><value>${NS_PUBSUB}#subscribe_authorization</value></field>${id}<field label='Node' type='text-single' var='pubsub#node'><value>${node.name}</value></field><field label='Subscriber' type='jid-single' var='pubsub#subscriber_jid'><value>${jid.text}</value></field><field label='Let them subscribe' type='boolean' var='pubsub#allow'><value>false</value></field></x>`;
  return { service: node.service, type: "normal", content };
}

/**
 * An owner's message with that form filled in. Resolves to false when the message has no such form.
 * @throws StanzaError bad-request, forbidden
 */
export async function processAuthorization(engine: PubsubEngine, asker: Asker, message: Stanza): Promise<boolean> {
  const x = message.child("x", NS_DATA);
  const type = x?.getChildren("field", NS_DATA).find((f) => f.attrs["var"] === "FORM_TYPE");
  if (x === undefined || type?.getChildText("value", NS_DATA) !== `${NS_PUBSUB}#subscribe_authorization`) return false;
  const values = parseForm(x, "subscribe_authorization");
  if (values === undefined) return true; // cancelled: the request goes on waiting
  const name = values.get("pubsub#node")?.[0];
  const jid = tryParseJid(values.get("pubsub#subscriber_jid")?.[0] ?? "");
  const allow = booleanOf(values.get("pubsub#allow")?.[0]);
  if (name === undefined || jid === undefined || allow === undefined) throw new StanzaError("bad-request");
  const subid = values.get("pubsub#subid")?.[0];
  await engine.nodes.turn(asker.service, name, async (found) => {
    const node = requireOwner(engine, asker, found);
    const waiting = (node.subscriptions.get(jid.text) ?? []).filter((s) => s.state === "pending");
    const meant = subid === undefined ? waiting : waiting.filter((s) => s.subid === subid);
    for (const s of meant) {
      await changeSubscription(engine, node, { jid, subid: s.subid, state: allow ? "subscribed" : "none" });
    }
  });
  return true;
}
