// What the server itself publishes for an account: what it converts from one form to another.

import type { BareJid } from "../../core/jid.ts";
import type { Markup } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { makeNode } from "../pubsub/create.ts";
import type { NodeConfig, PubsubNode } from "../pubsub/model.ts";
import { publishItem } from "../pubsub/publish.ts";
import type { Pep } from "./profile.ts";

/** A node of an account, made with this configuration over the default one when it is not there. */
export async function ownNode(
  engine: Pep,
  account: BareJid,
  name: string,
  config: Partial<NodeConfig>,
): Promise<PubsubNode | undefined> {
  const there = await engine.nodes.get(account, name);
  if (there !== undefined) return there;
  const asker = { service: account, from: account, session: undefined };
  const made = await makeNode(engine, asker, name, { ...engine.profile.defaults(account), ...config });
  return made ?? engine.nodes.get(account, name);
}

export async function publishOwn(engine: Pep, node: PubsubNode, id: string, payload: Markup): Promise<void> {
  await publishItem(engine, node, node.service, { id, payload: parseElement(payload.text) }, true);
}
