// GraphQL category inbox: emptying bins.
import { describe } from "vitest";
import { type BareJid, parseBareJid } from "../../core/jid.ts";
import type { InboxStore } from "../../modules/mod_inbox/store.ts";
import type { Face } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const covers = covering("graphql_inbox_SUITE", { door: "tcp" });
const HOSTS = { general: { hosts: ["localhost", "verona.example"] } };
const [USER, DOMAIN, GLOBAL, OWN] = ["flushUserBin", "flushDomainBin", "flushGlobalBin", "flushBin"].map(
  (name) => `inbox.${name}`,
);
const DAY_MS = 86_400_000;
const remote = "garden@muclight.localhost";

/** Puts a conversation, whose last message is so many days old, into the bins of users. */
async function throwAway(server: StoryServer, users: readonly string[], days = 0): Promise<void> {
  for (const user of users.map(parseBareJid)) {
    const store = storeOf(server, user);
    const message = { msgId: "m", content: `<message from='${remote}' to='${user.text}'><body>Bye</body></message>` };
    await store.setInboxIncrUnread({ user, remote }, message, (Date.now() - days * DAY_MS) * 1000);
    await store.setEntryProperties({ user, remote }, { box: "bin" });
  }
}
const storeOf = (server: StoryServer, user: BareJid): InboxStore =>
  server.node.hostOf(user.domain)?.modules.get("mod_inbox")?.ctx.store as InboxStore;

/** Empties all bins, whatever earlier stories have left. */
async function tidy(server: StoryServer): Promise<void> {
  for (const domain of HOSTS.general.hosts) {
    await storeOf(server, parseBareJid(`anybody@${domain}`)).bin.emptyOfDomain(domain, Number.MAX_SAFE_INTEGER);
  }
}

/** How many of these users have the conversation. */
async function kept(server: StoryServer, users: readonly string[]): Promise<number> {
  const found = await Promise.all(
    users.map(parseBareJid).map((user) => storeOf(server, user).getEntryProperties({ user, remote })),
  );
  return found.filter((entry) => entry !== undefined).length;
}

