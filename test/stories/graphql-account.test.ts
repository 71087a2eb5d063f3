// GraphQL category account: for administrators over HTTP and by mongooseimctl, for domain administrators, for users.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_account_SUITE", { door: "tcp" });
const UNKNOWN = "unknown987@unknown";
const NOBODY = "unknown987@localhost";
const NAMELESS = "@localhost";
const hash = (algorithm: "md5" | "sha1", text: string): string =>
  createHash(algorithm).update(text).digest("hex").toUpperCase();

describe("accounts", () => {
  const { story } = stage({ general: { hosts: ["localhost", "verona.example"] } });

  story(
    "a user removes his account",
    { romeo: 1 },
    async ({ graphql, romeo }) => {
      const face = graphql.user({ account: romeo.account });
      (await face.calls("account.unregister")).gives(`User ${romeo.bare} successfully unregistered`);
      const users = (await graphql.admin.calls("account.listUsers", { domain: "localhost" })).value;
      expect(users).not.toContain(romeo.bare);
      expect((await face.asks("{ checkAuth { authStatus } }")).status).toBe(401);
    },
    covers("user_unregister"),
  );

  story(
    "a user changes his password",
    { romeo: 0 },
    async ({ graphql, romeo }) => {
      const face = graphql.user(romeo);
      (await face.calls("account.changePassword", { newPassword: "" })).fails("empty_password", "Empty password");
      (await face.calls("account.changePassword", { newPassword: "kaczka" })).gives("Password changed");
      expect((await face.asks("{ checkAuth { authStatus } }")).status).toBe(401);
      const changed = graphql.user({ account: { ...romeo.account, password: "kaczka" } });
      expect((await changed.asks("{ checkAuth { authStatus } }")).data).toEqual({
        checkAuth: { authStatus: "AUTHORIZED" },
      });
    },
    covers("user_change_password"),
  );

  story(
    "the users of a domain are listed, in pages too, and counted",
    { romeo: 0, juliet: 0 },
    async ({ graphql, romeo, juliet }) => {
      for (const face of await graphql.administrators()) {
        const all = (await face.calls("account.listUsers", { domain: "localhost" })).value as string[];
        expect(all, face.name).toEqual(expect.arrayContaining([romeo.bare, juliet.bare]));
        (await face.calls("account.listUsers", { domain: "LOCALHOST" })).gives(all);
        for (const index of [0, 1]) {
          const page = await face.calls("account.listUsers", { domain: "localhost", limit: 1, index });
          page.gives([all[index]]);
        }
        for (const domain of ["localhost", "LocalHost"]) {
          (await face.calls("account.countUsers", { domain })).gives(all.length);
        }
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        for (const operation of ["account.listUsers", "account.countUsers"]) {
          (await face.calls(operation, { domain: "unknown-domain" })).fails(
            "domain_not_found",
            "Domain does not exist",
          );
        }
      }
      const other = await graphql.domainAdmin();
      for (const domain of ["unknown-domain", "verona.example"]) {
        (await other.calls("account.listUsers", { domain })).isUnauthorized();
        (await other.calls("account.countUsers", { domain })).isUnauthorized();
      }
    },
    covers(
      "admin_list_users",
      "admin_list_users_pagination",
      "admin_list_users_unknown_domain",
      "admin_count_users",
      "admin_count_users_unknown_domain",
      "domain_admin_list_users_no_permission",
      "domain_admin_count_users_no_permission",
    ),
  );

  story(
    "passwords and users are checked",
    { romeo: 0 },
    async ({ graphql, romeo, account }) => {
      const { password } = romeo.account;
      for (const face of await graphql.administrators()) {
        const check = (user: string, given: string) => face.calls("account.checkPassword", { user, password: given });
        (await check(romeo.bare, password)).includes({ correct: true, message: expect.any(String) });
        (await check(romeo.bare, "incorrect_pw")).includes({ correct: false, message: expect.any(String) });
        (await check(NOBODY, password)).fails("user_does_not_exist", "not exist");
        (await check(NAMELESS, password)).isNotCoerced();
        (await face.calls("account.checkUser", { user: romeo.bare })).includes({ exist: true });
        (await face.calls("account.checkUser", { user: NOBODY })).includes({
          exist: false,
          message: expect.any(String),
        });
        (await face.calls("account.checkUser", { user: NAMELESS })).isNotCoerced();
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls("account.checkPassword", { user: UNKNOWN, password })).fails(
          "user_does_not_exist",
          "not exist",
        );
        (await face.calls("account.checkUser", { user: UNKNOWN })).includes({ exist: false });
      }
      const outside = (await account("mercutio", "verona.example")).bare;
      const other = await graphql.domainAdmin();
      for (const user of [outside, UNKNOWN]) {
        (await other.calls("account.checkPassword", { user, password })).isUnauthorized();
        (await other.calls("account.checkUser", { user })).isUnauthorized();
      }
    },
    covers(
      "admin_check_password",
      "admin_check_password_non_existing_user",
      "admin_check_user",
      "admin_check_non_existing_user",
      "domain_admin_check_password_no_permission",
      "domain_admin_check_user_no_permission",
    ),
  );

  story(
    "the hash of a plain password is checked, by MD5 and SHA-1",
    { romeo: 0 },
    async ({ graphql, romeo, account }) => {
      const { password } = romeo.account;
      for (const face of await graphql.administrators()) {
        const check = (user: string, passwordHash: string, hashMethod: string) =>
          face.calls("account.checkPasswordHash", { user, passwordHash, hashMethod });
        for (const [method, algorithm] of [
          ["md5", "md5"],
          ["sha", "sha1"],
        ] as const) {
          (await check(romeo.bare, hash(algorithm, password), method)).includes({ correct: true });
          (await check(romeo.bare, hash(algorithm, "wrong password"), method)).includes({ correct: false });
          (await check(romeo.bare, hash(algorithm, password), "a")).fails("wrong_method", "not supported");
        }
        (await check(NOBODY, hash("md5", ""), "md5")).fails("wrong_user", "not exist");
        (await check(NAMELESS, hash("md5", ""), "md5")).isNotCoerced();
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        const args = { user: UNKNOWN, passwordHash: hash("md5", ""), hashMethod: "md5" };
        (await face.calls("account.checkPasswordHash", args)).fails("wrong_user", "not exist");
      }
      const outside = await account("mercutio", "verona.example");
      const other = await graphql.domainAdmin();
      const passwordHash = hash("md5", outside.account.password);
      for (const user of [outside.bare, UNKNOWN]) {
        (await other.calls("account.checkPasswordHash", { user, passwordHash, hashMethod: "md5" })).isUnauthorized();
      }
    },
    covers(
      "admin_check_plain_password_hash_md5",
      "admin_check_plain_password_hash_sha",
      "admin_check_password_hash_non_existing_user",
      "domain_admin_check_plain_password_hash_no_permission",
    ),
  );

  story(
    "users are registered, by name and by chance",
    {},
    async ({ graphql }) => {
      const register = "account.registerUser";
      const password = "my_password";
      for (const [n, face] of (await graphql.administrators()).entries()) {
        const username = `registration_test${n}`;
        const jid = `${username}@localhost`;
        (await face.calls(register, { domain: "localhost", username, password })).gives({
          jid,
          message: `User ${jid} successfully registered`,
        });
        for (const given of [username, username.toUpperCase()]) {
          const again = await face.calls(register, { domain: "LOCALHOST", username: given, password });
          again.fails("exists", "already registered", { jid });
        }
        (await face.calls(register, { domain: "localhost", username: "", password })).isNotCoerced("empty_user_name");
        const invalid = await face.calls(register, { domain: "localhost", username: "@invalid", password });
        invalid.isNotCoerced("failed_to_parse_user_name");
        const random = (await face.calls(register, { domain: "localhost", password })).value as { jid: string };
        expect(random).toMatchObject({ message: expect.stringContaining("successfully registered") });
        (await face.calls("account.checkUser", { user: random.jid })).includes({ exist: true });
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(register, { domain: "unknown", username: "alice", password })).fails(
          "cannot_register",
          "not_allowed",
        );
      }
      const other = await graphql.domainAdmin();
      (await other.calls(register, { domain: "unknown-domain", username: "external_user", password })).isUnauthorized();
      (await other.calls(register, { domain: "verona.example", password })).isUnauthorized();
    },
    covers(
      "admin_register_user",
      "admin_register_random_user",
      "admin_register_user_non_existing_domain",
      "domain_admin_register_user_no_permission",
      "domain_admin_register_random_user_no_permission",
    ),
  );

  story(
    "users are removed",
    {},
    async ({ graphql, actor, server, door }) => {
      for (const face of await graphql.administrators()) {
        const victim = await (await actor("victim")).logsIn(server.target(door));
        (await face.calls("account.removeUser", { user: victim.full })).gives({
          jid: victim.bare,
          message: `User ${victim.bare} successfully unregistered`,
        });
        (await face.calls("account.checkUser", { user: victim.bare })).includes({ exist: false });
        (await face.calls("account.removeUser", { user: NOBODY })).fails("not_allowed", "not exist");
        (await face.calls("account.removeUser", { user: NAMELESS })).isNotCoerced();
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls("account.removeUser", { user: UNKNOWN })).fails("not_allowed", "not exist");
      }
      const outside = await actor("mercutio", "verona.example");
      const other = await graphql.domainAdmin();
      for (const user of [outside.bare, UNKNOWN]) {
        (await other.calls("account.removeUser", { user })).isUnauthorized();
      }
      (await graphql.admin.calls("account.checkUser", { user: outside.bare })).includes({ exist: true });
    },
    covers("admin_remove_existing_user", "admin_remove_non_existing_user", "domain_admin_remove_user_no_permission"),
  );

  story(
    "a banned user is thrown out and cannot come back",
    {},
    async ({ graphql, actor, another, server, door }) => {
      for (const face of await graphql.administrators()) {
        const victim = await (await actor("victim")).logsIn(server.target(door));
        (await face.calls("account.banUser", { user: victim.full, reason: "annoying" })).includes({
          jid: victim.bare,
          message: expect.stringContaining("successfully banned"),
        });
        await victim.receivesStreamError("conflict");
        const { account } = victim;
        (await face.calls("account.checkPassword", { user: victim.bare, password: account.password })).includes({
          correct: false,
        });
        await expect(another(victim).logsIn(server.target(door))).rejects.toThrow();
        (await face.calls("account.banUser", { user: NOBODY, reason: "annoying" })).fails(
          "user_does_not_exist",
          "not exist",
        );
        (await face.calls("account.banUser", { user: NAMELESS, reason: "annoying" })).isNotCoerced();
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls("account.banUser", { user: UNKNOWN, reason: "annoying" })).fails(
          "user_does_not_exist",
          "not exist",
        );
      }
      const outside = await actor("mercutio", "verona.example");
      const other = await graphql.domainAdmin();
      for (const user of [outside.bare, UNKNOWN]) {
        (await other.calls("account.banUser", { user, reason: "annoying" })).isUnauthorized();
      }
    },
    covers("admin_ban_user", "admin_ban_non_existing_user", "domain_admin_ban_user_no_permission"),
  );

  story(
    "administrators change passwords",
    {},
    async ({ graphql, account }) => {
      const change = "account.changeUserPassword";
      const newPassword = "new password";
      for (const face of await graphql.administrators()) {
        const { bare: user } = await account("romeo");
        (await face.calls(change, { user: `${user}/balcony`, newPassword: "" })).fails(
          "empty_password",
          "Empty password",
        );
        (await face.calls(change, { user: `${user}/balcony`, newPassword })).gives({
          jid: user,
          message: "Password changed",
        });
        (await face.calls("account.checkPassword", { user, password: newPassword })).includes({ correct: true });
        (await face.calls(change, { user: NOBODY, newPassword })).fails("not_allowed", "does not exist");
        (await face.calls(change, { user: NAMELESS, newPassword })).isNotCoerced();
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(change, { user: UNKNOWN, newPassword })).fails("not_allowed", "does not exist");
      }
      const outside = await account("mercutio", "verona.example");
      const other = await graphql.domainAdmin();
      for (const user of [outside.bare, UNKNOWN]) {
        (await other.calls(change, { user, newPassword })).isUnauthorized();
      }
    },
    covers(
      "admin_change_user_password",
      "admin_change_non_existing_user_password",
      "domain_admin_change_user_password_no_permission",
    ),
  );

  story(
    "users are imported from a file, at once by the command line and in the background over HTTP",
    { alice: 0 },
    async ({ graphql, alice, server }) => {
      const folder = mkdtempSync(join(server.stateDir, "import-"));
      const write = (name: string): string => {
        const file = join(folder, `${name}.csv`);
        const records = [
          `${name},localhost,password`,
          `${alice.local},localhost,password`,
          ",localhost,password",
          "elise,elise,localhost,esile",
          "elise,localhost,",
        ];
        writeFileSync(file, `${records.join("\n")}\n`);
        return file;
      };
      const missing = { filename: join(folder, "nonexisting.csv") };
      for (const face of [graphql.ctl, graphql.admin]) {
        (await face.calls("account.importUsers", missing)).fails("file_not_found", /^File not found$/);
      }
      (await graphql.ctl.calls("account.importUsers", { filename: write("john") })).gives({
        status: "Completed",
        created: ["john@localhost"],
        emptyPassword: ["elise@localhost"],
        existing: [alice.bare],
        invalidJID: [",localhost,password"],
        invalidRecord: ["elise,elise,localhost,esile"],
        notAllowed: null,
      });
      (await graphql.admin.calls("account.importUsers", { filename: write("jack") })).gives({
        status: "ImportUsers scheduled",
        created: null,
        emptyPassword: null,
        existing: null,
        invalidJID: null,
        invalidRecord: null,
        notAllowed: null,
      });
      await expect
        .poll(async () => (await graphql.admin.calls("account.checkUser", { user: "jack@localhost" })).value)
        .toMatchObject({ exist: true });
      (await (await graphql.domainAdmin()).calls("account.importUsers", missing)).isUnauthorized();
      rmSync(folder, { recursive: true });
    },
    covers("admin_import_users_cli", "admin_import_users_http"),
  );
});

