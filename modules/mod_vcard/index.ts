// XEP-0054 vcard-temp: everybody's vCard, set by its owner, read by all; and the server's own. The directory that
// searches them (XEP-0055) is in directory.ts.

import type { Element } from "@xmpp/xml";
import type { z } from "zod";
import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import { defineModule, type HostType, type Iq, type ModuleContext } from "../../core/module.ts";
import { NS_VCARD } from "../../core/ns.ts";
import { Markup } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { changeVcard, keepVcard, serverCard } from "./card.ts";
import { config } from "./config.ts";
import { directory } from "./directory.ts";
import { operations } from "./operations.ts";
import { VcardStore } from "./store.ts";

export type Context = ModuleContext<z.output<typeof config>, VcardStore>;

export default defineModule<z.output<typeof config>, VcardStore>({
  name: "mod_vcard",
  xeps: [
    { n: 54, version: "1.2" },
    { n: 55, version: "1.3" },
  ],
  config,
  uses: ["mod_disco"],
  features: [NS_VCARD],
  accountFeatures: [NS_VCARD],
  store: (db) => new VcardStore(db),
  timed: {
    backends: ["mnesia", "rdbms"],
    in: (store) => store,
    calls: { get_vcard: "getVcard", set_vcard: "setVcard", search: "search" },
  },
  iq: {
    "get host vcard-temp": () => serverCard("MongooseIM", "MongooseIM XMPP Server"),
    "get account vcard-temp": async (iq, { store }) => {
      const vcard = await store.getVcard(iq.to.bare);
      if (vcard === undefined) throw new StanzaError("item-not-found");
      return new Markup(vcard);
    },
    "set account vcard-temp": set,
    // The same answers for accounts that do not exist as for those without a vCard (§3.3).
    "get absent vcard-temp": () => {
      throw new StanzaError("item-not-found");
    },
    "set absent vcard-temp": () => {
      throw new StanzaError("not-allowed");
    },
  },
  services: [directory],
  hooks: {
    set_vcard: async (stored, { jid, vcard }, ctx) => {
      if (!stored) await keepVcard(ctx, jid, vcard);
      return true;
    },
    anonymous_purge: ({ jid }, { store }) => store.removeUser(jid),
  },
  operations,
  start({ config: { backend }, log }) {
    if (backend === "ldap") {
      log.warning("vcard_ldap_not_there", {
        text: 'vCards from LDAP are not there yet: modules.mod_vcard.backend = "ldap" is served from the database',
      });
    }
  },
});

async function set(iq: Iq, ctx: Context): Promise<void> {
  if (iq.from.bare.text !== iq.to.text) throw new StanzaError("not-allowed");
  if (iq.payload.name !== "vCard") throw new StanzaError("bad-request");
  await keepVcard(ctx, iq.to.bare, iq.payload);
}

const contextOf = (host: HostType): Context | undefined => host.modules.get("mod_vcard")?.ctx as Context | undefined;

/** The vCard of a user, for features that name mod_vcard in `needs` or `uses`; undefined without one. */
export async function readVcard(host: HostType, jid: BareJid): Promise<Element | undefined> {
  const text = await contextOf(host)?.store.getVcard(jid);
  return text === undefined ? undefined : parseElement(text);
}

/**
 * Stores a vCard for a user, as if he had set it: `vcard_set` is told. False when mod_vcard does not run; throws the
 * StanzaErrors that the user would get.
 */
export async function storeVcard(host: HostType, jid: BareJid, vcard: Element): Promise<boolean> {
  const ctx = contextOf(host);
  if (ctx === undefined) return false;
  await keepVcard(ctx, jid, vcard);
  return true;
}

/**
 * Stores what `change` makes of a user's vCard (undefined: nothing), which nobody else writes meanwhile. `vcard_set` is
 * told that it is derived. False when mod_vcard does not run; throws the StanzaErrors that the user would get.
 */
export async function updateVcard(
  host: HostType,
  jid: BareJid,
  change: (vcard: Element | undefined) => Element | undefined,
): Promise<boolean> {
  const ctx = contextOf(host);
  if (ctx === undefined) return false;
  await changeVcard(ctx, jid, change);
  return true;
}
