// XEP-0279 Server IP Check: tells a client where it comes from, as the server sees it; nobody learns it of another.
import { z } from "zod";
import { iqdisc } from "../core/config/types.ts";
import { StanzaError } from "../core/errors.ts";
import { defineModule, type Iq } from "../core/module.ts";
import { type Markup, xml } from "../core/xml/markup.ts";

const NS_SIC = "urn:xmpp:sic:1";

export default defineModule({
  name: "mod_sic",
  xeps: [{ n: 279, version: "0.2" }],
  config: z.strictObject({ iqdisc: iqdisc("one_queue") }),
  features: [NS_SIC],
  iq: { "get own urn:xmpp:sic:1": answer, "get host urn:xmpp:sic:1": answer },
});

function answer({ payload, session }: Iq): Markup {
  // Somebody else's server may ask in the name of anybody (§5).
  if (session === undefined) throw new StanzaError("forbidden");
  if (payload.name !== "address") throw new StanzaError("bad-request");
  return xml`<address xmlns='${NS_SIC}'><ip>${session.address}</ip><port>${session.port}</port></address>`;
}
