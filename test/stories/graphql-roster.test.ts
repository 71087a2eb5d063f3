// GraphQL category roster: contacts and subscriptions, for administrators and for users.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import type { Answer, Face, Graphql } from "../support/graphql.ts";
import { type Absent, covering, type Scene, stage } from "../support/story.ts";

const covers = covering("graphql_roster_SUITE", { door: "tcp" });
/** The same case for administrators and for users. */
const both = (...cases: string[]) => cases.flatMap((name) => [`admin_${name}`, `user_${name}`]);
const HOSTS = { general: { hosts: ["localhost", "verona.example"] } };
const UNKNOWN = "abc@abc";
const NOBODY = "abc@localhost";
const NOBODY2 = "abc2@localhost";
const FAMILY = ["Family"];

type Who = Client | Absent;
/** Calls an operation for a user: as himself, or as an administrator who names him. */
type Acts = (user: Who, operation: string, args?: object) => Promise<Answer>;
const administers =
  (face: Face): Acts =>
  (user, operation, args = {}) =>
    face.calls(`roster.${operation}`, { user: user.bare, ...args });
const himself =
  (graphql: Graphql): Acts =>
  (user, operation, args = {}) =>
    graphql.user(user).calls(`roster.${operation}`, { ...args });

/** Everybody who may act for a user of localhost. */
async function ways(graphql: Graphql): Promise<readonly Acts[]> {
  return [...(await graphql.administrators()).map(administers), himself(graphql)];
}

const contact = (who: { bare: string } | string, groups: readonly string[] | null = FAMILY) => {
  const jid = typeof who === "string" ? who : who.bare;
  return { jid, name: jid.slice(0, jid.indexOf("@")), ...(groups && { groups }) };
};
const named = (who: { bare: string } | string) => {
  const { jid, ...rest } = contact(who);
  return { contact: jid, ...rest };
};
const listed = (who: { bare: string }, subscription: string, groups = FAMILY) => ({
  ...contact(who),
  groups,
  subscription,
  ask: "NONE",
});

/** The roster of a user, as an administrator sees it, is exactly this. */
async function has(graphql: Graphql, user: Who, items: readonly { readonly jid: string }[]): Promise<void> {
  const found = (await graphql.admin.calls("roster.listContacts", { user: user.bare })).value as { jid: string }[];
  const byJid = (a: { jid: string }, b: { jid: string }) => (a.jid < b.jid ? -1 : 1);
  expect(found.toSorted(byJid)).toEqual(items.toSorted(byJid));
}

/** One contact as an administrator sees it; undefined when there is none. */
async function entry(graphql: Graphql, user: Who, of: Who): Promise<unknown> {
  const answer = await graphql.admin.calls("roster.getContact", { user: user.bare, contact: of.bare });
  if (answer.body.errors === undefined) return answer.value;
  answer.fails("contact_not_found");
  return undefined;
}

/** A client that wants to know of its roster, and is available. */
async function interested({ actor, server, door }: Scene, name: string): Promise<Client> {
  const client = await (await actor(name)).logsIn(server.target(door));
  client.says(`<iq type="get" id="roster"><query xmlns="jabber:iq:roster"/></iq>`);
  await client.hears(`<iq type="result" id="roster"/>`);
  return client.comesOnline();
}
const push = ({ bare, local }: Who, attributes: string) =>
  `<iq type="set"><query xmlns="jabber:iq:roster"><item jid="${bare}" name="${local}" ${attributes}><group>Family</group></item></query></iq>`;

