// Category gdpr: what is kept about a user, in a zip file of CSV files.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, vi } from "vitest";
import type { Face, Graphql } from "../support/graphql.ts";
import { readExport, retrieved } from "../support/personal.ts";
import { covering, stage } from "../support/story.ts";
import { STORIES_AUTH } from "../support/story-database.ts";

const covers = covering("graphql_gdpr_SUITE", { door: "tcp" });
const both = ({ admin, ctl }: Graphql): readonly Face[] => [admin, ctl];

const dir = join(tmpdir(), `gdpr-${process.pid}`);
beforeAll(() => mkdirSync(dir));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
let files = 0;
const fresh = (): string => join(dir, `result-${++files}.zip`);

describe("retrievePersonalData", () => {
  const { story } = stage({ general: { hosts: ["localhost", "second.example"] } });
  const call = (face: Face, { local, domain }: { local: string; domain: string }, resultFilepath: string) =>
    face.calls("gdpr.retrievePersonalData", { username: local, domain, resultFilepath });

  story(
    "every administrator of a user's domain gets a zip file, whatever the case of the user's name",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      for (const face of await graphql.administrators()) {
        for (const { local, domain } of [romeo, { local: romeo.local.toUpperCase(), domain: "LocalHost" }]) {
          const file = fresh();
          (await call(face, { local, domain }, file)).gives("Data retrieved");
          expect(statSync(file).mode & 0o777).toBe(0o600);
          const { account } = readExport(file);
          expect(account.columns).toEqual(["jid", "method", "password", "created_at"]);
          expect(account.rows).toEqual([
            [romeo.bare, STORIES_AUTH, "plain", expect.stringMatching(/^\d{4}-\d\d-\d\d/)],
          ]);
        }
      }
    },
    covers("admin_retrieve_user_data", "admin_retrieve_user_data_with_unprepped_name"),
  );

  story(
    "a relative path is one of the server's directory",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      const name = `gdpr-relative-${process.pid}.zip`;
      (await call(graphql.admin, romeo, name)).gives("Data retrieved");
      const file = join(process.cwd(), name);
      expect(readExport(file)).toHaveProperty("account");
      rmSync(file);
    },
    { door: "tcp" },
  );

  story(
    "of nobody there is nothing, and no file",
    {},
    async ({ graphql }) => {
      for (const face of await graphql.administrators()) {
        const file = fresh();
        (await call(face, { local: "AAAA", domain: "localhost" }, file)).fails(
          "user_does_not_exist_error",
          "User aaaa@localhost does not exist",
        );
        expect(existsSync(file)).toBe(false);
      }
      for (const face of both(graphql)) {
        (await call(face, { local: "AAAA", domain: "unknown.example" }, fresh())).fails("user_does_not_exist_error");
      }
    },
    covers("admin_gdpr_no_user_test"),
  );

  story(
    "a file needs a name",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      for (const face of both(graphql)) (await call(face, romeo, "")).fails("wrong_filename_error", "no usable name");
      (await call(graphql.admin, romeo, "a\0b")).fails("wrong_filename_error", "no usable name");
      (await call(graphql.admin, romeo, join(dir, "x".repeat(300)))).fails("wrong_filename_error", "too long");
    },
    covers("admin_gdpr_empty_filename_test"),
  );

  story(
    "where the server may not write, it says so, and where there is no directory",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      for (const face of both(graphql)) {
        // Not even root makes files in the kernel's file systems.
        (await call(face, romeo, "/sys/non_existing_file!")).fails(
          "file_creation_permission_denied_error",
          /may not write there|read-only/,
        );
        (await call(face, romeo, "/sys/kernel/new_file.txt")).fails(
          "file_creation_permission_denied_error",
          /may not write there|read-only/,
        );
        (await call(face, romeo, "/new_directory!/new_file.txt")).fails(
          "file_creation_permission_denied_error",
          "there is no such directory",
        );
        (await call(face, romeo, "/etc/hostname/new_file.txt")).fails("file_creation_permission_denied_error");
      }
      if (process.getuid?.() !== 0) {
        const closed = join(dir, "closed");
        mkdirSync(closed);
        chmodSync(closed, 0o500);
        (await call(graphql.admin, romeo, join(closed, "x"))).fails("file_creation_permission_denied_error");
      }
    },
    covers("admin_gdpr_access_denied_erofs", "admin_gdpr_access_denied_eacces", "admin_gdpr_access_denied_exit"),
  );

  story(
    "a directory is no file",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      for (const face of both(graphql)) {
        for (const path of ["./", dir, `${dir}/`])
          (await call(face, romeo, path)).fails("location_is_a_directory_error");
      }
    },
    covers("admin_gdpr_access_denied_filename_is_a_directory"),
  );

  story(
    "nothing that exists is written over, not through a link either",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      const file = fresh();
      writeFileSync(file, "precious");
      const link = fresh();
      symlinkSync(file, link);
      const dangling = fresh();
      symlinkSync(join(dir, "not there"), dangling);
      for (const face of await graphql.administrators()) {
        for (const path of [file, link, dangling]) {
          (await call(face, romeo, path)).fails("file_exists_error", "exists already");
        }
      }
      expect(readFileSync(file, "utf8")).toBe("precious");
      expect(existsSync(join(dir, "not there"))).toBe(false);
    },
    { door: "tcp" },
  );

  story(
    "the administrator of one domain gets nothing of another's, and users get nothing at all",
    { romeo: 1 },
    async ({ romeo, graphql, account }) => {
      const other = await account("juliet", "second.example");
      const file = fresh();
      (await call(await graphql.domainAdmin(), other, file)).isUnauthorized();
      (await call(await graphql.domainAdmin("second.example"), romeo, file)).isUnauthorized();
      (await call(graphql.endpoint("admin"), romeo, file)).isUnauthorized();
      (await graphql.user(romeo).asks("{ gdpr { retrievePersonalData } }")).isBadRequest();
      expect(existsSync(file)).toBe(false);
    },
    covers("domain_admin_retrieve_user_data_no_permission"),
  );

  story(
    "what cannot be read leaves no file",
    { romeo: 1 },
    async ({ romeo, graphql, server }) => {
      const file = fresh();
      const host = server.node.hostOf("localhost")!;
      const broken = vi.spyOn(host.auth, "personalData").mockRejectedValue(new Error("the database is away"));
      (await call(graphql.admin, romeo, file)).fails("resolver_crash");
      broken.mockRestore();
      expect(existsSync(file)).toBe(false);

      async function* half() {
        yield [["one"]];
        throw new Error("the database went away");
      }
      host.hooks.add(
        "half",
        { get_personal_data: (acc) => [...acc, { name: "t", columns: ["c"], rows: [], more: half() }] },
        {},
      );
      (await call(graphql.admin, romeo, file)).fails("resolver_crash");
      host.hooks.remove("half");
      expect(existsSync(file)).toBe(false);
    },
    { door: "tcp", logs: ["operation_crashed"] },
  );

  story(
    "values are what they were, whatever is in them; tables of one name are two files, an empty one is none",
    { romeo: 1 },
    async ({ romeo, graphql, server }) => {
      const odd = ["a,b", 'say "x"', "two\nlines\r\n", "", "=1+1", "Ⅷ 🂡 é"];
      const columns = odd.map((_, i) => `c${i}`);
      const { hooks } = server.node.hostOf("localhost")!;
      hooks.add(
        "odd",
        {
          get_personal_data: (acc) => [
            ...acc,
            { name: "odd", columns, rows: [odd] },
            { name: "odd", columns: ["x"], rows: [["1"], ["2"]] },
            { name: "none", columns: ["x"], rows: [] },
          ],
        },
        {},
      );
      const tables = await retrieved(graphql.admin, romeo);
      hooks.remove("odd");
      expect(tables["odd"]).toEqual({ columns, rows: [odd] });
      expect(tables["odd-2"]).toEqual({ columns: ["x"], rows: [["1"], ["2"]] });
      expect(Object.keys(tables)).not.toContain("none");
    },
    { door: "tcp" },
  );

  story(
    "a large table is written as it is read, and others are served meanwhile",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, graphql, server }) => {
      const { hooks } = server.node.hostOf("localhost")!;
      const PAGES = 400;
      let read = 0;
      async function* more() {
        const row = ["x".repeat(200), `${Math.random()}`];
        for (; read < PAGES; read++) yield Array.from({ length: 500 }, () => row);
      }
      hooks.add(
        "large",
        { get_personal_data: (acc) => [...acc, { name: "large", columns: ["a", "b"], rows: [], more: more() }] },
        {},
      );
      const writing = retrieved(graphql.admin, romeo);
      while (read === 0) await Bun.sleep(1);
      romeo.sends`<message to="${juliet.full}" type="chat"><body>Meanwhile</body></message>`;
      await juliet.receives`<message from="${romeo.full}"><body>Meanwhile</body></message>`;
      expect(read).toBeLessThan(PAGES);
      const tables = await writing;
      hooks.remove("large");
      expect(tables["large"].rows).toHaveLength(PAGES * 500);
    },
    { door: "tcp" },
  );
});
