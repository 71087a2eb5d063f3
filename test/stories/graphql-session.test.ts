// GraphQL category session: who is connected, for administrators and for users.
import { describe, expect } from "vitest";
import type { Face, Graphql } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_session_SUITE", { door: "tcp" });
const HOSTS = { general: { hosts: ["localhost", "verona.example"] } };
const ALIEN = "alien@localhost";
const NO_USER = /^Given user does not exist$/;
const NO_DOMAIN = /^Domain not found$/;
const globals = (graphql: Graphql): readonly Face[] => [graphql.admin, graphql.ctl];

const usersOf = (value: unknown): string[] => (value as { user: string }[]).map(({ user }) => user).sort();

describe("all sessions", () => {
  const { story } = stage(HOSTS);

  story(
    "are listed and counted, of one domain or of all",
    { alice: 1, bob: 1 },
    async ({ graphql, alice, bob, actor, server, door }) => {
      const bis = await (await actor("alice", "verona.example")).logsIn(server.target(door));
      const [list, count] = ["session.listSessions", "session.countSessions"];
      for (const face of globals(graphql)) {
        const all = (await face.calls(list)).value;
        expect(usersOf(all)).toEqual([alice.full, bob.full, bis.full].sort());
        expect(all).toContainEqual({
          user: alice.full,
          connection: "tcp",
          ip: "127.0.0.1",
          port: expect.any(Number),
          priority: 0,
          node: server.node.name,
          uptime: expect.any(Number),
        });
        (await face.calls(count)).gives(3);
        for (const domain of ["verona.example", "Verona.Example"]) {
          expect(usersOf((await face.calls(list, { domain })).value)).toEqual([bis.full]);
          (await face.calls(count, { domain })).gives(1);
        }
        for (const operation of [list, count]) {
          (await face.calls(operation, { domain: "nonexisting" })).fails("domain_not_found", NO_DOMAIN);
        }
      }
      const own = await graphql.domainAdmin();
      for (const operation of [list, count]) {
        (await own.calls(operation)).isUnauthorized();
        (await own.calls(operation, { domain: "verona.example" })).isUnauthorized();
      }
      expect(usersOf((await own.calls(list, { domain: "localhost" })).value)).toEqual([alice.full, bob.full].sort());
      (await own.calls(count, { domain: "localhost" })).gives(2);
    },
    covers("admin_list_sessions", "admin_count_sessions", "domain_admin_list_sessions", "domain_admin_count_sessions"),
  );
});

describe("sessions with a status", () => {
  const { story } = stage(HOSTS);

  story(
    "are listed and counted",
    { alice: 1 },
    async ({ graphql, alice, actor, server, door }) => {
      const bis = await (await actor("alice", "verona.example")).logsIn(server.target(door));
      const are = async (face: Face, status: string, domain: string | undefined, expected: string[]) => {
        const args = { status, ...(domain !== undefined && { domain }) };
        const found = (await face.calls("session.listUsersWithStatus", args)).value;
        expect(usersOf(found)).toEqual(expected.sort());
        (await face.calls("session.countUsersWithStatus", args)).gives(expected.length);
      };
      const shows = async (client: typeof alice, show: string) => {
        client.sends`<presence><show>${show}</show><status>so it is</status></presence>`;
        await client.receives`<presence from="${client.full}"><show>${show}</show><status>so it is</status></presence>`;
      };
      const own = await graphql.domainAdmin();
      for (const face of globals(graphql)) {
        await shows(alice, "away");
        await shows(bis, "away");
        await are(face, "away", undefined, [alice.full, bis.full]);
        for (const domain of ["localhost", "LOCALHOST"]) await are(face, "away", domain, [alice.full]);
        await shows(bis, "dnd");
        await are(face, "dnd", undefined, [bis.full]);
        (await face.calls("session.listUsersWithStatus", { status: "dnd" })).gives([
          { user: bis.full, priority: 0, text: "so it is" },
        ]);
        for (const operation of ["session.listUsersWithStatus", "session.countUsersWithStatus"]) {
          const unknown = await face.calls(operation, { status: "dnd", domain: "nonexisting" });
          unknown.fails("domain_not_found", NO_DOMAIN);
        }
      }
      for (const show of ["away", "dnd"]) {
        await shows(alice, show);
        for (const domain of ["localhost", "LOCALHOST"]) await are(own, show, domain, [alice.full]);
        for (const operation of ["session.listUsersWithStatus", "session.countUsersWithStatus"]) {
          (await own.calls(operation, { status: show })).isUnauthorized();
          (await own.calls(operation, { status: show, domain: "verona.example" })).isUnauthorized();
        }
      }
    },
    covers(
      "admin_list_users_with_status",
      "admin_count_users_with_status",
      "domain_admin_list_users_with_status",
      "domain_admin_count_users_with_status",
    ),
  );
});

