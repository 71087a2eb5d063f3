// SASL PLAIN (RFC 4616): the password as it is. On an unencrypted stream only where the listener allows it.
import { clientFirst, failure, isOwnIdentity, localOf, ownName } from "./exchange.ts";
import { decodeUtf8 } from "./text.ts";
import type { SaslContext, SaslExchange, SaslStep } from "./types.ts";

/** The longest identity or password, in characters; RFC 4616 §2 asks for 255 octets at least. */
const MAX_LENGTH = 1024;

export function plain(ctx: SaslContext): SaslExchange {
  return clientFirst(ctx, (message) => check(ctx, message));
}

async function check({ auth, domain, allowedMethods }: SaslContext, message: Uint8Array): Promise<SaslStep> {
  const parts = decodeUtf8(message)?.split("\0");
  if (parts?.length !== 3 || parts.some((part) => part.length > MAX_LENGTH)) return failure("malformed-request");
  const [authzid, authcid, password] = parts;
  if (authcid === "" || password === "") return failure("malformed-request");

  const name = ownName(authcid, domain);
  const local = name === undefined ? undefined : localOf(name);
  if (local === undefined) return failure("not-authorized");
  if (authzid !== "" && !isOwnIdentity(authzid, local, domain)) return failure("invalid-authzid", { local });

  const method = await auth.authenticate(local, domain, password, allowedMethods);
  if (method === undefined) return failure("not-authorized", { local });
  return { kind: "success", local, method, ...(method === "anonymous" && { anonymous: true }) };
}
