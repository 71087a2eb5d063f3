// What the service is asked for on its own domain, and the messages that it gets.

import { StanzaError } from "../../core/errors.ts";
import type { Iq, MaybePromise } from "../../core/module.ts";
import { NS_COMMANDS, NS_DISCO_INFO, NS_DISCO_ITEMS } from "../../core/ns.ts";
import { MESSAGE, type Stanza } from "../../core/stanza.ts";
import type { Markup } from "../../core/xml/markup.ts";
import { answer } from "../pubsub/answer.ts";
import type { Asker } from "../pubsub/engine.ts";
import { NS_PUBSUB } from "../pubsub/form.ts";
import { processAuthorization } from "../pubsub/manage.ts";
import { pendingCommand } from "../pubsub/pending.ts";
import { NS_OWNER, parseRequest } from "../pubsub/request.ts";
import type { Context } from "./context.ts";
import { serviceInfo, serviceItems } from "./disco.ts";
import { counted } from "./metrics.ts";
import { push, pushNode } from "./push.ts";
import type { Engine } from "./tree.ts";

/** Answers a request; throws StanzaError. */
export function answerService(engine: Engine, ctx: Context, iq: Iq): MaybePromise<Markup | undefined> {
  // The service is its domain: it has no users and no resources.
  if (!iq.to.isDomain) throw new StanzaError("item-not-found");
  switch (`${iq.type} ${iq.stanza.kidNs(0)}`) {
    case `get ${NS_DISCO_INFO}`:
      return serviceInfo(engine, ctx, iq);
    case `get ${NS_DISCO_ITEMS}`:
      return serviceItems(engine, ctx, iq);
    case `set ${NS_COMMANDS}`:
      return pendingCommand(engine, iq, ({ service, from }) => ctx.store.pendingOf(service, from.bare));
    case `get ${NS_PUBSUB}`:
    case `set ${NS_PUBSUB}`:
    case `get ${NS_OWNER}`:
    case `set ${NS_OWNER}`:
      return answerPubsub(engine, ctx, iq);
    default:
      throw new StanzaError("service-unavailable");
  }
}

/** Answers a request of XEP-0060, and counts it. */
export function answerPubsub(engine: Engine, ctx: Context, iq: Iq): Promise<Markup | undefined> {
  const request = parseRequest(iq.type, iq.payload);
  const asker: Asker = { service: iq.to.bare, from: iq.from, session: iq.session };
  return counted(ctx.metrics, request.kind, async () => {
    if (request.kind === "publish" && ctx.config.plugins.includes("push")) {
      const node = await pushNode(engine, asker, request);
      if (node !== undefined) return push(engine, ctx, asker, node, request);
    }
    return answer(engine, asker, request);
  });
}

/** Takes an owner's word about a subscription that waits (§8.6); other messages are for nobody. */
export async function takeMessage(engine: Engine, stanza: Stanza): Promise<void> {
  if (stanza.kind !== MESSAGE || stanza.type === "error" || !stanza.to.isDomain) return;
  const asker: Asker = { service: stanza.to.bare, from: stanza.from, session: undefined };
  if (!(await processAuthorization(engine, asker, stanza))) throw new StanzaError("service-unavailable");
}
