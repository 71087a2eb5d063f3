// Category blocklist (mod_blocklist): who may not log in.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import type { Face, Graphql } from "../support/graphql.ts";
import { blocks, hasBlocked, NS_STANZAS } from "../support/privacy.ts";
import { covering, type Scene, stage } from "../support/story.ts";

const covers = covering("graphql_blocklist_SUITE");
const faces = async (graphql: Graphql): Promise<Face[]> => [graphql.admin, graphql.ctl, await graphql.domainAdmin()];

/** The stream ends with this conflict. */
async function isKicked(c: Client, why: string): Promise<void> {
  const error = await c.receivesStreamError("conflict");
  expect(JSON.stringify(error)).toContain(why);
}

/** The client may authenticate, and is refused a session. */
async function isKeptOut(c: Client, { server, door }: Pick<Scene, "server" | "door">): Promise<void> {
  await c.connects(server.target(door));
  await c.opens();
  await c.authenticates();
  c.sendsRaw(`<iq xmlns='jabber:client' id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`);
  await c.receives`<iq id="b" type="error"><error type="cancel"><not-allowed xmlns="${NS_STANZAS}"/></error></iq>`;
}

describe("with mod_blocklist", () => {
  const { story } = stage({
    general: { hosts: ["localhost", "second.example"] },
    modules: { mod_blocklist: {} },
  });

  story(
    "a user who is added loses his sessions and gets no new one, until he is taken off",
    { romeo: 2 },
    async ({ romeo: [laptop, phone], graphql, another, account, actor, server, door }) => {
      const denied = () =>
        server.node.registry.list().find(({ name }) => name === "mod_blocklist_denied_count")?.values["count"];
      const before = denied() ?? 0;
      (await graphql.admin.calls("blocklist.addUser", { user: laptop.bare.toUpperCase(), reason: "Spam" })).gives(true);
      await isKicked(laptop, "Spam");
      await phone.receives`<presence from="${laptop.full}" type="unavailable"/>`;
      await isKicked(phone, "Spam");
      await isKeptOut(another(laptop), { server, door });
      expect(denied()).toBe(before + 1);
      (await graphql.admin.calls("blocklist.removeUser", { user: laptop.bare })).gives(true);
      await (await another(laptop).logsIn(server.target(door))).comesOnline();

      for (const face of [graphql.ctl, await graphql.domainAdmin()]) {
        const one = await (await actor("tybalt")).logsIn(server.target(door));
        (await face.calls("blocklist.addUser", { user: one.bare, reason: "Spam" })).gives(true);
        await isKicked(one, "Spam");
        await isKeptOut(another(one), { server, door });
        const other = await account("paris");
        (await face.calls("blocklist.removeUser", { user: other.bare })).gives(false);
        (await face.calls("blocklist.removeUser", { user: one.bare })).gives(true);
        (await face.calls("blocklist.removeUser", { user: one.bare })).gives(false);
        await another(one).logsIn(server.target(door));
      }
    },
    covers("admin_add_user", "admin_remove_user"),
  );

  story(
    "without a reason a usual one is told",
    {},
    async ({ graphql, actor, server, door }) => {
      for (const face of [graphql.admin, graphql.ctl]) {
        const one = await (await actor("tybalt")).logsIn(server.target(door));
        (await face.calls("blocklist.addUser", { user: one.bare })).gives(true);
        await isKicked(one, "Kicked by administrator");
        const listed = (await face.calls("blocklist.listBlockedUsers", { domain: "localhost" })).value;
        expect(listed).toContainEqual({ jid: one.bare, reason: null });
        // A later reason is in place of the first.
        (await face.calls("blocklist.addUser", { user: one.bare, reason: "Later" })).gives(true);
        const again = (await face.calls("blocklist.listBlockedUsers", { domain: "localhost" })).value;
        expect(again).toContainEqual({ jid: one.bare, reason: "Later" });
        (await face.calls("blocklist.removeUser", { user: one.bare })).gives(true);
      }
    },
    covers("admin_add_user_without_reason"),
  );

  story(
    "a stream that waits for its client ends too, and cannot be resumed",
    { romeo: 1 },
    async ({ romeo, graphql, another, server, door }) => {
      await romeo.managesStream();
      await romeo.breaks();
      (await graphql.admin.calls("blocklist.addUser", { user: romeo.bare })).gives(true);
      const again = another(romeo);
      await again.connects(server.target(door));
      await again.opens();
      await again.authenticates();
      again.sendsRaw(`<resume xmlns="urn:xmpp:sm:3" h="0" previd="${romeo.resumeId}"/>`);
      await again.skipsTo((e) => e.name === "failed");
    },
  );

  story(
    "what does not exist",
    {},
    async ({ graphql }) => {
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls("blocklist.addUser", { user: "abc@localhost", reason: "" })).isBadRequest();
        (await face.calls("blocklist.addUser", { user: "abc@abc", reason: "Spam" })).fails("domain_not_found");
        (await face.calls("blocklist.addUser", { user: "abc@localhost", reason: "Spam" })).fails("user_not_found");
        (await face.calls("blocklist.removeUser", { user: "abc@abc" })).fails("domain_not_found");
        (await face.calls("blocklist.removeUser", { user: "abc@localhost" })).gives(false);
        (await face.calls("blocklist.userCount", { domain: "unknown-domain" })).fails("domain_not_found");
        (await face.calls("blocklist.listBlockedUsers", { domain: "unknown-domain" })).fails("domain_not_found");
      }
    },
    {
      door: "tcp",
      ...covers(
        "admin_add_user_empty_reason",
        "admin_add_user_nonexisting",
        "admin_remove_user_nonexisting",
        "admin_user_count_unknown_domain",
        "admin_list_blocked_users_unknown_domain",
      ),
    },
  );

  story(
    "users are counted and listed, in pages too",
    {},
    async ({ graphql, account }) => {
      for (const face of await faces(graphql)) {
        const domain = "localhost";
        for (const { jid } of (await face.calls("blocklist.listBlockedUsers", { domain })).value as { jid: string }[]) {
          (await face.calls("blocklist.removeUser", { user: jid })).gives(true);
        }
        (await face.calls("blocklist.userCount", { domain })).gives(0);
        const [alice, bob] = [await account("alice"), await account("bob")];
        const entry = ({ bare }: { bare: string }) => ({ jid: bare, reason: "Spam" });
        (await face.calls("blocklist.addUser", { user: bob.bare, reason: "Spam" })).gives(true);
        (await face.calls("blocklist.userCount", { domain })).gives(1);
        (await face.calls("blocklist.addUser", { user: alice.bare, reason: "Spam" })).gives(true);
        (await face.calls("blocklist.userCount", { domain })).gives(2);
        (await face.calls("blocklist.listBlockedUsers", { domain })).gives([entry(alice), entry(bob)]);
        (await face.calls("blocklist.listBlockedUsers", { domain, limit: 1 })).gives([entry(alice)]);
        (await face.calls("blocklist.listBlockedUsers", { domain, limit: 1, index: 1 })).gives([entry(bob)]);
        (await face.calls("blocklist.listBlockedUsers", { domain, index: 1 })).gives([entry(bob)]);
        (await face.calls("blocklist.listBlockedUsers", { domain, limit: 0 })).isBadRequest();
        // The other domain is not concerned.
        (await graphql.admin.calls("blocklist.userCount", { domain: "second.example" })).gives(0);
      }
    },
    { door: "tcp", ...covers("admin_user_count", "admin_list_blocked_users", "admin_list_blocked_users_pagination") },
  );

  story(
    "an account that is removed is on no list",
    {},
    async ({ graphql, account }) => {
      for (const face of [graphql.admin, graphql.ctl]) {
        const { bare: user } = await account("alice");
        (await face.calls("blocklist.addUser", { user, reason: "Spam" })).gives(true);
        (await face.calls("account.removeUser", { user })).includes({ jid: user });
        (await face.calls("blocklist.removeUser", { user })).gives(false);
      }
    },
    { door: "tcp", ...covers("user_removal") },
  );

  story(
    "the administrator of a domain not for others",
    {},
    async ({ graphql, account }) => {
      const { bare: user } = await account("tybalt", "second.example");
      const face = await graphql.domainAdmin();
      (await face.calls("blocklist.addUser", { user, reason: "Spam" })).isUnauthorized();
      (await face.calls("blocklist.removeUser", { user })).isUnauthorized();
      for (const domain of ["second.example", "abc"]) {
        (await face.calls("blocklist.listBlockedUsers", { domain })).isUnauthorized();
        (await face.calls("blocklist.userCount", { domain })).isUnauthorized();
      }
      (await graphql.admin.calls("blocklist.userCount", { domain: "second.example" })).gives(0);
    },
    {
      door: "tcp",
      ...covers(
        "domain_admin_add_user_no_permission",
        "domain_admin_remove_user_no_permission",
        "domain_admin_list_blocked_users_no_permission",
        "domain_admin_user_count_no_permission",
      ),
    },
  );
});

