// SASL EXTERNAL (RFC 4422 appendix A) with a client certificate (XEP-0178 §2), by MongooseIM's three rules.
import type { CertificateRule } from "../auth/config.ts";
import { BareJid, tryParseJid } from "../jid.ts";
import { clientFirst, failure, localOf } from "./exchange.ts";
import { decodeUtf8 } from "./text.ts";
import type { ClientCertificate, SaslCondition, SaslContext, SaslExchange, SaslStep } from "./types.ts";

export function external(ctx: SaslContext): SaslExchange {
  return clientFirst(ctx, (message) => check(ctx, message));
}

async function check(ctx: SaslContext, message: Uint8Array): Promise<SaslStep> {
  const authzid = decodeUtf8(message);
  if (authzid === undefined || authzid.includes("\0")) return failure("malformed-request");
  if (!ctx.certificate?.authorized) return failure("not-authorized");

  const user = userOf(ctx, ctx.certificate, authzid);
  if ("condition" in user) return failure(user.condition);
  const method = await ctx.auth.authenticateCertificate(user.local, ctx.domain, ctx.allowedMethods);
  if (method === undefined) return failure("not-authorized", user);
  return { kind: "success", local: user.local, method };
}

type User = { local: string } | { condition: SaslCondition };

const NOT_AUTHORIZED: User = { condition: "not-authorized" };
const INVALID_AUTHZID: User = { condition: "invalid-authzid" };

/** The first rule of `auth.sasl_external` that finds a user decides; when none does, the last one says why. */
function userOf(ctx: SaslContext, certificate: ClientCertificate, authzid: string): User {
  let user = NOT_AUTHORIZED;
  for (const rule of ctx.auth.certificateRules) {
    user = RULES[rule](ctx, certificate, authzid);
    if ("local" in user) break;
  }
  return user;
}

const RULES: Record<CertificateRule, (ctx: SaslContext, certificate: ClientCertificate, authzid: string) => User> = {
  /** The certificate names JIDs: with one, the client must not choose (MongooseIM), with more it must. */
  standard({ domain }, { xmppAddrs }, authzid) {
    if (xmppAddrs.length === 1) return authzid === "" ? userAt(xmppAddrs[0], domain) : INVALID_AUTHZID;
    if (xmppAddrs.length > 1 && authzid === "") return INVALID_AUTHZID;
    const wanted = tryParseJid(authzid)?.text;
    const named = xmppAddrs.some((address) => tryParseJid(address)?.text === wanted && wanted !== undefined);
    return named ? userAt(authzid, domain) : NOT_AUTHORIZED;
  },

  /** The subject's common name is the user's, with the configured prefix and suffix. */
  common_name({ domain, auth }, { commonName }, authzid) {
    if (commonName === undefined) return INVALID_AUTHZID;
    if (authzid !== "") {
      const claimed = userAt(authzid, domain);
      if (!("local" in claimed) || claimed.local !== localOf(commonName)) return INVALID_AUTHZID;
    }
    const local = localOf(auth.commonName.prefix + commonName + auth.commonName.suffix);
    return local === undefined ? NOT_AUTHORIZED : { local };
  },

  /** Any verified certificate may claim any user of the domain. */
  auth_id: ({ domain }, _certificate, authzid) => userAt(authzid, domain),
};

function userAt(address: string, domain: string): User {
  const jid = tryParseJid(address);
  return jid instanceof BareJid && jid.local !== "" && jid.domain === domain ? { local: jid.local } : NOT_AUTHORIZED;
}
