// XEP-0191 Blocking Command: a plain way to the default privacy list, where the blocked JIDs come first.

import { z } from "zod";
import { enumOf } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import { tryParseJid } from "../../core/jid.ts";
import { defineModule, type Iq, type ModuleContext } from "../../core/module.ts";
import { NS_BLOCKING } from "../../core/ns.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { defaultList, editDefault, type PrivacyContext, privacyOf, push, pushToUsers } from "../mod_privacy/index.ts";
import { block, blockedIn, unblock } from "./items.ts";

const config = z.strictObject({
  backend: enumOf("mnesia", "rdbms")
    .default("mnesia")
    .describe("Where block lists are kept, unless modules.mod_privacy says it for privacy lists"),
});

/** §3.2. */
async function get(iq: Iq, { host }: ModuleContext): Promise<Markup> {
  const privacy = running(host);
  privacy.metrics.mod_privacy_get_count.add();
  if (!iq.payload.is("blocklist", NS_BLOCKING)) throw new StanzaError("bad-request");
  const list = await defaultList(privacy, iq.to.bare);
  return xml`<blocklist xmlns='${NS_BLOCKING}'>${itemsXml(blockedIn(list?.items ?? []))}</blocklist>`;
}

/** §3.3 to §3.5. Everybody is told what was asked for, though some of it may have been so before. */
async function set(iq: Iq, { host }: ModuleContext): Promise<void> {
  const privacy = running(host);
  privacy.metrics.mod_privacy_set_count.add();
  const { payload } = iq;
  const user = iq.to.bare;
  const jids = jidsOf(iq);
  let edited: string | undefined;
  let told: Markup;
  if (payload.is("block", NS_BLOCKING)) {
    if (jids.length === 0) throw new StanzaError("bad-request", "whom to block?");
    edited = await editDefault(privacy, user, (items) => block(items, jids));
    told = xml`<block xmlns='${NS_BLOCKING}'>${itemsXml(jids)}</block>`;
  } else if (payload.is("unblock", NS_BLOCKING)) {
    edited = await editDefault(privacy, user, (items) => unblock(items, jids));
    told = xml`<unblock xmlns='${NS_BLOCKING}'>${itemsXml(jids)}</unblock>`;
  } else throw new StanzaError("bad-request");
  push(privacy, user, "push", told);
  if (edited !== undefined) pushToUsers(privacy, user, edited);
}

function running(host: ModuleContext["host"]): PrivacyContext {
  const privacy = privacyOf(host);
  if (privacy === undefined) throw new StanzaError("service-unavailable");
  return privacy;
}

/** @throws StanzaError bad-request, jid-malformed */
function jidsOf({ payload }: Iq): string[] {
  return payload.getChildElements().map((item) => {
    const { jid } = item.attrs as Record<string, string | undefined>;
    if (!item.is("item", NS_BLOCKING) || jid === undefined) throw new StanzaError("bad-request");
    const parsed = tryParseJid(jid);
    if (parsed === undefined) throw new StanzaError("jid-malformed");
    return parsed.text;
  });
}

const itemsXml = (jids: readonly string[]): Markup[] => jids.map((jid) => xml`<item jid='${jid}'/>`);

export default defineModule({
  name: "mod_blocking",
  xeps: [{ n: 191, version: "1.3" }],
  config,
  needs: ["mod_privacy"],
  implies: { mod_privacy: ({ backend }) => ({ backend }) },
  features: [NS_BLOCKING],
  iq: {
    "get own urn:xmpp:blocking": get,
    "set own urn:xmpp:blocking": set,
  },
});
