// The GraphQL API itself: who may come in, and as what.
import { describe, expect } from "vitest";
import { StorageError } from "../../core/storage/db.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_SUITE", { door: "tcp" });
const CHECK = "{ checkAuth { domain authType authStatus } }";
const CHECK_USER = "{ checkAuth { username authStatus } }";
const ENDPOINTS = ["admin", "domain_admin", "user"] as const;

describe("the endpoints", () => {
  const { story } = stage();

  story(
    "tell each caller who he is",
    { romeo: 0 },
    async ({ graphql, romeo }) => {
      const nobody = { checkAuth: { domain: null, authType: null, authStatus: "UNAUTHORIZED" } };
      const global = { checkAuth: { domain: null, authType: "ADMIN", authStatus: "AUTHORIZED" } };
      expect((await graphql.endpoint("admin").asks(CHECK)).data).toEqual(nobody);
      expect((await graphql.admin.asks(CHECK)).data).toEqual(global);
      expect((await graphql.ctl.asks(CHECK)).data).toEqual(global);
      expect((await graphql.endpoint("domain_admin").asks(CHECK)).data).toEqual(nobody);
      expect((await (await graphql.domainAdmin()).asks(CHECK)).data).toEqual({
        checkAuth: { domain: "localhost", authType: "DOMAIN_ADMIN", authStatus: "AUTHORIZED" },
      });
      expect((await graphql.endpoint("user").asks(CHECK_USER)).data).toEqual({
        checkAuth: { username: null, authStatus: "UNAUTHORIZED" },
      });
      const shouting = graphql.endpoint("user", `${romeo.bare.toUpperCase()}:${romeo.account.password}`);
      for (const face of [graphql.user(romeo), shouting]) {
        expect((await face.asks(CHECK_USER)).data).toEqual({
          checkAuth: { username: romeo.bare, authStatus: "AUTHORIZED" },
        });
      }
    },
    covers(
      "admin_checks_auth",
      "auth_admin_checks_auth",
      "domain_admin_checks_auth",
      "auth_domain_admin_checks_auth",
      "user_checks_auth",
      "auth_user_checks_auth",
    ),
  );

  story(
    "let nobody in with other credentials",
    { romeo: 0 },
    async ({ graphql, romeo }) => {
      for (const [endpoint, credentials] of [
        ["admin", "admin:wrong"],
        ["admin", "root:admin's secret"],
        ["domain_admin", "admin@localhost:wrong"],
        ["domain_admin", "admin@elsewhere:wrong"],
        ["user", `${romeo.bare}:wrong`],
        ["user", `${romeo.local}:${romeo.account.password}`],
        ["user", "nobody@localhost:secret"],
        ["user", "nobody@elsewhere:secret"],
        ["user", "admin:admin's secret"],
      ] as const) {
        const answer = await graphql.endpoint(endpoint, credentials).asks("{ checkAuth { authStatus } }");
        expect(answer.status, `${endpoint} ${credentials}`).toBe(401);
        answer.fails("wrong_credentials");
      }
      const own = graphql.user(romeo);
      (await own.asks('{ account { countUsers(domain: "localhost") } }')).isBadRequest("unknown_field");
      const nobody = graphql.endpoint("user");
      (await nobody.calls("roster.listContacts")).isUnauthorized("without permissions");
      (await nobody.calls("account.unregister")).isUnauthorized("without permissions");
    },
    { door: "tcp" },
  );

  story(
    "want a query, and have a page to write one in",
    {},
    async ({ graphql }) => {
      for (const name of ENDPOINTS) {
        const face = graphql.endpoint(name);
        const empty = await face.fetch({
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: "{}",
        });
        expect(empty.status).toBe(400);
        const page = await face.fetch({ headers: { Accept: "text/html" } });
        expect([page.status, page.headers.get("Content-Type")]).toEqual([200, expect.stringContaining("text/html")]);
        const text = await page.text();
        expect(text).toContain("MongooseIM GraphiQL");
        const [, query = ""] = /<textarea id="query"[^>]*>([^<]*)</.exec(text) ?? [];
        expect((await face.asks(query)).data).toMatchObject({ checkAuth: { authStatus: "UNAUTHORIZED" } });
        (await face.asks("{ field ")).isBadRequest("parser_error");
      }
    },
    covers("can_connect_to_admin", "can_connect_to_domain_admin", "can_connect_to_user", "can_load_graphiql"),
  );
});

