// Which accounts a domain has, as the operations and the features that walk through all users ask for them.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

const { story } = stage({ general: { hosts: ["localhost", "roll.example", "later.example"] } });
const SECOND = 1000;

story(
  "users are listed and counted, whole and by page and prefix",
  {},
  async ({ server, graphql }) => {
    const domain = "roll.example";
    for (const name of ["bob", "alice"]) await server.addAccount(name, domain, "secret");
    const { auth } = server.node.hostOf(domain)!;
    expect(await auth.list(domain)).toEqual(["alice", "bob"]);
    expect(await auth.list(domain, { limit: 1, offset: 0 })).toEqual(["alice"]);
    expect(await auth.list(domain, { limit: 1, offset: 1 })).toEqual(["bob"]);
    expect(await auth.list(domain, { prefix: "a" })).toEqual(["alice"]);
    expect(await auth.list(domain, { prefix: "a", limit: 1, offset: 0 })).toEqual(["alice"]);
    expect(await auth.list(domain, { prefix: "", limit: 1, offset: 1 })).toEqual(["bob"]);
    expect(await auth.count(domain)).toBe(2);
    expect(await auth.count(domain, "a")).toBe(1);
    (await graphql.admin.calls("account.listUsers", { domain })).gives(["alice@roll.example", "bob@roll.example"]);
    (await graphql.admin.calls("account.countUsers", { domain })).gives(2);
  },
  {
    door: "tcp",
    covers: [
      "accounts_SUITE:list_users",
      "accounts_SUITE:list_selected_users",
      "accounts_SUITE:count_users",
      "accounts_SUITE:count_selected_users",
    ],
  },
);

story(
  "a walk through all users does not see those that came after its beginning",
  {},
  async ({ server, graphql }) => {
    const domain = "later.example";
    for (const name of ["bob", "alice", "aaalice", "bbbob"]) await server.addAccount(name, domain, "secret");
    // MySQL's times end in 2038.
    await server.db.execute(
      "UPDATE users SET created_at = '2037-01-01 00:00:00' WHERE username IN ('aaalice', 'bbbob')",
    );
    const { auth } = server.node.hostOf(domain)!;
    const until = Date.now() + 2 * SECOND;
    const first = await auth.snapshot(domain, 1, { until });
    expect(first).toEqual({ users: ["alice"], cursor: expect.any(String) });
    expect(await auth.snapshot(domain, 1, { cursor: first.cursor! })).toEqual({ users: ["bob"], cursor: undefined });
    expect(await auth.snapshot(domain, 100, { until })).toEqual({ users: ["alice", "bob"], cursor: undefined });
    for (const limit of [0, -1, 0.5, Number.NaN, undefined as unknown as number]) {
      await expect(auth.snapshot(domain, limit, { until })).rejects.toThrow(RangeError);
    }
    await expect(auth.snapshot(domain, 1, { cursor: "abc" })).rejects.toThrow(RangeError);
    // Who asks for all gets all.
    (await graphql.admin.calls("account.countUsers", { domain })).gives(4);
  },
  {
    door: "tcp",
    covers: [
      "accounts_SUITE:list_users_snapshot",
      "accounts_SUITE:list_users_snapshot_large_limit",
      "accounts_SUITE:list_users_snapshot_invalid_params",
    ],
  },
);

describe("with auth.rdbms.users_number_estimate", () => {
  const { story } = stage({
    auth: { methods: ["rdbms"], internal: null, rdbms: { users_number_estimate: true } },
  });
  story(
    "users are counted by what the database has an estimate for",
    { romeo: 0 },
    async ({ server, graphql }) => {
      const count = await server.node.hostOf("localhost")!.auth.count("localhost");
      expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
      (await graphql.admin.calls("account.countUsers", { domain: "localhost" })).gives(count);
    },
    { door: "tcp", covers: ["accounts_SUITE:count_users_estimate"] },
  );
});
