// The few nodes that have something to do when users come and go: known without asking the database at each log-in.

import type { BareJid } from "../../core/jid.ts";
import type { PubsubNode } from "../pubsub/model.ts";

/** What a node can be watched for. */
export type Reason = "purge_offline" | "last_on_presence";
export interface Watched {
  readonly service: string;
  readonly node: string;
}

const keyOf = (service: string, node: string): string => `${service}\n${node}`;

/** Nodes by what they are watched for. */
export class Watchlist {
  private readonly nodes: Readonly<Record<Reason, Map<string, Watched>>> = {
    purge_offline: new Map(),
    last_on_presence: new Map(),
  };

  /** Whether any node is watched for this. */
  any(reason: Reason): boolean {
    return this.nodes[reason].size > 0;
  }

  of(reason: Reason): Iterable<Watched> {
    return this.nodes[reason].values();
  }

  has(reason: Reason, service: BareJid, node: string): boolean {
    return this.nodes[reason].has(keyOf(service.text, node));
  }

  add(reason: Reason, watched: Watched): void {
    this.nodes[reason].set(keyOf(watched.service, watched.node), watched);
  }

  /** A node was made or configured. */
  look({ service, name, config }: PubsubNode): void {
    this.set("purge_offline", service, name, config.purge_offline);
    // With personal eventing that is the rule, and goes by presence itself.
    const last = service.isDomain && config.send_last_published_item === "on_sub_and_presence";
    this.set("last_on_presence", service, name, last);
  }

  forget({ service, name }: PubsubNode): void {
    this.set("purge_offline", service, name, false);
    this.set("last_on_presence", service, name, false);
  }

  private set(reason: Reason, service: BareJid, node: string, on: boolean): void {
    if (on) this.add(reason, { service: service.text, node });
    else this.nodes[reason].delete(keyOf(service.text, node));
  }
}
