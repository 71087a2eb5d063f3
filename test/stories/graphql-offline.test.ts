// GraphQL category offline: stored messages that have expired or are old.
import { describe } from "vitest";
import { type BareJid, parseBareJid } from "../../core/jid.ts";
import type { OfflineStore } from "../../modules/mod_offline/store.ts";
import type { Face } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const covers = covering("graphql_offline_SUITE", { door: "tcp" });
const HOSTS = { general: { hosts: ["localhost", "verona.example"] } };
const EXPIRED = "offline.deleteExpiredMessages";
const OLD = "offline.deleteOldMessages";

/** Puts a message into the store, written and expiring so many days ago. */
async function store(server: StoryServer, to: BareJid, days: { written: number; expired: number }): Promise<void> {
  const ago = (n: number): number => (Date.now() - n * 86_400_000) * 1000;
  const running = server.node.hostOf(to.domain)?.modules.get("mod_offline")?.ctx.store as OfflineStore;
  await running.writeMessages(to, {
    timestamp: ago(days.written),
    expire: ago(days.expired),
    from: "mike@localhost/there",
    packet: `<message to='${to.text}' type='chat'><body>Rolling stones</body></message>`,
  });
}

describe("with mod_offline", () => {
  const { story } = stage(HOSTS);

  story(
    "expired and old messages are deleted",
    { kate: 0 },
    async ({ graphql, kate, server }) => {
      const to = parseBareJid(kate.bare);
      const removes = async (face: Face, operation: string, args: object, n: number) =>
        (await face.calls(operation, { ...args })).gives(`Removed ${n} messages`);
      for (const face of await graphql.administrators()) {
        await removes(face, EXPIRED, { domain: "localhost" }, 0);
        await removes(face, OLD, { domain: "localhost", days: 2 }, 0);
        for (const domain of ["localhost", "LOCALHOST"]) {
          await store(server, to, { written: 2, expired: 1 });
          await store(server, to, { written: 5, expired: -1 });
          await removes(face, EXPIRED, { domain }, 1);
          await removes(face, OLD, { domain, days: 1 }, 1);
          await store(server, to, { written: 2, expired: 1 });
          await store(server, to, { written: 5, expired: -1 });
          await store(server, to, { written: 7, expired: 5 });
          await removes(face, OLD, { domain, days: 3 }, 2);
          await removes(face, EXPIRED, { domain }, 1);
        }
        for (const days of [-1, 0]) {
          (await face.calls(OLD, { domain: "localhost", days })).isNotCoerced("Value is not a positive integer");
        }
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(EXPIRED, { domain: "AAAA" })).fails("domain_not_found");
        (await face.calls(OLD, { domain: "AAAA", days: 2 })).fails("domain_not_found");
      }
      const other = await graphql.domainAdmin();
      for (const domain of ["AAAA", "verona.example"]) {
        (await other.calls(EXPIRED, { domain })).isUnauthorized();
        (await other.calls(OLD, { domain, days: 2 })).isUnauthorized();
      }
    },
    covers(
      "admin_delete_expired_messages_test",
      "admin_delete_old_messages_test",
      "admin_delete_expired_messages2_test",
      "admin_delete_old_messages2_test",
      "admin_delete_old_messages_invalid_days",
      "admin_delete_expired_messages_no_domain_test",
      "admin_delete_old_messages_no_domain_test",
      "domain_admin_delete_expired_messages_no_permission_test",
      "domain_admin_delete_old_messages_no_permission_test",
    ),
  );
});

describe("without mod_offline", () => {
  const { story } = stage({ ...HOSTS, modules: { mod_offline: null } });

  story(
    "there is nothing to delete from",
    {},
    async ({ graphql }) => {
      for (const face of await graphql.administrators()) {
        for (const domain of ["localhost", "LOCALHOST"]) {
          (await face.calls(EXPIRED, { domain })).lacks(["mod_offline"]);
          (await face.calls(OLD, { domain, days: 2 })).lacks(["mod_offline"]);
        }
      }
    },
    covers(
      "admin_delete_expired_messages_offline_not_configured_test",
      "admin_delete_old_messages_offline_not_configured_test",
    ),
  );
});
