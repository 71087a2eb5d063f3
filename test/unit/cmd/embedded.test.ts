// The embedded default: its administrators have a password, and a newcomer is told how to go on.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { adminPasswordPath, ctlCommand, embeddedConfig, greeting } from "../../../cmd/embedded.ts";
import { MODULES } from "../../../modules/index.ts";

const schemas = Object.fromEntries(MODULES.map((module) => [module.name, module.config]));
let stateDir: string;
beforeEach(() => {
  stateDir = join(mkdtempSync(join(tmpdir(), "embedded-")), "state");
});
afterEach(() => rmSync(join(stateDir, ".."), { recursive: true }));

const credentials = () =>
  embeddedConfig(schemas, stateDir)
    .listen.http.flatMap((listener) => listener.handlers.mongoose_graphql_handler ?? [])
    .map(({ username, password }) => ({ username, password }));

test("the GraphQL API for administrators asks for admin and the password in the state directory", () => {
  const made = credentials();
  const password = readFileSync(adminPasswordPath(stateDir), "utf8").trim();
  expect(made).toEqual([{ username: "admin", password }]);
  expect(password).toMatch(/^[\w-]{24}$/);
});

test("only the server's user can read the password", () => {
  credentials();
  expect(statSync(adminPasswordPath(stateDir)).mode & 0o777).toBe(0o600);
});

test("the password stays the same", () => expect(credentials()).toEqual(credentials()));

test("an administrator may choose the password", () => {
  credentials();
  writeFileSync(adminPasswordPath(stateDir), "chosen\n");
  expect(credentials()).toEqual([{ username: "admin", password: "chosen" }]);
});

test("an empty password is refused", () => {
  credentials();
  writeFileSync(adminPasswordPath(stateDir), "\n");
  expect(credentials).toThrow(/graphql-admin-password" is empty: remove it/);
});

test("the rest of the default is as it was, host types included", () => {
  const config = embeddedConfig(schemas, stateDir);
  expect(config.listen.http.map((listener) => listener.port)).toEqual([5280, 5285, 5551, 9091]);
  expect(config.forHostType("localhost").modules["mod_roster"]).toBeDefined();
});

test("the greeting names the domain, the ports, the state directory and a command that works", () => {
  const text = greeting(embeddedConfig(schemas, stateDir), stateDir, "bin/mongooseimctl");
  expect(text).toContain("serves localhost");
  expect(text).toContain("5222 (STARTTLS) and 5223 (TLS)");
  expect(text).toContain(`data is in ${stateDir}\n`);
  expect(text).toContain("bin/mongooseimctl account registerUser --domain localhost");
});

test.each([
  ["dist/mongooseimctl", "/home/a/.local/state/mongooseim", "dist/mongooseimctl"],
  ["dist/mongooseimctl", "/srv/x", "dist/mongooseimctl --state-dir /srv/x"],
  ["/usr/bin/mongooseim", "/home/a/.local/state/mongooseim", "mongooseimctl"],
])("called as %s with %s, the command is %s", (argv0, dir, command) => {
  expect(ctlCommand(argv0, dir, { env: { HOME: "/home/a" }, uid: 1000 })).toBe(command);
});
