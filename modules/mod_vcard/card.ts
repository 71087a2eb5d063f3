// vCards as values: what is stored for a user, and those of the server and its directory.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import { NS_VCARD } from "../../core/ns.ts";
import { Markup, xml } from "../../core/xml/markup.ts";
import { standalone } from "../../core/xml/standalone.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { FIELDS, fieldText } from "./fields.ts";
import type { Context } from "./index.ts";

const URL = "https://www.erlang-solutions.com/products/mongooseim.html";

/** The vCard of a server or service. */
export function serverCard(name: string, description: string): Markup {
  return xml`<vCard xmlns='${NS_VCARD}'><FN>${name}</FN><URL>${URL}</URL><DESC>${description}</DESC></vCard>`;
}

/** What XML allows and no text holds: Unicode's noncharacters. */
const NONCHARACTER = /[\p{Noncharacter_Code_Point}]/u;

/**
 * Stores a vCard and tells it. Throws policy-violation for one that is too big, bad-request for a field that cannot be
 * searched.
 */
export async function keepVcard(ctx: Context, jid: BareJid, vcard: Element): Promise<void> {
  const text = checked(ctx, vcard);
  await ctx.store.writers.take(jid.text, () => ctx.store.setVcard(jid, vcard, text));
  await ctx.host.hooks.notify("vcard_set", { jid, vcard: new Markup(text) });
}

/** Stores what `change` makes of a vCard, undefined: nothing, and tells it. Throws as `keepVcard` does. */
export async function changeVcard(
  ctx: Context,
  jid: BareJid,
  change: (vcard: Element | undefined) => Element | undefined,
): Promise<void> {
  const { store, host } = ctx;
  const stored = await store.writers.take(jid.text, async () => {
    const before = await store.getVcard(jid);
    const vcard = change(before === undefined ? undefined : parseElement(before));
    if (vcard === undefined) return undefined;
    const text = checked(ctx, vcard);
    await store.setVcard(jid, vcard, text);
    return text;
  });
  if (stored !== undefined) await host.hooks.notify("vcard_set", { jid, vcard: new Markup(stored), derived: true });
}

/** The markup of a vCard that may be stored. */
function checked({ config }: Context, vcard: Element): string {
  const text = standalone(vcard);
  if (Buffer.byteLength(text) > config.max_vcard_size) {
    throw new StanzaError("policy-violation", `A vCard has ${config.max_vcard_size} bytes at most`);
  }
  const bad = FIELDS.find((field) => NONCHARACTER.test(fieldText(vcard, field)));
  if (bad !== undefined) {
    throw new StanzaError("bad-request", `Invalid input for vcard field ${bad.paths[0].join("/")}`);
  }
  return text;
}
