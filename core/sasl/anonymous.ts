// SASL ANONYMOUS (RFC 4505, XEP-0175): the server makes a name that lives as long as the session.
import { failure } from "./exchange.ts";
import { decodeUtf8 } from "./text.ts";
import type { SaslContext, SaslExchange, SaslStep } from "./types.ts";

/** Characters of trace information a client may send (RFC 4505 §2). */
const MAX_TRACE = 255;

/** Needs no initial response: XEP-0175's examples succeed without one. */
export function anonymous({ random }: SaslContext): SaslExchange {
  const answer = (trace: Uint8Array): SaslStep => {
    const text = decodeUtf8(trace);
    if (text === undefined || Array.from(text).length > MAX_TRACE) return failure("malformed-request");
    // 128 random bits: that such a name is taken need not be asked for.
    return { kind: "success", local: random(16).toHex(), method: "anonymous", anonymous: true };
  };
  return { start: (initial = new Uint8Array(0)) => answer(initial), next: answer };
}
