// XEP-0133 Service Administration: ad-hoc commands for the administrators of a domain. Who they are says an access
// rule; nobody else sees the commands. What is not built upon something that exists is not offered: lists of blocked
// services (§4.11, §4.12), the list of administrators (§4.29, it is the configuration), passwords (§4.6).

import { z } from "zod";
import { accessRule, enumOf, own } from "../../core/config/types.ts";
import { defineModule } from "../../core/module.ts";
import { localCommands } from "../mod_adhoc/index.ts";
import { accountCommands } from "./accounts.ts";
import { announcementCommands, expectUser, forgetAnnouncements, loadAnnouncements, welcome } from "./announcements.ts";
import type { Context } from "./command.ts";
import { serviceCommands } from "./service.ts";
import { AnnouncementStore } from "./store.ts";
import { userCommands } from "./users.ts";

// MongooseIM has no such module.
const table = z.strictObject({
  backend: enumOf("rdbms").default("rdbms").describe("Where announcements are kept"),
  access: accessRule().default("configure").describe("Access rule for who administers the accounts of a domain"),
  service_access: accessRule().default("none").describe("Access rule for who may restart or stop the whole server"),
});
const config = own(table);

/** What a rule that is not defined gives. */
const UNDEFINED = "undefined";

export default defineModule<z.output<typeof config>, AnnouncementStore>({
  name: "mod_service_admin",
  xeps: [{ n: 133, version: "1.3.1" }],
  config,
  needs: ["mod_adhoc"],
  uses: ["mod_blocklist", "mod_last", "mod_roster", "mod_vcard"],
  store: (db) => new AnnouncementStore(db),
  hooks: {
    ...localCommands<Context>(...accountCommands, ...userCommands, ...announcementCommands, ...serviceCommands),
    user_available: ({ session }, ctx) => welcome(session, ctx),
    register_user: ({ jid }, ctx) => expectUser(jid, ctx),
    remove_domain: ({ domain }, ctx) => forgetAnnouncements(ctx, domain),
  },
  start(ctx) {
    const { host, log } = ctx;
    for (const [option, rule] of Object.entries({
      access: ctx.config.access,
      service_access: ctx.config.service_access,
    })) {
      if (host.access.match(rule, undefined, "", UNDEFINED) !== UNDEFINED) continue;
      log.warning("access_rule_missing", {
        text: `modules.mod_service_admin.${option}: there is no rule access.${rule}, so nobody is let in`,
      });
    }
    return loadAnnouncements(ctx);
  },
});
