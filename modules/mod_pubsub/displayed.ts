// XEP-0490, server assist: a message that tells its addressee what was read tells the account's other clients too.

import { StanzaError } from "../../core/errors.ts";
import type { Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import type { NodeConfig } from "../pubsub/model.ts";
import { ownNode, publishOwn } from "./own.ts";
import type { Pep, PepContext } from "./profile.ts";

export const NS_DISPLAYED = "urn:xmpp:mds:displayed:0";
/** For the account's clients alone (§7). */
const CONFIG: Partial<NodeConfig> = {
  access_model: "whitelist",
  persist_items: true,
  max_items: Number.POSITIVE_INFINITY,
  send_last_published_item: "never",
};

/**
 * Takes <displayed/> out of a message and publishes it under the message's address. The message goes on in any case:
 * what cannot be published is the account's own business.
 */
export async function publishDisplayed(engine: Pep, ctx: PepContext, message: Stanza, session: Session): Promise<void> {
  const first = message.find("displayed", NS_DISPLAYED);
  const payload = message.kidXml(first);
  for (let k = first; k >= 0; k = message.find("displayed", NS_DISPLAYED)) message.removeChild(k);
  const id = message.toText;
  if (id === undefined || id.length > engine.profile.limits.itemId) return;
  try {
    const node = await ownNode(engine, session.jid.bare, NS_DISPLAYED, CONFIG);
    if (node?.config.access_model === "whitelist") await publishOwn(engine, node, id, payload);
  } catch (error) {
    if (error instanceof StanzaError) ctx.log.info("displayed_not_published", { reason: error.message });
    else ctx.log.error("displayed_not_published", { error, user: session.jid.bare.text });
  }
}
