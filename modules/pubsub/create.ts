// Nodes: made, configured, emptied, deleted (XEP-0060 §8.1 to §8.5).

import { StanzaError } from "../../core/errors.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { ownedNode, requireOwner } from "./access.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { pubsubError } from "./errors.ts";
import { broadcast, eventOf, nodeEvent } from "./event.ts";
import { configForm, configured, resultForm } from "./fields.ts";
import { NS_PUBSUB } from "./form.ts";
import type { Affiliation, NewNode, NodeConfig, PubsubNode } from "./model.ts";
import { NS_OWNER, type Request } from "./request.ts";

type Of<K extends Request["kind"]> = Request & { kind: K };

export async function create(engine: PubsubEngine, asker: Asker, request: Of<"create">): Promise<Markup> {
  const { node, config } = request;
  const { profile } = engine;
  if (node === undefined && !profile.instantNodes) throw pubsubError("nodeid-required", undefined, "not-acceptable");
  if (!(await profile.mayCreate(asker.service, asker.from.bare, node ?? ""))) throw new StanzaError("forbidden");
  const name = node ?? engine.server.token(12);
  const kind = profile.kindOf?.(asker.service, request.type, name);
  const defaults = profile.defaults(asker.service, kind);
  const full = config === undefined ? defaults : configured(defaults, config, profile.limits);
  if ((await makeNode(engine, asker, name, full, kind)) === undefined) throw new StanzaError("conflict");
  return xml`<pubsub xmlns='${NS_PUBSUB}'><create node='${name}'/></pubsub>`;
}

/**
 * Makes a node that the asker owns; undefined when there is one of that name. The asker may make nodes.
 * @throws StanzaError not-acceptable for a name that is too long, policy-violation when there are too many nodes
 */
export async function makeNode(
  engine: PubsubEngine,
  { service, from }: Asker,
  name: string,
  config: NodeConfig,
  kind = engine.profile.kindOf?.(service, undefined, name),
): Promise<PubsubNode | undefined> {
  const { limits } = engine.profile;
  if (name.length > limits.nodeName) {
    throw new StanzaError("not-acceptable", `A node's name has at most ${limits.nodeName} characters`);
  }
  const make = async (there: PubsubNode | undefined): Promise<PubsubNode | undefined> => {
    if (there !== undefined) return undefined;
    if (limits.nodes < Infinity && (await engine.store.countNodes(service)) >= limits.nodes) {
      throw pubsubError("max-nodes-exceeded", `There can be at most ${limits.nodes} nodes`);
    }
    const { profile } = engine;
    const owner = profile.impliedAffiliation(service, from.bare) === "owner" ? [] : [from.bare.text];
    const affiliations = new Map(owner.map((jid): [string, Affiliation] => [jid, "owner"]));
    const node: NewNode = { service, name, config, affiliations, ...(kind !== undefined && { kind }) };
    await profile.checkNode?.(node, from.bare, undefined);
    const made = await engine.nodes.create(node);
    if (made !== undefined) await profile.created?.(made);
    return made;
  };
  return engine.makers.take(`${service.text}\n${from.bare.text}`, () => engine.nodes.turn(service, name, make));
}

/** §8.2 */
export async function configuration(engine: PubsubEngine, asker: Asker, req: Of<"configuration">): Promise<Markup> {
  const node = await ownedNode(engine, asker, req.node);
  const form = configForm(node.config, engine.profile.limits);
  return xml`<pubsub xmlns='${NS_OWNER}'><configure node='${node.name}'>${form}</configure></pubsub>`;
}

export function configure(engine: PubsubEngine, asker: Asker, { node: name, config }: Of<"configure">): Promise<void> {
  return engine.nodes.turn(asker.service, name, async (found) => {
    const node = requireOwner(engine, asker, found);
    if (config === undefined) return;
    const next = configured(node.config, config, engine.profile.limits);
    const before = node.config;
    await engine.profile.checkNode?.({ ...node, config: next }, asker.from.bare, node);
    await engine.nodes.configure(node, next);
    await engine.profile.configured?.(node, before);
    const keep = engine.keep(node);
    if (keep.newest < Infinity || keep.since > 0) await engine.store.trim(node, keep);
    if (!next.notify_config) return;
    // §8.2.5.2: the new configuration where payloads are delivered, the bare news elsewhere.
    const form = next.deliver_payloads ? resultForm(next, engine.profile.limits, "node_config") : undefined;
    await broadcast(engine, node, nodeEvent(node, xml`<configuration node='${name}'>${form}</configuration>`));
  });
}

/** §8.3 */
export function defaultConfiguration(engine: PubsubEngine, asker: Asker): Markup {
  const { profile } = engine;
  // What the defaults are is nothing that others need to know of an account.
  if (profile.impliedAffiliation(asker.service, asker.service) === "owner") {
    if (profile.impliedAffiliation(asker.service, asker.from.bare) !== "owner") throw new StanzaError("forbidden");
  }
  const form = configForm(profile.defaults(asker.service), profile.limits);
  return xml`<pubsub xmlns='${NS_OWNER}'><default>${form}</default></pubsub>`;
}

/** §8.4 */
export async function deleteNode(engine: PubsubEngine, asker: Asker, request: Of<"delete">): Promise<void> {
  const { node: name, redirect } = request;
  const gone = await engine.nodes.turn(asker.service, name, async (found) => {
    const node = requireOwner(engine, asker, found);
    await engine.nodes.remove(node);
    return node;
  });
  await engine.profile.removed?.(gone);
  if (!gone.config.notify_delete) return;
  const inside = redirect === undefined ? undefined : xml`<redirect uri='${redirect}'/>`;
  await broadcast(engine, gone, nodeEvent(gone, xml`<delete node='${name}'>${inside}</delete>`));
}

/** §8.5 */
export async function purge(engine: PubsubEngine, asker: Asker, { node: name }: Of<"purge">): Promise<void> {
  const node = await ownedNode(engine, asker, name);
  const event = eventOf(node, xml`<purge node='${name}'/>`);
  await engine.change(
    node,
    () => engine.store.purge(node),
    () => broadcast(engine, node, event),
  );
  await engine.profile.purged?.(node);
}
