// Nodes whose items go when their publisher does (`purge_offline`).

import type { BareJid } from "../../core/jid.ts";
import type { PubsubEngine } from "./engine.ts";
import { broadcast, eventOf, retractEvent } from "./event.ts";
import type { PubsubNode } from "./model.ts";

/** Nodes that one publisher has published to and that are to be looked at when he goes. */
const MAX_NODES = 100;

/** Who has published what is to go with him. */
export class FleetingItems {
  readonly #nodes = new Map<string, Map<string, Pick<PubsubNode, "service" | "name">>>();

  remember({ service, name }: PubsubNode, publisher: BareJid): void {
    const nodes = this.#nodes.get(publisher.text) ?? new Map();
    this.#nodes.set(publisher.text, nodes);
    if (nodes.size < MAX_NODES) nodes.set(`${service.text}\n${name}`, { service, name });
  }

  /** The nodes of a publisher, whom it forgets. */
  take(publisher: BareJid): readonly Pick<PubsubNode, "service" | "name">[] {
    const nodes = this.#nodes.get(publisher.text);
    this.#nodes.delete(publisher.text);
    return nodes === undefined ? [] : [...nodes.values()];
  }
}

/** The last available session of an account is gone. */
export async function publisherGone(engine: PubsubEngine, publisher: BareJid): Promise<void> {
  for (const { service, name } of engine.fleeting.take(publisher)) {
    const node = await engine.nodes.get(service, name);
    if (node === undefined || !node.config.purge_offline) continue;
    const purged = await engine.change(
      node,
      () => engine.store.purgePublisher(node, publisher),
      (ids) => {
        if (ids.length > 0 && node.config.notify_retract) {
          return broadcast(engine, node, eventOf(node, retractEvent(node, ids)));
        }
      },
    );
    for (const id of purged) await engine.profile.retracted?.(node, id);
  }
}
