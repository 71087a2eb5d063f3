// Push nodes: what is published to them is no item, but a notification (XEP-0357 §7) for a push service to hand on.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import { NS_DATA } from "../../core/ns.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { requirePublisher } from "../pubsub/access.ts";
import type { Asker } from "../pubsub/engine.ts";
import { NS_ERRORS, pubsubError } from "../pubsub/errors.ts";
import { type FormValues, NS_PUBSUB } from "../pubsub/form.ts";
import type { PubsubNode } from "../pubsub/model.ts";
import type { Request } from "../pubsub/request.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./tree.ts";

const NS_PUSH = "urn:xmpp:push:0";

/** What became of a notification; "untaken" when no push service was there for it. */
export type PushResult = "untaken" | "ok" | "device_not_registered" | "failed";

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** A notification for a device: the forms of the payload, and the options of the publisher, by field. */
    push_notifications: {
      acc: PushResult;
      params: { forms: readonly ReadonlyMap<string, string>[]; options: ReadonlyMap<string, string> };
    };
  }
}

/** The push node that a request publishes to. */
export async function pushNode(engine: Engine, asker: Asker, request: Request): Promise<PubsubNode | undefined> {
  if (request.kind !== "publish") return undefined;
  const node = await engine.nodes.get(asker.service, request.node);
  return node?.kind === "push" ? node : undefined;
}

/** Hands a notification on. @throws StanzaError */
export async function push(
  engine: Engine,
  ctx: Context,
  asker: Asker,
  node: PubsubNode,
  { item, options }: Request & { kind: "publish" },
): Promise<Markup> {
  requirePublisher(engine, node, asker.from.bare);
  if (options === undefined || !options.has("device_id") || !options.has("service")) {
    throw pubsubError("precondition-not-met", "device_id and service are wanted");
  }
  if (!item?.payload?.is("notification", NS_PUSH)) throw new StanzaError("bad-request", "A notification is wanted");
  const params = { forms: formsOf(item.payload), options: firsts(options) };
  const result = await ctx.host.hooks.fold("push_notifications", "untaken", params);
  if (result === "untaken") ctx.log.limited("push", 60)?.warning("push_without_service", { node: node.name });
  if (result === "device_not_registered") {
    throw new StanzaError("not-acceptable", undefined, "cancel", `<device-not-registered xmlns='${NS_ERRORS}'/>`);
  }
  if (result === "failed") {
    throw new StanzaError(
      "bad-request",
      undefined,
      undefined,
      `<failed-to-submit-push-notification xmlns='${NS_ERRORS}'/>`,
    );
  }
  const id = item.id ?? engine.server.token(8);
  return xml`<pubsub xmlns='${NS_PUBSUB}'><publish node='${node.name}'><item id='${id}'/></publish></pubsub>`;
}

const firsts = (values: FormValues): ReadonlyMap<string, string> =>
  new Map([...values].map(([name, [first = ""]]) => [name, first]));

function formsOf(notification: Element): ReadonlyMap<string, string>[] {
  return notification.getChildren("x", NS_DATA).map((x) => {
    const fields = x.getChildren("field", NS_DATA);
    return new Map(fields.map((f) => [f.attrs["var"] ?? "", f.getChildText("value", NS_DATA) ?? ""]));
  });
}
