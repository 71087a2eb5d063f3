// GraphQL category last: when users were last seen, for administrators and for users.
import { describe, expect } from "vitest";
import type { Face } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_last_SUITE", { door: "tcp" });
const HOSTS = { general: { hosts: ["localhost", "verona.example"] } };
const UNKNOWN = "user@user.com";
const NOBODY = "user@localhost";
const NAMELESS = "@localhost";
const WHEN = "2022-04-17T12:58:30.000000Z";
const INVALID = "20222-04-17T12:58:30.000000Z";
const LAST = ["mod_last"];

const seconds = (text: unknown): number => Date.parse(String(text)) / 1000;
/** The time so many seconds from now, to the second. */
const from = (offset: number): string => `${new Date(Date.now() + offset * 1000).toISOString().slice(0, 19)}Z`;

describe("with mod_last", () => {
  const { story } = stage(HOSTS);

  story(
    "administrators set and get when a user was last seen",
    {},
    async ({ graphql, account }) => {
      for (const face of await graphql.administrators()) {
        const user = (await account("alice")).bare;
        (await face.calls("last.getLast", { user })).fails("last_not_found", "not found");
        const first = { user, status: "First status", timestamp: WHEN };
        (await face.calls("last.setLast", first)).gives(first);
        (await face.calls("last.getLast", { user })).gives(first);
        const now = (await face.calls("last.setLast", { user, status: "Second status" })).value;
        expect(now).toMatchObject({ user, status: "Second status" });
        expect(Math.abs(Date.now() / 1000 - seconds((now as typeof first).timestamp))).toBeLessThan(2);
        (await face.calls("last.setLast", { ...first, timestamp: INVALID })).isNotCoerced("failed_to_parse_datetime");
        for (const timestamp of ["1969-12-31T23:59:59Z", "2038-01-19T03:14:08Z", "9999-12-31T23:59:59Z"]) {
          (await face.calls("last.setLast", { ...first, timestamp })).fails("bad_timestamp", "from 1970");
        }
        for (const operation of ["last.setLast", "last.getLast"]) {
          const status = operation === "last.setLast" ? { status: "status" } : {};
          (await face.calls(operation, { user: NOBODY, ...status })).fails("user_does_not_exist", "not exist");
          (await face.calls(operation, { user: NAMELESS, ...status })).isNotCoerced("failed_to_parse_jid");
        }
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls("last.setLast", { user: UNKNOWN, status: "status" })).fails(
          "user_does_not_exist",
          "not exist",
        );
        (await face.calls("last.getLast", { user: UNKNOWN })).fails("user_does_not_exist", "not exist");
      }
      const outside = (await account("mercutio", "verona.example")).bare;
      const other = await graphql.domainAdmin();
      for (const user of [outside, UNKNOWN]) {
        (await other.calls("last.setLast", { user, status: "status" })).isUnauthorized();
        (await other.calls("last.getLast", { user })).isUnauthorized();
      }
    },
    covers(
      "admin_set_last",
      "admin_try_set_nonexistent_user_last",
      "admin_try_set_last_invalid_timestamp",
      "admin_get_last",
      "admin_get_nonexistent_user_last",
      "admin_try_get_nonexistent_last",
      "domain_admin_set_user_last_no_permission",
      "domain_admin_get_user_last_no_permission",
    ),
  );

  story(
    "users set their own and see each other's",
    { alice: 0, bob: 0 },
    async ({ graphql, alice, bob }) => {
      const own = graphql.user(alice);
      const first = { user: alice.bare, status: "My first status", timestamp: WHEN };
      (await own.calls("last.setLast", { status: first.status, timestamp: WHEN })).gives(first);
      (await own.calls("last.getLast", { user: alice.bare })).gives(first);
      (await own.calls("last.getLast")).gives(first);
      const now = (await own.calls("last.setLast", { status: "Quack Quack" })).value as typeof first;
      expect(now).toMatchObject({ user: alice.bare, status: "Quack Quack" });
      expect(Math.abs(Date.now() / 1000 - seconds(now.timestamp))).toBeLessThan(2);
      (await graphql.user(bob).calls("last.setLast", { status: "In good mood", timestamp: WHEN })).includes({
        user: bob.bare,
      });
      (await own.calls("last.getLast", { user: bob.bare })).gives({
        user: bob.bare,
        status: "In good mood",
        timestamp: WHEN,
      });
    },
    covers("user_set_last", "user_get_last", "user_get_other_user_last"),
  );
});