describe("a domain of anonymous users", () => {
  const { story } = stage({ auth: { methods: ["anonymous"], anonymous: { protocol: "both" }, internal: null } });

  story(
    "has nobody for the users' endpoint to act for",
    {},
    async ({ graphql }) => {
      const face = graphql.endpoint("user", "whoever@localhost:whatever");
      const answer = await face.asks(CHECK_USER);
      expect(answer.status).toBe(401);
      answer.fails("wrong_credentials");
    },
    { door: "tcp" },
  );
});

describe("an endpoint of some categories", () => {
  const { story } = stage({
    listen: {
      http: [
        {
          port: 0,
          ip_address: "127.0.0.1",
          handlers: {
            mongoose_graphql_handler: [
              {
                host: "_",
                path: "/api/graphql",
                schema_endpoint: "admin",
                username: "admin",
                password: "admin's secret",
                allowed_categories: ["vcard", "checkAuth"],
              },
            ],
          },
        },
      ],
    },
  });
  const path = ["server"];

  story(
    "refuses the others in their place",
    {},
    async ({ graphql }) => {
      const { admin, ctl } = graphql;
      const disabled = await admin.asks("{ server { getLoglevel } }");
      expect(disabled.body.errors).toHaveLength(1);
      expect(disabled.error).toMatchObject({ path, extensions: { code: "category_disabled" } });
      const both = await admin.asks("{ checkAuth { authStatus } server { getLoglevel } }");
      expect(both.body.errors).toHaveLength(1);
      expect(both.error).toMatchObject({ path, extensions: { code: "category_disabled" } });
      expect(both.body.data).toEqual({ checkAuth: { authStatus: "AUTHORIZED" }, server: null });
      const nobody = graphql.endpoint("admin");
      expect((await nobody.asks(CHECK)).data).toMatchObject({ checkAuth: { authStatus: "UNAUTHORIZED" } });
      (await nobody.asks("{ field ")).isBadRequest("parser_error");
      (await nobody.asks("query Q1 { field } query Q1 { field }", {}, "Q1")).isBadRequest();
      // The control socket is not limited.
      (await ctl.calls("server.getLoglevel")).gives("INFO");
    },
    covers(
      "category_disabled_error_test",
      "category_does_not_exist_error",
      "listener_reply_with_validation_error",
      "multiple_categories_query_test",
    ),
  );
});

describe("an administrator's endpoint without credentials", () => {
  const { story } = stage({
    listen: {
      http: [
        {
          port: 0,
          ip_address: "127.0.0.1",
          handlers: {
            mongoose_graphql_handler: [
              { host: "_", path: "/api/graphql", schema_endpoint: "admin" },
              { host: "mim.example", path: "/api/graphql", schema_endpoint: "admin" },
            ],
          },
        },
      ],
    },
  });

  story(
    "answers to its own names only: a web site that points its name here gets nothing",
    {},
    async ({ graphql }) => {
      const face = graphql.endpoint("admin");
      const asked = async (Host: string) => {
        const body = JSON.stringify({ query: "{ checkAuth { authStatus } }" });
        const answer = await face.fetch({
          method: "POST",
          headers: { "Content-Type": "application/json", Host },
          body,
        });
        return [answer.status, await answer.json()];
      };
      const fine = [200, { data: { checkAuth: { authStatus: "AUTHORIZED" } } }];
      for (const host of ["localhost:5551", "127.0.0.1:5551", "[::1]", "mim.example"]) {
        expect(await asked(host), host).toEqual(fine);
      }
      for (const host of ["evil.example", "evil.example:5551", "localhost.evil.example", "127.0.0.1.evil.example"]) {
        expect(await asked(host), host).toMatchObject([
          403,
          { errors: [{ extensions: { code: "host_not_allowed" } }] },
        ]);
      }
      expect((await face.asks("{ checkAuth { authStatus } }")).data).toEqual({
        checkAuth: { authStatus: "AUTHORIZED" },
      });
    },
    { door: "tcp" },
  );
});

describe("a database that is away", () => {
  const { story } = stage({});

  story(
    "is one line of the log a minute, however many knock",
    { alice: 0 },
    async ({ graphql, alice, server }) => {
      const db = server.db;
      db.query = () => Promise.reject(new StorageError("unavailable", "The test has it fail"));
      const face = graphql.user(alice);
      for (let i = 0; i < 3; i++) expect((await face.asks("{ checkAuth { authStatus } }")).status).toBe(500);
      Reflect.deleteProperty(db, "query");
      (await face.asks("{ checkAuth { authStatus } }")).gives({ checkAuth: { authStatus: "AUTHORIZED" } });
      expect(server.logged.filter(({ what }) => what === "operation_failed")).toMatchObject([{ level: "error" }]);
    },
    { door: "tcp", logs: ["operation_failed"] },
  );
});
