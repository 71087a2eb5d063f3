// XEP-0484 Fast Authentication Streamlining Tokens: a client that has logged in gets a token for its next log-ins, which
// take one step then.

import { z } from "zod";
import { C2S } from "../../core/c2s/stream.ts";
import { enumOf, period } from "../../core/config/types.ts";
import { defineModule } from "../../core/module.ts";
import { failure } from "../../core/sasl/index.ts";
import { xml } from "../../core/xml/markup.ts";
import { HASHED_TOKENS, hashedToken } from "./mechanisms.ts";
import { FastTokenStore } from "./store.ts";
import { attemptBegins, type FastContext, judge, NS_FAST, newToken } from "./tokens.ts";

const config = z.strictObject({
  backend: enumOf("rdbms").default("rdbms").describe("Where tokens are kept"),
  validity_period: z
    .strictObject({
      access: period(3, "days", "Life of a token"),
      rotate_before_expire: period(6, "hours", "How long before its end a token is replaced, 0 for never"),
    })
    .prefault({})
    .describe("Life of tokens"),
});

export default defineModule<z.output<typeof config>, FastTokenStore>({
  name: "mod_fast_auth_token",
  xeps: [{ n: 484, version: "0.2.0" }],
  config,
  uses: ["mod_sasl2"],
  store: (db) => new FastTokenStore(db),
  hooks: {
    sasl_mechanisms: (list, _, ctx: FastContext) => {
      for (const kind of HASHED_TOKENS) list.push(hashedToken(kind, (proof, sasl) => judge(proof, sasl, ctx)));
    },
    sasl2_stream_features: {
      at: 50,
      run: (features, { tokens }) => {
        if (tokens.length === 0) return;
        const mechanisms = tokens.map((name) => xml`<mechanism>${name}</mechanism>`);
        features.push(xml`<fast xmlns='${NS_FAST}'>${mechanisms}</fast>`);
      },
    },
    sasl2_start: {
      at: 50,
      // §5.1: a token is tied to a client that can be told from others.
      run: (refused, { request }, ctx) => {
        attemptBegins(request, ctx);
        if (refused !== undefined || request.userAgent?.id !== undefined) return;
        if (request.stanza.has("request-token", NS_FAST))
          return failure("malformed-request", { text: "No user-agent" });
      },
    },
    // Who changes a password because somebody knows it wants him out, with whatever he was given.
    password_changed: ({ jid }, { store }) => store.removeUser(jid),
    sasl2_success: {
      // 15: stream management (20) and Bind 2 (50) end in a session, which must not wait for what is stored here.
      at: 15,
      run: async (outcome, { session, request, proof }, ctx) => {
        if (!(session instanceof C2S) || session.nego?.offer === undefined) return;
        const { tokens } = session.nego.offer.mechanisms;
        const given = await newToken({ request, proof, domain: session.domain, tokens }, ctx);
        if (given === undefined) return;
        // MongooseIM calls the attribute `expire`.
        const expiry = new Date(given.expires * 1000).toISOString().replace(".000", "");
        outcome.children.push(
          xml`<token xmlns='${NS_FAST}' expire='${expiry}' expiry='${expiry}' token='${given.text}'/>`,
        );
      },
    },
  },
});
