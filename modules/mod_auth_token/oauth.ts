// SASL X-OAUTH: the client's only message is a token. Whose it is stands in the token.

import { clientFirst, decodeUtf8, encodeUtf8, failure, type Mechanism, type SaslStep } from "../../core/sasl/index.ts";
import type { TokenContext } from "./config.ts";
import { admit } from "./tokens.ts";

export const oauth = (ctx: TokenContext): Mechanism => ({
  option: "oauth",
  name: "X-OAUTH",
  suits: () => true,
  start: (sasl) =>
    clientFirst(sasl, async (message): Promise<SaslStep> => {
      const token = decodeUtf8(message);
      const admitted = token === undefined ? undefined : await admit(ctx, token, sasl.domain);
      if (admitted === undefined) return failure("not-authorized");
      const { local, access } = admitted;
      return { kind: "success", local, method: "token", data: access === undefined ? undefined : encodeUtf8(access) };
    }),
});
