// XEP-0092 Software Version.
import { release, type } from "node:os";
import { z } from "zod";
import { iqdisc } from "../core/config/types.ts";
import { defineModule } from "../core/module.ts";
import { xml } from "../core/xml/markup.ts";

const NS_VERSION = "jabber:iq:version";
// Clients and monitoring that were written for MongooseIM look for this name.
const NAME = "MongooseIM";

export default defineModule({
  name: "mod_version",
  xeps: [{ n: 92, version: "1.1" }],
  config: z.strictObject({
    iqdisc: iqdisc("no_queue"),
    os_info: z.boolean().default(false).describe("Tell the operating system and its version too"),
  }),
  features: [NS_VERSION],
  iq: {
    "get host jabber:iq:version": (_iq, { config, server }) => {
      const os = config.os_info ? xml`<os>${`${type()} ${release()}`}</os>` : undefined;
      return xml`<query xmlns='${NS_VERSION}'><name>${NAME}</name><version>${server.version}</version>${os}</query>`;
    },
  },
});
