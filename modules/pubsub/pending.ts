// Owners ask for the subscriptions that wait for them: the ad-hoc command of XEP-0060 §8.7, which needs no session.

import { StanzaError } from "../../core/errors.ts";
import type { Iq } from "../../core/module.ts";
import { NS_COMMANDS, NS_DATA } from "../../core/ns.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { requireOwner } from "./access.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { Delivery } from "./event.ts";
import { NS_PUBSUB, parseForm } from "./form.ts";
import { authorizationRequest } from "./manage.ts";

export const GET_PENDING = `${NS_PUBSUB}#get-pending`;

/** Nodes with waiting subscriptions, as the store finds them for an owner. */
type FindPending = (asker: Asker) => Promise<readonly string[]>;

/** Answers <command/>. @throws StanzaError item-not-found for another command, bad-request, forbidden */
export async function pendingCommand(engine: PubsubEngine, iq: Iq, find: FindPending): Promise<Markup> {
  const { payload } = iq;
  if (iq.type !== "set" || payload.name !== "command") throw new StanzaError("bad-request");
  if (payload.attrs["node"] !== GET_PENDING) throw new StanzaError("item-not-found");
  const asker: Asker = { service: iq.to.bare, from: iq.from, session: iq.session };
  const session = payload.attrs["sessionid"] || engine.server.token(8);
  const answer = (status: string, inside?: Markup): Markup =>
    xml`<command node='${GET_PENDING}' sessionid='${session}' status='${status}' xmlns='${NS_COMMANDS}'>${inside}</command>`;
  const x = payload.getChild("x", NS_DATA);
  if (payload.attrs["action"] === "cancel") return answer("canceled");
  if (x === undefined) return answer("executing", nodeForm(await find(asker)));
  const values = parseForm(x, "subscribe_authorization");
  if (values === undefined) return answer("canceled");
  const name = values.get("pubsub#node")?.[0];
  if (name === undefined) throw new StanzaError("bad-request", "The form names no node");
  await sendPending(engine, asker, name);
  return answer("completed");
}

function nodeForm(nodes: readonly string[]): Markup {
  const options = nodes.map((name) => xml`<option><value>${name}</value></option>`);
  return xml`<actions execute='complete'><complete/></actions><x type='form' xmlns='${NS_DATA}'><field type='hidden' var='FORM_TYPE'><value>${NS_PUBSUB}#subscribe_authorization</value></field><field label='Node' type='list-single' var='pubsub#node'>${options}</field></x>`;
}

/** The requests of a node once more, to the owner who asked, after the answer (§8.7.4). */
async function sendPending(engine: PubsubEngine, asker: Asker, name: string): Promise<void> {
  const node = requireOwner(engine, asker, await engine.nodes.get(asker.service, name));
  const waiting = [...node.subscriptions.values()].flat().filter((s) => s.state === "pending");
  setImmediate(() => {
    for (const subscription of waiting) {
      new Delivery(engine, authorizationRequest(node, subscription), false).toSubscriber(asker.from, false);
    }
  });
}