describe("the sessions of a user", () => {
  const { story } = stage(HOSTS);

  story(
    "are told to himself",
    { alice: 3, bob: 0 },
    async ({ graphql, alice, bob }) => {
      const own = graphql.user(alice[0]);
      (await own.calls("session.listResources")).gives(alice.map(({ resource }) => resource).sort());
      (await own.calls("session.countResources")).gives(3);
      const sessions = (await own.calls("session.listSessions")).value;
      expect(usersOf(sessions)).toEqual(alice.map(({ full }) => full).sort());
      const none = graphql.user(bob);
      (await none.calls("session.listResources")).gives([]);
      (await none.calls("session.countResources")).gives(0);
      (await none.calls("session.listSessions")).gives([]);
    },
    covers("user_list_resources", "user_count_resources", "user_sessions_info"),
  );

  story(
    "are listed, counted and numbered",
    { alice: 3, bob: 1 },
    async ({ graphql, alice, actor }) => {
      const [list, count, get] = ["listUserSessions", "countUserResources", "getUserResource"].map(
        (name) => `session.${name}`,
      );
      const user = alice[0].bare;
      for (const face of await graphql.administrators()) {
        const sessions = (await face.calls(list, { user: alice[0].full })).value;
        expect(usersOf(sessions)).toEqual(alice.map(({ full }) => full).sort());
        (await face.calls(count, { user: alice[0].full })).gives(3);
        (await face.calls(get, { user, number: 2 })).gives(alice.map(({ resource }) => resource).sort()[1]);
        (await face.calls(get, { user, number: 4 })).fails("wrong_res_number", "Wrong resource number");
        (await face.calls(list, { user: ALIEN })).fails("user_not_found", NO_USER);
        (await face.calls(count, { user: ALIEN })).fails("user_not_found", NO_USER);
        (await face.calls(get, { user: ALIEN, number: 1 })).fails("user_not_found", NO_USER);
      }
      const other = await graphql.domainAdmin();
      const outside = (await actor("alice", "verona.example")).bare;
      (await other.calls(list, { user: outside })).isUnauthorized();
      (await other.calls(count, { user: outside })).isUnauthorized();
      (await other.calls(get, { user: outside, number: 2 })).isUnauthorized();
    },
    covers(
      "admin_list_user_sessions",
      "admin_count_user_resources",
      "admin_get_user_resource",
      "domain_admin_list_user_sessions_no_permission",
      "domain_admin_count_user_resources_no_permission",
      "domain_admin_get_user_resource_no_permission",
    ),
  );

  story(
    "are closed, one or all",
    {},
    async ({ graphql, actor, another, server, door }) => {
      const [session, all] = ["session.kickUserSession", "session.kickUser"];
      const reason = "Test kick";
      const three = async () => {
        const first = await (await actor("alice")).logsIn(server.target(door));
        const more = [another(first), another(first)];
        for (const client of more) await client.logsIn(server.target(door));
        return [first, ...more];
      };
      for (const face of await graphql.administrators()) {
        const [a, b, c] = await three();
        (await face.calls(session, { user: a.full, reason })).gives({
          jid: a.full,
          kicked: true,
          code: null,
          message: "Session kicked",
        });
        const error = await a.receivesStreamError("conflict");
        expect(error).toBeDefined();
        (await face.calls(session, { user: a.full, reason })).fails("no_session", "No active session");
        (await face.calls(session, { user: b.bare, reason })).isNotCoerced("jid_without_resource");
        (await face.calls(session, { user: b.full })).includes({ message: expect.stringContaining("kicked") });
        await b.receivesStreamError("conflict");
        (await face.calls(session, { user: `${ALIEN}/mobile` })).fails("user_not_found", NO_USER);
        await c.receivesNothing();

        const users = await three();
        const kicked = (await face.calls(all, { user: users[0].bare, reason })).value;
        expect(kicked).toHaveLength(3);
        expect(kicked).toEqual(
          expect.arrayContaining(
            users.map(({ full }) => ({ jid: full, kicked: true, code: null, message: "Session kicked" })),
          ),
        );
        for (const user of users) await user.receivesStreamError("conflict");
        (await face.calls(all, { user: ALIEN })).fails("user_not_found", NO_USER);
      }
      const outside = await (await actor("alice", "verona.example")).logsIn(server.target(door));
      const other = await graphql.domainAdmin();
      (await other.calls(session, { user: outside.full, reason })).isUnauthorized();
      (await other.calls(all, { user: outside.bare, reason })).isUnauthorized();
      await outside.receivesNothing();
    },
    covers(
      "admin_kick_user_session",
      "admin_kick_user",
      "domain_admin_kick_user_session_no_permission",
      "domain_admin_kick_user_no_permission",
    ),
  );

  story(
    "get another presence",
    {},
    async ({ graphql, actor, another, server, door }) => {
      const set = "session.setPresence";
      const online = { type: "AVAILABLE", show: "ONLINE", status: "Be right back", priority: 1 };
      const told = expect.stringContaining("set successfully");
      for (const face of await graphql.administrators()) {
        const alice = await (await (await actor("alice")).logsIn(server.target(door))).comesOnline();
        const phone = await another(alice).logsIn(server.target(door));
        (await face.calls(set, { user: alice.bare, ...online })).fails("empty_resource", "resource is empty");
        (await face.calls(set, { user: `${ALIEN}/mobile`, ...online })).fails("user_not_found", NO_USER);
        (await face.calls(set, { user: alice.full, ...online })).gives({ jid: alice.full, message: told });
        await alice.hears(
          `<presence from="${alice.full}" type="{none}"><status>Be right back</status><priority>1</priority></presence>`,
        );
        (await face.calls(set, { user: alice.full, type: "AVAILABLE", show: "AWAY" })).includes({ message: told });
        await alice.receives`<presence from="${alice.full}" type="{none}"><show>away</show></presence>`;
        phone.sends`<presence/>`;
        await phone.hears(
          `<presence from="${phone.full}"/><presence from="${alice.full}"><show>away</show></presence>`,
        );
        const gone = { user: alice.full, type: "UNAVAILABLE", status: "I'm sleeping" };
        (await face.calls(set, gone)).includes({ message: told });
        await phone.hears(`<presence from="${alice.full}" type="unavailable"><status>I'm sleeping</status></presence>`);
      }
      const outside = await (await actor("alice", "verona.example")).logsIn(server.target(door));
      (await (await graphql.domainAdmin()).calls(set, { user: outside.full, ...online })).isUnauthorized();
      await outside.receivesNothing();
    },
    covers(
      "admin_set_presence",
      "admin_set_presence_away",
      "admin_set_presence_unavailable",
      "domain_admin_set_presence_no_permission",
    ),
  );
});