describe("active users", () => {
  const { story } = stage(HOSTS);

  story(
    "are counted",
    { alice: 0, bob: 0 },
    async ({ graphql, alice, bob }) => {
      const count = "last.countActiveUsers";
      for (const face of await graphql.administrators()) {
        for (const [user, offset] of [
          [alice.bare, 50],
          [bob.bare, 100],
        ] as const) {
          (await face.calls("last.setLast", { user, status: "", timestamp: from(offset) })).includes({ user });
        }
        for (const domain of ["localhost", "LOCALHOST"]) (await face.calls(count, { domain })).gives(2);
        (await face.calls(count, { domain: "localhost", timestamp: from(300) })).gives(0);
        (await face.calls(count, { domain: "localhost", timestamp: INVALID })).isNotCoerced();
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(count, { domain: "unknown-domain.com" })).fails("domain_not_found", "not found");
      }
      const other = await graphql.domainAdmin();
      for (const domain of ["nonexistent", "verona.example"]) (await other.calls(count, { domain })).isUnauthorized();
    },
    covers(
      "admin_count_active_users",
      "admin_try_count_nonexistent_domain_active_users",
      "admin_try_count_active_users_invalid_timestamp",
      "domain_admin_try_count_external_domain_active_users",
    ),
  );
});

describe("old users", () => {
  const { story } = stage(HOSTS);

  story(
    "are listed and removed, of one domain or of all",
    {},
    async ({ graphql, account }) => {
      const old = from(100);
      const before = from(150);
      const seen = async (face: Face, user: string, timestamp: string) =>
        (await face.calls("last.setLast", { user, status: "", timestamp })).includes({ user });
      const exists = async (user: string): Promise<unknown> =>
        ((await graphql.admin.calls("account.checkUser", { user })).value as { exist: boolean }).exist;
      const entry = (user: string) => ({ jid: user, timestamp: old.replace("Z", ".000000Z") });

      for (const face of await graphql.administrators()) {
        const global = face.name !== "domain_admin";
        const alice = (await account("alice")).bare;
        const bis = (await account("alice", "verona.example")).bare;
        let bob = (await account("bob")).bare;
        await seen(face, bob, old);
        await seen(graphql.admin, bis, old);
        await seen(face, alice, from(200));
        (await face.calls("last.listOldUsers", { domain: "localhost", timestamp: before })).gives([entry(bob)]);
        const everywhere = await face.calls("last.listOldUsers", { timestamp: before });
        if (global) expect(everywhere.value).toHaveLength(2);
        if (global) expect(everywhere.value).toEqual(expect.arrayContaining([entry(bob), entry(bis)]));
        else everywhere.isUnauthorized();
        (await face.calls("last.removeOldUsers", { domain: "localhost", timestamp: before })).gives([entry(bob)]);
        expect([await exists(bob), await exists(alice), await exists(bis)]).toEqual([false, true, true]);
        bob = (await account("bob")).bare;
        await seen(face, bob, old);
        const removed = await face.calls("last.removeOldUsers", { timestamp: before });
        if (global) {
          expect(removed.value).toHaveLength(2);
          expect(removed.value).toEqual(expect.arrayContaining([entry(bob), entry(bis)]));
          expect([await exists(bob), await exists(alice), await exists(bis)]).toEqual([false, true, false]);
        } else {
          removed.isUnauthorized();
          expect([await exists(bob), await exists(alice), await exists(bis)]).toEqual([true, true, true]);
        }
        for (const operation of ["last.listOldUsers", "last.removeOldUsers"]) {
          (await face.calls(operation, { domain: "localhost", timestamp: INVALID })).isNotCoerced();
          const unknown = await face.calls(operation, { domain: "nonexistent", timestamp: from(0) });
          if (global) unknown.fails("domain_not_found", "not found");
          else unknown.isUnauthorized();
          const external = await face.calls(operation, { domain: "verona.example", timestamp: from(0) });
          if (!global) external.isUnauthorized();
        }
      }
    },
    covers(
      "admin_list_old_users_domain",
      "admin_try_list_old_users_nonexistent_domain",
      "admin_try_list_old_users_invalid_timestamp",
      "admin_list_old_users_global",
      "admin_remove_old_users_domain",
      "admin_try_remove_old_users_nonexistent_domain",
      "admin_try_remove_old_users_invalid_timestamp",
      "admin_remove_old_users_global",
      "domain_admin_try_list_old_users_external_domain",
      "domain_admin_list_old_users_global",
      "domain_admin_remove_old_users_global",
      "domain_admin_try_remove_old_users_external_domain",
    ),
  );
});

