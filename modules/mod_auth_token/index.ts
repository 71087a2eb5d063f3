// Tokens in place of passwords (MongooseIM's token-reconnection extension): a client that has logged in asks for an
// access and a refresh token, and logs in with one of them later (SASL X-OAUTH).

import { StanzaError } from "../../core/errors.ts";
import { defineModule, type Iq } from "../../core/module.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { config, type TokenContext } from "./config.ts";
import { oauth } from "./oauth.ts";
import { operations } from "./operations.ts";
import { TokenStore } from "./store.ts";
import { newTokens, SECRET_KEY } from "./tokens.ts";

const NS_TOKEN_AUTH = "erlang-solutions.com:xmpp:token-auth:0";

/** Tokens for the account that asks about itself. */
async function get(iq: Iq, ctx: TokenContext): Promise<Markup> {
  // Such an account ends with its session; a token would outlive it.
  if (iq.session?.anonymous) throw new StanzaError("not-allowed");
  const { access, refresh } = await newTokens(ctx, iq.to.bare);
  return xml`<items xmlns='${NS_TOKEN_AUTH}'><access_token>${base64(access)}</access_token><refresh_token>${base64(refresh)}</refresh_token></items>`;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

export default defineModule({
  name: "mod_auth_token",
  xeps: [],
  config,
  needs: ["mod_keystore"],
  features: [NS_TOKEN_AUTH],
  hooks: {
    sasl_mechanisms: (list, _, ctx) => void list.push(oauth(ctx)),
    // Who changes a password because somebody knows it wants him out, with whatever he was given.
    password_changed: async ({ jid }, { store }) => void (await store.revoke(jid)),
  },
  store: (db) => new TokenStore(db),
  iq: { "get own erlang-solutions.com:xmpp:token-auth:0": get },
  operations,
  async start({ host, log }) {
    // Until there is one, who asks for a token is told that it is our fault.
    if ((await host.hooks.fold("get_key", undefined, { name: SECRET_KEY })) !== undefined) return;
    log.warning("token_key_missing", { advice: 'add a key "token_secret" to modules.mod_keystore.keys' });
  },
});