describe("without mod_blocklist", () => {
  const { story } = stage();

  story(
    "there is no list",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      for (const face of await faces(graphql)) {
        for (const [operation, args] of [
          ["addUser", { user: romeo.bare, reason: "Spam" }],
          ["removeUser", { user: romeo.bare }],
          ["userCount", { domain: "localhost" }],
          ["listBlockedUsers", { domain: "localhost" }],
        ] as const) {
          (await face.calls(`blocklist.${operation}`, args)).lacks(["mod_blocklist"]);
        }
      }
      await romeo.receivesNothing();
    },
    {
      door: "tcp",
      ...covers(
        "admin_admin_user_not_configured",
        "admin_remove_user_not_configured",
        "admin_user_count_not_configured",
        "admin_list_blocked_users_not_configured",
      ),
    },
  );
});

describe("a domain that is removed", () => {
  const { story } = stage({
    general: { host_types: ["plain"] },
    services: { service_domain_db: {} },
    modules: { mod_blocklist: {}, mod_blocking: {} },
  });

  story(
    "takes its list and its users' block lists with it",
    {},
    async ({ graphql, actor, account, another, server, door }) => {
      const domain = `${door}.example`;
      await server.node.domains.add(domain, "plain");
      const romeo = await (await actor("romeo", domain)).logsIn(server.target(door));
      const tybalt = await account("tybalt", domain);
      await blocks(romeo, "block", tybalt.bare);
      (await graphql.admin.calls("blocklist.addUser", { user: tybalt.bare, reason: "Spam" })).gives(true);
      (await graphql.admin.calls("blocklist.userCount", { domain })).gives(1);
      await server.node.domains.remove(domain, "plain", true);
      await romeo.receivesStreamError("host-gone");
      (await graphql.admin.calls("blocklist.userCount", { domain })).fails("domain_not_found");

      await server.node.domains.add(domain, "plain");
      (await graphql.admin.calls("blocklist.userCount", { domain })).gives(0);
      await server.addAccount(romeo.local, domain, romeo.account.password);
      await hasBlocked(await another(romeo).logsIn(server.target(door)));
    },
    { covers: ["domain_removal_SUITE:blocklist_removal"] },
  );
});
