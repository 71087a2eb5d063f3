// The few nodes of a service that have something for their subscribers at each log-in: known without asking the database.

import type { BareJid } from "../../core/jid.ts";
import type { PubsubNode } from "../pubsub/model.ts";

/** Nodes with `send_last_published_item` = on_sub_and_presence, by service. */
export class Watchlist {
  private readonly nodes = new Map<string, Set<string>>();

  /** Whether there is one at all: hardly ever. */
  get any(): boolean {
    return this.nodes.size > 0;
  }

  /** Domains of services that have such nodes. */
  services(): Iterable<string> {
    return this.nodes.keys();
  }

  has(service: BareJid, node: string): boolean {
    return this.nodes.get(service.text)?.has(node) === true;
  }

  add(service: string, node: string): void {
    const there = this.nodes.get(service);
    if (there === undefined) this.nodes.set(service, new Set([node]));
    else there.add(node);
  }

  /** A node was made or configured. With personal eventing last items go by presence itself. */
  look(node: PubsubNode): void {
    if (node.config.send_last_published_item !== "on_sub_and_presence") this.forget(node);
    else if (node.service.isDomain) this.add(node.service.text, node.name);
  }

  forget({ service, name }: PubsubNode): void {
    const there = this.nodes.get(service.text);
    if (there?.delete(name) && there.size === 0) this.nodes.delete(service.text);
  }
}
