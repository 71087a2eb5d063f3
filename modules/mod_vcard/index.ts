// XEP-0054 vcard-temp: everybody's vCard, set by its owner, read by all; and the server's own.
// The user directory (XEP-0055) at the domain of option `host`, with `search` and `matches`, is not here yet: what it
// will search in is kept up to date from the first day.

import type { z } from "zod";
import { StanzaError } from "../../core/errors.ts";
import { defineModule, type Iq, type ModuleContext } from "../../core/module.ts";
import { Markup, xml } from "../../core/xml/markup.ts";
import { config } from "./config.ts";
import { operations } from "./operations.ts";
import { VcardStore } from "./store.ts";

const NS_VCARD = "vcard-temp";
type Context = ModuleContext<z.output<typeof config>, VcardStore>;

export default defineModule({
  name: "mod_vcard",
  xeps: [{ n: 54, version: "1.2" }],
  config,
  features: [NS_VCARD],
  accountFeatures: [NS_VCARD],
  store: (db) => new VcardStore(db),
  iq: {
    "get host vcard-temp": () => xml`<vCard xmlns='${NS_VCARD}'><FN>MongooseIM</FN><DESC>XMPP server</DESC></vCard>`,
    "get account vcard-temp": async (iq, { store }) => {
      const vcard = await store.getVcard(iq.to.bare);
      if (vcard === undefined) throw new StanzaError("item-not-found");
      return new Markup(vcard);
    },
    "set own vcard-temp": set,
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

async function set(iq: Iq, { store, host }: Context): Promise<void> {
  if (iq.payload.name !== "vCard") throw new StanzaError("bad-request");
  await store.setVcard(iq.to.bare, iq.payload);
  await host.hooks.notify("vcard_set", { jid: iq.to.bare, vcard: new Markup(iq.payload.toString()) });
}