describe("with mod_roster", () => {
  const { story } = stage(HOSTS);

  story(
    "a contact is added and deleted",
    {},
    async ({ graphql, account }) => {
      for (const acts of await ways(graphql)) {
        const [alice, bob] = [await account("alice"), await account("bob")];
        (await acts(alice, "addContact", named(bob))).gives(expect.stringContaining("successfully"));
        await has(graphql, alice, [listed(bob, "NONE")]);
        (await acts(alice, "deleteContact", { contact: bob.bare })).gives(expect.stringContaining("successfully"));
        await has(graphql, alice, []);
        (await acts(alice, "deleteContact", { contact: bob.bare })).fails("contact_not_found", "not exist");
        (await acts(alice, "addContact", named(UNKNOWN))).fails("user_not_exist", UNKNOWN);
        await has(graphql, alice, []);
      }
      for (const face of await graphql.administrators()) {
        (await face.calls("roster.addContact", { user: NOBODY, ...named(NOBODY2) })).fails("user_not_exist");
      }
      const other = await graphql.domainAdmin();
      const outside = (await account("mercutio", "verona.example")).bare;
      for (const [operation, args] of [
        ["roster.addContact", named(NOBODY2)],
        ["roster.deleteContact", { contact: UNKNOWN }],
      ] as const) {
        for (const face of [graphql.admin, graphql.ctl]) {
          (await face.calls(operation, { user: UNKNOWN, ...args })).fails("unknown_domain", "not found");
        }
        for (const user of [UNKNOWN, outside]) (await other.calls(operation, { user, ...args })).isUnauthorized();
      }
    },
    covers(
      ...both("add_and_delete_contact", "try_add_nonexistent_contact", "try_delete_nonexistent_contact"),
      "admin_try_add_contact_to_nonexistent_user",
      "admin_try_add_contact_with_unknown_domain",
      "admin_try_delete_contact_with_unknown_domain",
      "domain_admin_try_add_contact_with_unknown_domain",
      "domain_admin_try_add_contact_no_permission",
      "domain_admin_try_delete_contact_with_unknown_domain",
      "domain_admin_try_delete_contact_no_permission",
    ),
  );

  story(
    "several contacts are added and deleted; one that cannot be is null and an error",
    {},
    async ({ graphql, account }) => {
      for (const acts of await ways(graphql)) {
        const [alice, bob] = [await account("alice"), await account("bob")];
        const added = await acts(alice, "addContacts", { contacts: [contact(bob), contact(UNKNOWN)] });
        expect(added.body.data).toEqual({
          roster: { addContacts: [expect.stringContaining("successfully"), null] },
        });
        expect(added.error).toMatchObject({
          message: expect.stringContaining("does not exist"),
          path: ["roster", "addContacts", 1],
        });
        await has(graphql, alice, [listed(bob, "NONE")]);
        const deleted = await acts(alice, "deleteContacts", { contacts: [bob.bare, UNKNOWN] });
        expect(deleted.body.data).toEqual({
          roster: { deleteContacts: [expect.stringContaining("successfully"), null] },
        });
        expect(deleted.error).toMatchObject({ message: expect.stringContaining("does not exist") });
        await has(graphql, alice, []);
      }
    },
    covers(...both("add_contacts", "delete_contacts")),
  );

  story(
    "a roster is listed, and one contact of it",
    {},
    async ({ graphql, account, server }) => {
      for (const acts of await ways(graphql)) {
        const [alice, bob] = [await account("alice"), await account("bob")];
        const item = { jid: bob.bare, name: "Bobek", groups: FAMILY, subscription: "NONE", ask: "NONE" };
        const add = { contact: bob.bare, name: "Bobek", groups: FAMILY };
        (await acts(alice, "addContact", add)).gives(expect.any(String));
        const gets = () =>
          server.node.registry
            .list()
            .find(({ name, labels }) => name === "mod_roster_get_count" && labels["host_type"] === "localhost")?.values[
            "count"
          ] ?? 0;
        const before = gets();
        (await acts(alice, "listContacts")).gives([item]);
        expect(gets()).toBe(before + 1);
        (await acts(alice, "getContact", { contact: bob.bare })).gives(item);
        (await acts(alice, "getContact", { contact: UNKNOWN })).fails("contact_not_found", "does not exist");
      }
      const list = "roster.listContacts";
      const get = "roster.getContact";
      const contact = NOBODY;
      for (const face of await graphql.administrators()) {
        (await face.calls(list, { user: NOBODY })).fails("user_not_exist");
        (await face.calls(get, { user: NOBODY, contact })).fails("contact_not_found", "does not exist");
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(list, { user: UNKNOWN })).fails("unknown_domain", "not found");
        (await face.calls(get, { user: UNKNOWN, contact })).fails("unknown_domain", "not found");
      }
      const other = await graphql.domainAdmin();
      const outside = (await account("mercutio", "verona.example")).bare;
      for (const user of [UNKNOWN, outside]) {
        (await other.calls(list, { user })).isUnauthorized();
        (await other.calls(get, { user, contact })).isUnauthorized();
      }
    },
    covers(
      ...both("list_contacts", "get_contact"),
      "user_get_nonexistent_contact",
      "admin_list_contacts_wrong_user",
      "admin_get_contact_wrong_user",
      "domain_admin_list_contacts_wrong_user",
      "domain_admin_list_contacts_no_permission",
      "domain_admin_get_contact_wrong_user",
      "domain_admin_get_contacts_no_permission",
    ),
  );

  story(
    "a subscription is asked for, accepted and cancelled",
    {},
    async (scene) => {
      const { graphql } = scene;
      for (const acts of await ways(graphql)) {
        const alice = await interested(scene, "alice");
        const bob = await interested(scene, "bob");
        (await acts(alice, "addContact", named(bob))).gives(expect.any(String));
        (await acts(bob, "addContact", named(alice))).gives(expect.any(String));
        await alice.hears(push(bob, 'subscription="none"'));
        await bob.hears(push(alice, 'subscription="none"'));
        const subscription = (user: Who, of: Who, action: string) =>
          acts(user, "subscription", { contact: of.bare, action });
        (await subscription(alice, bob, "INVITE")).gives(expect.any(String));
        await alice.hears(push(bob, 'subscription="none" ask="subscribe"'));
        await bob.hears(`<presence type="subscribe" from="${alice.bare}"/>`);
        expect(await entry(graphql, alice, bob)).toMatchObject({ ask: "OUT", subscription: "NONE" });
        (await subscription(bob, alice, "ACCEPT")).gives(expect.any(String));
        await bob.hears(push(alice, 'subscription="from"'));
        await alice.hears(
          `<presence type="subscribed" from="${bob.bare}"/>${push(bob, 'subscription="to"')}<presence from="${bob.full}"/>`,
        );
        expect(await entry(graphql, bob, alice)).toMatchObject({ ask: "NONE", subscription: "FROM" });
        (await subscription(alice, bob, "CANCEL")).gives(expect.any(String));
        await alice.skipsTo((e) => e.name === "iq" && e.attrs["type"] === "set");
        expect(await entry(graphql, alice, bob)).toMatchObject({ ask: "NONE", subscription: "NONE" });
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        const args = { user: UNKNOWN, contact: NOBODY, action: "INVITE" };
        (await face.calls("roster.subscription", args)).fails("unknown_domain", "not found");
      }
    },
    covers(...both("invite_accept_and_cancel_subscription"), "admin_try_subscribe_with_unknown_domain"),
  );

  story(
    "a request is declined: a contact without name and groups is gone then, another one stays",
    {},
    async (scene) => {
      const { graphql } = scene;
      for (const [n, acts] of [...(await ways(graphql)), himself(graphql)].entries()) {
        const alice = await interested(scene, "alice");
        const bob = await interested(scene, "bob");
        const plain = n < 4;
        for (const [one, other] of [
          [alice, bob],
          [bob, alice],
        ]) {
          (await acts(one, "addContact", plain ? { contact: other.bare } : named(other))).gives(expect.any(String));
        }
        (await acts(bob, "subscription", { contact: alice.bare, action: "INVITE" })).gives(expect.any(String));
        expect(await entry(graphql, alice, bob)).toMatchObject({ ask: "IN", subscription: "NONE" });
        expect(await entry(graphql, bob, alice)).toMatchObject({ ask: "OUT", subscription: "NONE" });
        (await acts(alice, "subscription", { contact: bob.bare, action: "DECLINE" })).gives(expect.any(String));
        if (plain) expect(await entry(graphql, alice, bob)).toBeUndefined();
        else await has(graphql, alice, [listed(bob, "NONE")]);
        expect(await entry(graphql, bob, alice)).toMatchObject({ ask: "NONE", subscription: "NONE" });
      }
    },
    covers("admin_decline_subscription_ask"),
  );

  story(
    "two users are connected both ways and parted",
    {},
    async ({ graphql, account }) => {
      const mutual = "roster.setMutualSubscription";
      for (const face of await graphql.administrators()) {
        const [alice, bob] = [await account("alice"), await account("bob")];
        const users = { userA: alice.bare, userB: bob.bare };
        (await face.calls(mutual, { ...users, action: "CONNECT" })).gives(expect.stringContaining("successfully"));
        expect(await entry(graphql, alice, bob)).toMatchObject({ ask: "NONE", subscription: "BOTH" });
        expect(await entry(graphql, bob, alice)).toMatchObject({ ask: "NONE", subscription: "BOTH" });
        (await face.calls(mutual, { ...users, action: "DISCONNECT" })).gives(expect.stringContaining("successfully"));
        await has(graphql, alice, []);
        await has(graphql, bob, []);
      }
      const other = await graphql.domainAdmin();
      const [outside, bob] = [await account("mercutio", "verona.example"), await account("bob")];
      for (const action of ["CONNECT", "DISCONNECT"]) {
        for (const face of [graphql.admin, graphql.ctl]) {
          (await face.calls(mutual, { userA: UNKNOWN, userB: NOBODY, action })).fails("unknown_domain", "not found");
        }
        (await other.calls(mutual, { userA: UNKNOWN, userB: NOBODY, action })).isUnauthorized();
        (await other.calls(mutual, { userA: outside.bare, userB: bob.bare, action })).isUnauthorized();
      }
      await has(graphql, bob, []);
    },
    covers(
      "admin_set_mutual_subscription",
      "admin_set_mutual_subscription_try_connect_nonexistent_users",
      "admin_set_mutual_subscription_try_disconnect_nonexistent_users",
      "domain_admin_set_mutual_subscription_try_connect_nonexistent_users",
      "domain_admin_set_mutual_subscription_try_connect_users_no_permission",
      "domain_admin_set_mutual_subscription_try_disconnect_nonexistent_users",
      "domain_admin_set_mutual_subscription_try_disconnect_users_no_permission",
    ),
  );

  story(
    "one user is connected to all of some, with groups and without",
    {},
    async ({ graphql, account }) => {
      const toAll = "roster.subscribeToAll";
      const created = expect.stringContaining("created successfully");
      for (const face of await graphql.administrators()) {
        for (const groups of [FAMILY, null]) {
          const [alice, bob, kate] = [await account("alice"), await account("bob"), await account("kate")];
          const contacts = [contact(bob, groups), contact(kate, groups)];
          (await face.calls(toAll, { user: contact(alice, groups), contacts })).gives([created, created]);
          const shown = groups ?? [];
          await has(graphql, alice, [listed(bob, "BOTH", shown), listed(kate, "BOTH", shown)]);
          await has(graphql, bob, [listed(alice, "BOTH", shown)]);
          await has(graphql, kate, [listed(alice, "BOTH", shown)]);
        }
        const [alice, bob] = [await account("alice"), await account("bob")];
        const contacts = [contact(bob), contact(UNKNOWN)];
        const partly = await face.calls(toAll, { user: contact(alice), contacts });
        expect(partly.body.data).toEqual({ roster: { subscribeToAll: [created, null] } });
        expect(partly.error.message).toContain("does not exist");
        await has(graphql, alice, [listed(bob, "BOTH")]);
        await has(graphql, bob, [listed(alice, "BOTH")]);
      }
      const other = await graphql.domainAdmin();
      const outside = await account("mercutio", "verona.example");
      for (const face of [graphql.admin, other]) (await face.calls(toAll)).isBadRequest("missing_non_null_param");
      expect(await graphql.ctl.runs("roster", "subscribeToAll")).toMatchObject({
        exitCode: 1,
        err: expect.stringContaining("Missing mandatory arguments"),
      });
      (await other.calls(toAll, { user: contact(outside), contacts: [] })).isUnauthorized();
    },
    covers(
      "admin_subscribe_to_all",
      "admin_subscribe_to_all_with_wrong_user",
      "admin_subscribe_to_all_no_groups",
      "admin_subscribe_to_all_without_arguments",
      "domain_admin_subscribe_to_all_with_wrong_user",
      "domain_admin_subscribe_to_all_no_permission",
    ),
  );

  story(
    "some users are all connected to one another, with groups and without",
    {},
    async ({ graphql, account }) => {
      const all = "roster.subscribeAllToAll";
      const created = expect.stringContaining("created successfully");
      for (const face of await graphql.administrators()) {
        for (const groups of [FAMILY, null]) {
          const three = [await account("alice"), await account("bob"), await account("kate")];
          const contacts = three.map((who) => contact(who, groups));
          (await face.calls(all, { contacts })).gives([created, created, created]);
          for (const who of three) {
            const others = three.filter((one) => one !== who).map((one) => listed(one, "BOTH", groups ?? []));
            await has(graphql, who, others);
          }
        }
        (await face.calls(all, { contacts: [] })).gives([]);
        const [alice, bob] = [await account("alice"), await account("bob")];
        const partly = await face.calls(all, { contacts: [contact(alice), contact(bob), contact(UNKNOWN)] });
        if (face.name === "domain_admin") {
          partly.isUnauthorized();
          await has(graphql, alice, []);
        } else {
          expect(partly.body.data).toEqual({ roster: { subscribeAllToAll: [created, null, null] } });
          expect(partly.body.errors).toHaveLength(2);
          for (const error of partly.body.errors ?? []) expect(error.message).toContain("does not exist");
          await has(graphql, alice, [listed(bob, "BOTH")]);
          await has(graphql, bob, [listed(alice, "BOTH")]);
        }
      }
      const other = await graphql.domainAdmin();
      for (const face of [graphql.admin, other]) (await face.calls(all)).isBadRequest("missing_non_null_param");
      expect(await graphql.ctl.runs("roster", "subscribeAllToAll")).toMatchObject({
        exitCode: 1,
        err: expect.stringContaining("Missing mandatory arguments"),
      });
      const [outside, bob] = [await account("mercutio", "verona.example"), await account("bob")];
      (await other.calls(all, { contacts: [contact(outside), contact(bob)] })).isUnauthorized();
      await has(graphql, bob, []);
    },
    covers(
      "admin_subscribe_all_to_all",
      "admin_subscribe_all_to_all_with_wrong_user",
      "admin_subscribe_all_to_all_no_groups",
      "admin_subscribe_all_to_all_without_arguments",
      "admin_subscribe_all_to_all_empty_list",
      "domain_admin_subscribe_all_to_all_with_wrong_user",
      "domain_admin_subscribe_all_to_all_no_permission",
    ),
  );
});

