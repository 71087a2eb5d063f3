// XEP-0359 Unique and Stable Stanza IDs: every message that reaches an account of ours gets the server's id for it,
// and ids that others have put there in our name are taken out.
import { z } from "zod";
import { defineModule } from "../core/module.ts";
import { NS_SID } from "../core/ns.ts";
import { stamp, stripIds } from "../core/stable-id.ts";
import { MESSAGE } from "../core/stanza.ts";

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
        const { type } = stanza;
        if (type === "chat" || type === "" || type === "normal") {
          stamp(stanza, by, stanza.to.domain, stanza.stableId ?? server.messageId());
        } else if (stanza.has("stanza-id", NS_SID)) stripIds(stanza, by, stanza.to.domain);
      },
    },
  },
});
