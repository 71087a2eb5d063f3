// SASL X-OAUTH: the client's only message is a token. Whose it is stands in the token.

import {
  clientFirst,
  decodeUtf8,
  encodeUtf8,
  failure,
  type Mechanism,
  type SaslContext,
  type SaslStep,
} from "../../core/sasl/index.ts";
import { asTime } from "../../core/storage/db.ts";
import type { TokenContext } from "./config.ts";
import { admit, type Birth } from "./tokens.ts";

/** A method that keeps accounts keeps the time at which each was made. */
const birthIn =
  (auth: SaslContext["auth"]): Birth =>
  async (local, domain) => {
    const times = (await auth.personalData(local, domain)).map((record) => asTime(record.created_at));
    const known = times.filter((time) => !Number.isNaN(time));
    return known.length === 0 ? undefined : Math.min(...known);
  };

export const oauth = (ctx: TokenContext): Mechanism => ({
  option: "oauth",
  name: "X-OAUTH",
  suits: () => true,
  start: (sasl) =>
    clientFirst(sasl, async (message): Promise<SaslStep> => {
      const token = decodeUtf8(message);
      const admitted = token === undefined ? undefined : await admit(ctx, token, sasl.domain, birthIn(sasl.auth));
      if (admitted === undefined) return failure("not-authorized");
      const { local, access } = admitted;
      return { kind: "success", local, method: "token", data: access === undefined ? undefined : encodeUtf8(access) };
    }),
});