describe.each(["rdbms", "rdbms_async"])("mod_inbox on %s", (backend) => {
  const { story } = stage({ ...HOSTS, modules: { mod_inbox: { backend } } });

  story(
    "the bin of a user",
    { bob: 0, kate: 0 },
    async ({ graphql, server, bob, kate }) => {
      const both = [bob.bare, kate.bare];
      for (const face of await graphql.administrators()) {
        await throwAway(server, both);
        (await face.calls(USER, { user: bob.bare })).gives(1);
        (await face.calls(USER, { user: bob.bare })).gives(0);
        if ((await kept(server, both)) !== 1) throw new Error("another's bin was emptied");
        await throwAway(server, [bob.bare], 3);
        (await face.calls(USER, { user: bob.bare, days: 4 })).gives(0);
        (await face.calls(USER, { user: bob.bare, days: 2 })).gives(1);
        // From before the clock was set back.
        await throwAway(server, [bob.bare], -1);
        (await face.calls(USER, { user: bob.bare, days: 1 })).gives(0);
        (await face.calls(USER, { user: bob.bare })).gives(1);
        (await face.calls(USER, { user: "nonexistent-user@localhost" })).fails("user_does_not_exist", "does not exist");
        for (const days of [-1, 0]) {
          (await face.calls(USER, { user: bob.bare, days })).isNotCoerced("Value is not a positive integer");
        }
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(USER, { user: "user@user.com" })).fails("domain_not_found", "not found");
      }
    },
    covers(
      "admin_flush_user_bin",
      "admin_try_flush_nonexistent_user_bin",
      "admin_try_flush_user_bin_nonexistent_domain",
    ),
  );

  story(
    "the bins of a domain",
    { kate: 0 },
    async ({ graphql, server, kate, account }) => {
      const other = await account("alice", "verona.example");
      const both = [kate.bare, other.bare];
      await tidy(server);
      for (const face of await graphql.administrators()) {
        for (const domain of ["localhost", "LOCALHOST"]) {
          await throwAway(server, both);
          (await face.calls(DOMAIN, { domain })).gives(1);
          if ((await kept(server, both)) !== 1) throw new Error("the bins of another domain were emptied");
          await throwAway(server, both);
          (await face.calls(DOMAIN, { domain, days: 1 })).gives(0);
          (await face.calls(DOMAIN, { domain })).gives(1);
        }
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(DOMAIN, { domain: "unknown-domain" })).fails("domain_not_found", "not found");
      }
    },
    covers("admin_flush_domain_bin", "admin_flush_unprepped_domain_bin", "admin_try_flush_nonexistent_domain_bin"),
  );

  story(
    "the bins of a host type",
    { kate: 0, mike: 0 },
    async ({ graphql, server, kate, mike, account }) => {
      const other = await account("alice", "verona.example");
      const all = [kate.bare, mike.bare, other.bare];
      await tidy(server);
      const globals: readonly Face[] = [graphql.admin, graphql.ctl];
      for (const face of globals) {
        await throwAway(server, all);
        (await face.calls(GLOBAL, { hostType: "localhost", days: 1 })).gives(0);
        if ((await kept(server, all)) !== 3) throw new Error("what is not old enough was deleted");
        (await face.calls(GLOBAL, { hostType: "localhost" })).gives(2);
        if ((await kept(server, all)) !== 1) throw new Error("the bins of another host type were emptied");
        (await face.calls(GLOBAL, { hostType: "nonexistent host type" })).fails("host_type_not_found", "not found");
      }
    },
    covers("admin_flush_global_bin", "admin_flush_global_bin_after_days", "admin_try_flush_nonexistent_host_type_bin"),
  );

  story(
    "the administrator of a domain has nothing to do with other bins",
    { alice: 0 },
    async ({ graphql, server, alice, account }) => {
      const other = await account("alice", "verona.example");
      await throwAway(server, [alice.bare, other.bare]);
      const face = await graphql.domainAdmin();
      for (const user of [other.bare, "user@user.com"]) (await face.calls(USER, { user })).isUnauthorized();
      for (const domain of ["verona.example", "external-domain"]) {
        (await face.calls(DOMAIN, { domain })).isUnauthorized();
      }
      for (const hostType of ["localhost", "nonexistent host type"]) {
        (await face.calls(GLOBAL, { hostType })).isUnauthorized();
      }
      if ((await kept(server, [alice.bare, other.bare])) !== 2) throw new Error("a bin was emptied");
    },
    covers(
      "domain_admin_flush_user_bin_no_permission",
      "domain_admin_try_flush_domain_bin_no_permission",
      "domain_admin_flush_global_bin_no_permission",
    ),
  );

  story(
    "a user empties his own bin",
    { bob: 0, kate: 0 },
    async ({ graphql, server, bob, kate }) => {
      await throwAway(server, [bob.bare, kate.bare], 2);
      (await graphql.user(bob).calls(OWN, { days: 3 })).gives(0);
      (await graphql.user(bob).calls(OWN)).gives(1);
      if ((await kept(server, [bob.bare, kate.bare])) !== 1) throw new Error("another's bin was emptied");
    },
    covers("user_flush_own_bin"),
  );
});

describe("without mod_inbox", () => {
  const { story } = stage(HOSTS);

  story(
    "nothing can be emptied",
    { bob: 0 },
    async ({ graphql, bob }) => {
      const lacks = async (face: Face, operation: string, args: object) =>
        (await face.calls(operation, { ...args })).lacks(["mod_inbox"]);
      for (const face of [graphql.admin, graphql.ctl]) {
        await lacks(face, USER, { user: bob.bare });
        for (const domain of ["localhost", "LOCALHOST"]) await lacks(face, DOMAIN, { domain });
        await lacks(face, GLOBAL, { hostType: "localhost", days: 10 });
      }
      await lacks(graphql.user(bob), OWN, {});
    },
    covers("user_flush_own_bin_inbox_not_configured"),
  );
});