describe("accounts with SCRAM passwords", () => {
  const { story } = stage({
    general: { hosts: ["localhost", "verona.example"] },
    auth: { password: { format: "scram", hash: ["sha256"] }, scram_iterations: null },
  });

  story(
    "the hash of a password that is not known cannot be checked",
    { romeo: 0 },
    async ({ graphql, romeo, account }) => {
      const about = (user: string) => ({ user, passwordHash: hash("md5", ""), hashMethod: "md5" });
      for (const face of await graphql.administrators()) {
        (await face.calls("account.checkPasswordHash", about(romeo.bare))).fails("wrong_user", "SCRAM password");
      }
      const outside = await account("mercutio", "verona.example");
      const other = await graphql.domainAdmin();
      for (const user of [outside.bare, UNKNOWN]) {
        (await other.calls("account.checkPasswordHash", about(user))).isUnauthorized();
      }
    },
    covers("admin_check_password_hash", "domain_admin_check_password_hash_no_permission"),
  );
});

describe("a domain that may have three users", () => {
  const { story } = stage({ auth: { max_users_per_domain: 3 } });

  story(
    "has no fourth one",
    { alice: 0 },
    async ({ graphql }) => {
      const register = (username: string) => ({ domain: "localhost", username, password: "password" });
      for (const face of await graphql.administrators()) {
        for (const name of ["bob", "kate"]) {
          (await face.calls("account.registerUser", register(name))).includes({
            message: expect.stringContaining("successfully registered"),
          });
        }
        (await face.calls("account.registerUser", register("john"))).fails(
          "limit_per_domain_exceeded",
          "limit has been exceeded",
        );
        (await face.calls("account.checkUser", { user: "john@localhost" })).includes({ exist: false });
        for (const name of ["bob", "kate"]) {
          (await face.calls("account.removeUser", { user: `${name}@localhost` })).includes({
            jid: `${name}@localhost`,
          });
        }
      }
    },
    covers("admin_register_user_limit_error"),
  );
});
