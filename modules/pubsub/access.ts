// Who may do what (XEP-0060 §4.1, §4.5, §6.1.3, §6.5.9, §7.1.3).

import { contactInfo, subscriptionLists } from "../../core/contacts.ts";
import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { HostType } from "../../core/module.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { pubsubError } from "./errors.ts";
import type { Affiliation, PubsubNode } from "./model.ts";

/** Whether a contact receives the presence of an account. At once when the account is connected. */
export function seesPresence(host: HostType, account: BareJid, contact: BareJid): MaybePromise<boolean> {
  const lists = subscriptionLists(host, account);
  if (lists instanceof Promise) return lists.then(({ from }) => from.includes(contact.text));
  return lists.from.includes(contact.text);
}

/** Whether an account has a contact in one of these groups of its roster. */
export async function inGroups(
  host: HostType,
  account: BareJid,
  contact: BareJid,
  groups: readonly string[],
): Promise<boolean> {
  const info = await contactInfo(host, account, contact);
  return info.groups.some((group) => groups.includes(group));
}

/** A node for something that only an owner may do. */
export function ownedNode(engine: PubsubEngine, asker: Asker, name: string): MaybePromise<PubsubNode> {
  const node = engine.nodes.get(asker.service, name);
  return node instanceof Promise
    ? node.then((found) => requireOwner(engine, asker, found))
    : requireOwner(engine, asker, node);
}

/** @throws StanzaError forbidden, or what the profile says of a node that is not there */
export function requireOwner(engine: PubsubEngine, asker: Asker, node: PubsubNode | undefined): PubsubNode {
  const who = asker.from.bare;
  if (node === undefined) throw engine.profile.missing(asker.service, who, true);
  if (engine.affiliation(node, who) !== "owner") throw new StanzaError("forbidden");
  return node;
}

/** A node for what not only owners do. @throws StanzaError when there is none of that name */
export async function anyNode(engine: PubsubEngine, asker: Asker, name: string): Promise<PubsubNode> {
  const node = await engine.nodes.get(asker.service, name);
  if (node === undefined) throw engine.profile.missing(asker.service, asker.from.bare, false);
  return node;
}

/** Those whom no access model keeps out. */
const trusted = (affiliation: Affiliation): boolean =>
  affiliation === "owner" || affiliation === "publisher" || affiliation === "member";

const isSubscribed = (node: PubsubNode, who: BareJid): boolean => stateOf(node, who, "subscribed");
export const isPending = (node: PubsubNode, who: BareJid): boolean => stateOf(node, who, "pending");

function stateOf(node: PubsubNode, who: BareJid, state: "subscribed" | "pending"): boolean {
  for (const subscriptions of node.subscriptions.values()) {
    for (const s of subscriptions) if (s.state === state && s.jid.bare.text === who.text) return true;
  }
  return false;
}

/**
 * Lets those pass who may subscribe to a node and read it. Under `authorize` everybody may ask for a subscription, and
 * reading takes one: that is the caller's to see to.
 * @throws StanzaError with the condition of §6.1.3 and §6.5.9
 */
export function requireAccess(engine: PubsubEngine, node: PubsubNode, who: BareJid): MaybePromise<void> {
  const affiliation = engine.affiliation(node, who);
  if (affiliation === "outcast" || affiliation === "publish-only") throw new StanzaError("forbidden");
  if (trusted(affiliation)) return;
  const { config } = node;
  switch (config.access_model) {
    case "whitelist":
      throw pubsubError("closed-node");
    case "presence":
      return anyOwner(engine, node, (owner) => seesPresence(engine.host, owner, who), "presence-subscription-required");
    case "roster":
      return anyOwner(
        engine,
        node,
        (owner) => inGroups(engine.host, owner, who, config.roster_groups_allowed),
        "not-in-roster-group",
      );
    default:
  }
}

function anyOwner(
  engine: PubsubEngine,
  node: PubsubNode,
  test: (owner: BareJid) => MaybePromise<boolean>,
  otherwise: "presence-subscription-required" | "not-in-roster-group",
): MaybePromise<void> {
  const owners = engine.profile.rosterOwners(node);
  if (owners.length === 1) {
    const passes = test(owners[0]);
    if (passes === true) return;
    if (passes === false) throw pubsubError(otherwise);
  }
  return Promise.all(owners.map(test)).then((passes) => {
    if (!passes.includes(true)) throw pubsubError(otherwise);
  });
}

/** As `requireAccess`, for reading (§6.5.9). */
export function requireReader(engine: PubsubEngine, node: PubsubNode, who: BareJid): MaybePromise<void> {
  const done = requireAccess(engine, node, who);
  if (node.config.access_model !== "authorize" || trusted(engine.affiliation(node, who))) return done;
  if (!isSubscribed(node, who)) throw pubsubError("not-subscribed", undefined, "not-authorized");
}

/** @throws StanzaError forbidden (§7.1.3.1) */
export function requirePublisher(engine: PubsubEngine, node: PubsubNode, who: BareJid): void {
  const affiliation = engine.affiliation(node, who);
  if (affiliation === "owner" || affiliation === "publisher" || affiliation === "publish-only") return;
  if (affiliation !== "outcast") {
    if (node.config.publish_model === "open") return;
    if (node.config.publish_model === "subscribers" && isSubscribed(node, who)) return;
  }
  throw new StanzaError("forbidden");
}

/** Whether a requirement lets somebody pass; its refusal is no error here. */
export async function allows(requirement: () => MaybePromise<void>): Promise<boolean> {
  try {
    await requirement();
    return true;
  } catch (error) {
    if (error instanceof StanzaError) return false;
    throw error;
  }
}
