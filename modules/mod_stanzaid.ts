// XEP-0359 Unique and Stable Stanza IDs: every message that reaches an account of ours gets the server's id for it,
// and ids that others have put there in our name are taken out.
import { z } from "zod";
import { tryParseJid } from "../core/jid.ts";
import { externalId } from "../core/message-id.ts";
import { defineModule } from "../core/module.ts";
import { NS_SID } from "../core/ns.ts";
import { MESSAGE, type Stanza } from "../core/stanza.ts";
import { escapeXml } from "../core/xml/markup.ts";

export default defineModule({
  name: "mod_stanzaid",
  xeps: [{ n: 359, version: "0.7.0" }],
  config: z.strictObject({}),
  features: [NS_SID],
  accountFeatures: [NS_SID],
  hooks: {
    // 50: before the archive (60), which stores the message under this id. Groupchat has its room's id; errors and
    // headlines are not kept anywhere, so that nobody asks for them by id. None of them may bring one in our name.
    filter_local_packet: {
      at: 50,
      run: (stanza, { server }) => {
        if (stanza.kind !== MESSAGE || stanza.to.bare.isDomain) return;
        const by = stanza.to.bare.text;
        if (stanza.has("stanza-id", NS_SID)) strip(stanza, by, stanza.to.domain);
        const { type } = stanza;
        if (type !== "chat" && type !== "" && type !== "normal") return;
        const id = externalId(server.messageId());
        stanza.appended += `<stanza-id by='${escapeXml(by)}' id='${id}' xmlns='${NS_SID}'/>`;
      },
    },
  },
});

/** Takes out ids that claim to be by the account or by its server (§4, business rules 6 and 7). */
function strip(stanza: Stanza, account: string, domain: string): void {
  stanza.children.forEach((child, k) => {
    if (child.name !== "stanza-id" || child.ns !== NS_SID) return;
    // However it is written: clients compare prepared JIDs.
    const by = tryParseJid(stanza.kid(k).attrs["by"] ?? "")?.text;
    if (by === account || by === domain) stanza.removeChild(k);
  });
}
