// The kinds of nodes that MongooseIM calls plugins: what they are configured to by default, and where they may be.

import { type NodeConfig, PLAIN_CONFIG } from "../pubsub/model.ts";

export const PLUGINS = ["dag", "flat", "hometree", "pep", "push"] as const;
export type Plugin = (typeof PLUGINS)[number];

const FLAT: NodeConfig = {
  ...PLAIN_CONFIG,
  access_model: "open",
  max_items: 10,
  max_payload_size: 60_000,
  presence_based_delivery: false,
  notify_delete: false,
  send_last_published_item: "never",
};
const PEP: NodeConfig = {
  ...FLAT,
  access_model: "presence",
  max_items: 1,
  presence_based_delivery: true,
  send_last_published_item: "on_sub_and_presence",
};
const PUSH: NodeConfig = {
  ...PEP,
  access_model: "whitelist",
  publish_model: "open",
  persist_items: false,
};

/** The configuration of a new node of a kind; an unknown kind (of a plugin of somebody's own) is flat. */
export function nodeDefaults(kind: string): NodeConfig {
  return kind === "pep" ? PEP : kind === "push" ? PUSH : FLAT;
}

/** The home of a user among hometree nodes: /home/<domain>/<user>. */
export const homeOf = (local: string, domain: string): string => `/home/${domain}/${local}`;

/** The node above a path; undefined for a home and for what is no path. */
export function pathParent(name: string): string | undefined {
  const parts = name.split("/");
  return parts.length > 4 && parts[0] === "" ? parts.slice(0, -1).join("/") : undefined;
}