describe("without mod_roster", () => {
  const { story } = stage({ ...HOSTS, modules: { mod_roster: null } });

  story(
    "there are no contacts to speak of",
    { alice: 0, bob: 0 },
    async ({ graphql, alice, bob }) => {
      const faces = [graphql.admin, graphql.ctl];
      for (const acts of [...faces.map(administers), himself(graphql)]) {
        for (const [operation, args] of [
          ["addContact", named(bob)],
          ["deleteContact", { contact: bob.bare }],
          ["addContacts", { contacts: [contact(bob), contact(UNKNOWN)] }],
          ["deleteContacts", { contacts: [bob.bare, UNKNOWN] }],
          ["subscription", { contact: bob.bare, action: "INVITE" }],
          ["listContacts", {}],
          ["getContact", { contact: bob.bare }],
        ] as const) {
          (await acts(alice, operation, args)).lacks(["mod_roster"]);
        }
      }
      for (const face of faces) {
        const [a, b] = [contact(alice), contact(bob)];
        for (const [operation, args] of [
          ["setMutualSubscription", { userA: alice.bare, userB: bob.bare, action: "CONNECT" }],
          ["subscribeToAll", { user: a, contacts: [b, contact(UNKNOWN)] }],
          ["subscribeAllToAll", { contacts: [a, b, contact(UNKNOWN)] }],
        ] as const) {
          (await face.calls(`roster.${operation}`, args)).lacks(["mod_roster"]);
        }
      }
    },
    covers(
      ...both(
        "add_and_delete_contact_not_configured",
        "add_contacts_not_configured",
        "subscription_not_configured",
        "delete_contacts_not_configured",
        "list_contacts_not_configured",
        "get_contact_not_configured",
      ),
      "admin_set_mutual_subscription_not_configured",
      "admin_subscribe_to_all_not_configured",
      "admin_subscribe_all_to_all_not_configured",
    ),
  );
});
