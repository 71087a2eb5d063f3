// SASL in the elements of RFC 6120 §6.

import { StreamError } from "../errors.ts";
import type { MaybePromise } from "../hooks.ts";
import { NS_SASL } from "../ns.ts";
import type { Stanza } from "../stanza.ts";
import { escapeXml } from "../xml/markup.ts";
import { base64, begin, refuse, respond, type SaslProfile } from "./authenticate.ts";
import type { C2S } from "./stream.ts";

const RFC6120: SaslProfile = {
  ns: NS_SASL,
  exclusive: false,
  challenge(c2s, data) {
    c2s.writeElement(`<challenge xmlns='${NS_SASL}'>${base64(data)}</challenge>`);
  },
  failed(c2s, { condition, text, extra }) {
    const more = text === undefined ? "" : `<text xml:lang='en'>${escapeXml(text)}</text>`;
    c2s.writeElement(`<failure xmlns='${NS_SASL}'><${condition}/>${more}${extra?.text ?? ""}</failure>`);
  },
  succeeded(c2s, { data }) {
    c2s.writeElement(
      data === undefined || data.length === 0
        ? `<success xmlns='${NS_SASL}'/>`
        : `<success xmlns='${NS_SASL}'>${base64(data)}</success>`,
    );
    c2s.restart(true);
  },
  impostor(c2s) {
    c2s.fail(new StreamError("invalid-from"));
  },
};

/** <auth/>, <response/> or <abort/>. */
export function authenticate(c2s: C2S, s: Stanza): MaybePromise<void> {
  if (c2s.nego!.local !== undefined) {
    c2s.fail(new StreamError("not-authorized", "the stream is authenticated already"));
    return;
  }
  switch (s.name) {
    case "auth": {
      const text = s.ownText;
      return begin(c2s, RFC6120, { mechanism: s.attr("mechanism") ?? "", initial: text === "" ? undefined : text });
    }
    case "response":
      return respond(c2s, RFC6120, s.ownText);
    case "abort":
      return refuse(c2s, RFC6120, "aborted");
    default:
      return refuse(c2s, RFC6120, "malformed-request");
  }
}
