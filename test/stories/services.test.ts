// Domains that features answer for beside the domains they serve (`ModuleDef.services`).
import { afterAll, beforeAll } from "vitest";
import { z } from "zod";
import { StanzaError } from "../../core/errors.ts";
import { STOP } from "../../core/hooks.ts";
import { defineModule } from "../../core/module.ts";
import { attr, xml } from "../../core/xml/markup.ts";
import { stage } from "../support/story.ts";

// Without the directory of mod_vcard, which is another service.
const of = stage({ modules: { mod_vcard: null } });

const echo = defineModule({
  name: "mod_echo",
  xeps: [],
  config: z.strictObject({}),
  services: [
    {
      address: () => "echo.@HOST@",
      iq: async (iq, _, at) => {
        if (iq.payload.attrs["xmlns"] !== "urn:test:echo") throw new StanzaError("feature-not-implemented");
        await Promise.resolve();
        return xml`<echo xmlns='urn:test:echo'${attr("parent", at.parent)}>${iq.to.text}</echo>`;
      },
      stanza: (stanza, { server }) => {
        if (stanza.has("refuse", "urn:test:echo")) throw new StanzaError("not-acceptable");
        return server.routeXml(stanza.to, stanza.from, xml`<message><body>back</body></message>`);
      },
    },
    { address: () => "mute.@HOST@", listed: false, iq: () => undefined },
    { address: () => undefined, iq: () => undefined },
  ],
});

const host = () => of.server.node.hostOf("localhost")!;
beforeAll(() => host().startModule(echo, {}));
afterAll(() => host().stopModule("mod_echo"));

of.story("requests to a feature's own domain are answered by the feature", { romeo: 1 }, async ({ romeo }) => {
  romeo.sends`<iq type="get" id="1" to="echo.localhost"><echo xmlns="urn:test:echo"/></iq>`;
  await romeo.receives`<iq type="result" id="1" from="echo.localhost"><echo xmlns="urn:test:echo" parent="localhost">echo.localhost</echo></iq>`;
  romeo.sends`<iq type="set" id="2" to="node@echo.localhost/x"><echo xmlns="urn:test:echo"/></iq>`;
  await romeo.receives`<iq type="result" id="2" from="node@echo.localhost/x"><echo xmlns="urn:test:echo" parent="localhost">node@echo.localhost/x</echo></iq>`;
  romeo.sends`<iq type="get" id="3" to="echo.localhost"><other xmlns="urn:test:other"/></iq>`;
  await romeo.receives`<iq type="error" id="3" from="echo.localhost"><error type="cancel"><feature-not-implemented xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
});

of.story("messages to a feature's own domain go to the feature", { romeo: 1 }, async ({ romeo }) => {
  romeo.sends`<message to="echo.localhost" id="1"><body>there</body></message>`;
  await romeo.receives`<message from="echo.localhost"><body>back</body></message>`;
  romeo.sends`<message to="echo.localhost" id="2"><refuse xmlns="urn:test:echo"/></message>`;
  await romeo.receives`<message from="echo.localhost" id="2" type="error"><error type="modify"><not-acceptable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
  romeo.sends`<message to="mute.localhost" id="3"><body>there</body></message>`;
  await romeo.receives`<message from="mute.localhost" id="3" type="error"><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
});

of.story("the domain names the service among its items, unless it is not listed", { romeo: 1 }, async ({ romeo }) => {
  romeo.sends`<iq type="get" id="1" to="localhost"><query xmlns="http://jabber.org/protocol/disco#items"/></iq>`;
  // Another service would be an item too many: mod_echo has one that is not listed.
  await romeo.receives`<iq type="result" id="1"><query xmlns="http://jabber.org/protocol/disco#items"><item jid="echo.localhost"/></query></iq>`;
});

of.story("what the domain's features stop does not reach its services", { romeo: 1 }, async ({ romeo }) => {
  host().hooks.add("wall", { filter_local_packet: (s) => (s.to.domain === "echo.localhost" ? STOP : undefined) }, {});
  try {
    romeo.sends`<message to="echo.localhost" id="1"><body>there</body></message>`;
    await romeo.receivesNothing();
  } finally {
    host().hooks.remove("wall");
  }
});
