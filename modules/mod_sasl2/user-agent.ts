// <user-agent/>: the software that logs in, as it says itself (XEP-0388 §2.3).

import { NS_SASL2 } from "../../core/ns.ts";
import type { UserAgent } from "../../core/sasl/index.ts";
import type { Stanza } from "../../core/stanza.ts";

const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** What <authenticate/> says of its client; undefined when it says nothing, "invalid" for an id that is no UUID v4. */
export function readUserAgent(authenticate: Stanza): UserAgent | "invalid" | undefined {
  const el = authenticate.child("user-agent", NS_SASL2);
  if (el === undefined) return undefined;
  const id: string | undefined = el.attrs["id"];
  if (id !== undefined && !UUID4.test(id)) return "invalid";
  return {
    id,
    software: el.getChildText("software", NS_SASL2) ?? undefined,
    device: el.getChildText("device", NS_SASL2) ?? undefined,
  };
}