describe("who is old", () => {
  const { story } = stage(HOSTS);

  story(
    "one who is logged in is not; one who has never been seen is",
    { romeo: 1 },
    async ({ graphql, account }) => {
      const list = { timestamp: from(100) };
      const other = await graphql.domainAdmin();
      for (const face of [graphql.admin, graphql.ctl]) (await face.calls("last.listOldUsers", list)).gives([]);
      (await other.calls("last.listOldUsers", list)).isUnauthorized();
      const never = [await account("alice"), await account("bob"), await account("alice", "verona.example")];
      for (const face of [graphql.admin, graphql.ctl]) {
        const found = (await face.calls("last.listOldUsers", list)).value;
        expect(found).toHaveLength(3);
        expect(found).toEqual(expect.arrayContaining(never.map(({ bare }) => ({ jid: bare, timestamp: null }))));
      }
      (await other.calls("last.listOldUsers", list)).isUnauthorized();
    },
    covers(
      "admin_user_without_last_info_is_old_user",
      "admin_logged_user_is_not_old_user",
      "domain_admin_user_without_last_info_is_old_user",
      "domain_admin_logged_user_is_not_old_user",
    ),
  );
});

describe("without mod_last", () => {
  const { story } = stage({ ...HOSTS, modules: { mod_last: null } });

  story(
    "nothing of it works, and there are no old users",
    { alice: 0 },
    async ({ graphql, alice }) => {
      const user = alice.bare;
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls("last.setLast", { user, status: "First status", timestamp: WHEN })).lacks(LAST);
        (await face.calls("last.getLast", { user })).lacks(LAST);
        for (const domain of ["localhost", "LOCALHOST"]) {
          (await face.calls("last.countActiveUsers", { domain })).lacks(LAST);
          for (const operation of ["last.listOldUsers", "last.removeOldUsers"]) {
            (await face.calls(operation, { domain, timestamp: from(150) })).lacks(LAST);
          }
        }
        for (const operation of ["last.listOldUsers", "last.removeOldUsers"]) {
          (await face.calls(operation, { timestamp: from(150) })).gives([]);
        }
      }
      const own = graphql.user(alice);
      (await own.calls("last.setLast", { status: "My first status", timestamp: WHEN })).lacks(LAST);
      (await own.calls("last.getLast", { user })).lacks(LAST);
      (await graphql.admin.calls("account.checkUser", { user })).includes({ exist: true });
    },
    covers(
      "admin_set_last_not_configured",
      "admin_get_last_not_configured",
      "admin_count_active_users_last_not_configured",
      "admin_remove_old_users_domain_last_not_configured",
      "admin_remove_old_users_global_last_not_configured",
      "admin_list_old_users_domain_last_not_configured",
      "admin_list_old_users_global_last_not_configured",
      "user_set_last_not_configured",
      "user_get_last_not_configured",
    ),
  );
});
