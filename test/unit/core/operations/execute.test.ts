import { describe, expect, test } from "vitest";
import { parseBareJid } from "../../../../core/jid.ts";
import { type ExecuteOptions, execute, type GraphqlAnswer } from "../../../../core/operations/execute.ts";
import { coreOperations } from "../../../../core/operations/index.ts";
import { buildSchema } from "../../../../core/operations/schema.ts";
import { type Caller, defineOperation } from "../../../../core/operations.ts";
import { fakeNode } from "./fake-node.ts";

const ADMIN: Caller = { kind: "admin", via: "cli" };
const NOBODY: Caller = { kind: "unauthorized", via: "http" };
const DOMAIN_ADMIN: Caller = { kind: "domain_admin", via: "http", domain: "localhost" };

const getLast = defineOperation({
  category: "last",
  name: "getLast",
  kind: "query",
  description: "",
  args: { user: "JID!" },
  result: "String",
  scope: "domain",
  domainArgs: ["user"],
  needs: ["mod_last", "service_domain_db"],
  run: ({ user }) => user.text,
});
const addContacts = defineOperation({
  category: "roster",
  name: "addContacts",
  kind: "mutation",
  description: "",
  args: { contacts: "[ContactInput!]!", note: 'String = "none"', secretWord: "String" },
  result: "String",
  scope: "domain",
  domainArgs: ["contacts.jid"],
  secrets: ["secretWord"],
  run({ contacts, note }) {
    if (note === "crash") throw new Error("the database password is 1234");
    return `${note} ${JSON.stringify(contacts.map((c) => ({ ...c, jid: c.jid.text })))}`;
  },
});
const schema = buildSchema([...coreOperations, getLast, addContacts]);

const run = (
  query: string,
  more: Partial<ExecuteOptions> & { variables?: Record<string, unknown>; operationName?: string } = {},
): Promise<GraphqlAnswer> => {
  const { variables, operationName, ...options } = more;
  return execute({ query, variables, operationName }, { schema, caller: ADMIN, node: fakeNode(), ...options });
};
const codes = ({ status, body }: GraphqlAnswer) => [status, ...(body.errors ?? []).map((e) => e.extensions["code"])];

describe("a request that cannot be run is answered with 400", () => {
  test.each([
    ["{ account {", "parser_error"],
    ['{ acount { countUsers(domain: "x") } }', "unknown_field"],
    ['{ account { countUsers(domian: "x", domain: "x") } }', "unknown_argument"],
    ["{ account { countUsers } }", "missing_non_null_param"],
    ['{ account { checkUser(user: "@") { exist } } }', "input_coercion"],
    ['{ account { listUsers(domain: "x", limit: 0) } }', "input_coercion"],
    ["mutation { server { setLoglevel(level: LOUD) } }", "unknown_enum"],
    ["{ account }", "fields_on_scalar"],
    ["query A { checkAuth { authStatus } } query B { checkAuth { authStatus } }", "operation_not_found"],
    ["query A($d: Domein!) { account { countUsers(domain: $d) } }", "type_not_found"],
  ])("%s: %s", async (query, code) => {
    const answer = await run(query);
    expect(answer.status).toBe(400);
    expect(codes(answer)).toContain(code);
  });

  test("a malformed variable names the reason", async () => {
    const answer = await run("query ($user: JID!) { account { checkUser(user: $user) { exist } } }", {
      variables: { user: "alice@" },
    });
    expect(codes(answer)).toEqual([400, "input_coercion"]);
    expect(answer.body.errors?.[0].message).toBe(
      'Input coercion failed for type JID with value <<"alice@">>. The reason it failed is: failed_to_parse_jid',
    );
  });

  test("nesting is bounded, through fragments too", async () => {
    const deep = `${"{ agent { ... on AgentVcard { vcard ".repeat(12)}{ title }${" } } }".repeat(12)}`;
    const probe = defineOperation({
      category: "vcard",
      name: "getVcard",
      kind: "query",
      description: "",
      args: {},
      result: "Vcard",
      scope: "global",
      run: () => ({}),
    });
    const withVcard = buildSchema([probe]);
    const direct = await run(`{ vcard { getVcard ${deep} } }`, { schema: withVcard });
    const spread = await run(`{ vcard { getVcard { ...F } } } fragment F on Vcard ${deep}`, { schema: withVcard });
    expect([codes(direct), codes(spread)]).toEqual([
      [400, "too_deep"],
      [400, "too_deep"],
    ]);
  });

  test("fragments that double one another are refused quickly", async () => {
    const fragments = Array.from(
      { length: 40 },
      (_, i) => `fragment F${i} on AdminQuery { ...F${i + 1} ...F${i + 1} }`,
    );
    const query = `{ ...F0 } ${fragments.join(" ")} fragment F40 on AdminQuery { checkAuth { authStatus } }`;
    expect(codes(await run(query))).toEqual([200]);
  });

  test("a document of too many tokens is not parsed", async () => {
    expect(codes(await run(`{ ${"a ".repeat(20_000)} }`))).toEqual([400, "parser_error"]);
  });
});

describe("authorisation comes before anything runs", () => {
  const REFUSED = [401, "no_permissions"];

  test("without credentials only checkAuth answers", async () => {
    const answer = await run("{ checkAuth { authStatus authType } }", { caller: NOBODY });
    expect(answer.body.data).toEqual({ checkAuth: { authStatus: "UNAUTHORIZED", authType: null } });
    expect(codes(await run("{ server { status { version } } }", { caller: NOBODY }))).toEqual(REFUSED);
  });

  test("a domain's administrator acts in his domain", async () => {
    const answer = await run('{ account { countUsers(domain: "localhost") } }', { caller: DOMAIN_ADMIN });
    expect(answer.body).toEqual({ data: { account: { countUsers: 2 } } });
  });

  test.each([
    ["another domain", '{ account { countUsers(domain: "dynamic.example") } }'],
    ["a user of another domain", '{ account { checkUser(user: "carol@dynamic.example") { exist } } }'],
    ["all domains, by leaving the argument out", "{ session { countSessions } }"],
    ["a global operation", "{ server { status { version } } }"],
    [
      "another domain behind an alias and a fragment",
      '{ ...F } fragment F on AdminQuery { a: account { countUsers(domain: "dynamic.example") } }',
    ],
    [
      "another domain inside a list",
      'mutation { roster { addContacts(contacts: [{jid: "a@localhost", name: ""}, {jid: "a@dynamic.example", name: ""}]) } }',
    ],
  ])("he may not reach %s", async (_what, query) => {
    expect(codes(await run(query, { caller: DOMAIN_ADMIN }))).toEqual(REFUSED);
  });

  test("he reaches subdomains of his domain", async () => {
    const answer = await run('{ account { checkUser(user: "room@muc.localhost") { exist } } }', {
      caller: DOMAIN_ADMIN,
    });
    expect(codes(answer)).toEqual([200]);
  });

  test("a refusal says which arguments it is about", async () => {
    const answer = await run('query Mine { account { countUsers(domain: "dynamic.example") } }', {
      caller: DOMAIN_ADMIN,
    });
    expect(answer.body.errors).toEqual([
      {
        message: "Cannot execute query Mine without permissions to the given domain. Args with invalid value: domain",
        path: ["account", "countUsers"],
        extensions: { code: "no_permissions" },
      },
    ]);
  });

  test("one forbidden operation keeps the allowed ones from running", async () => {
    const node = fakeNode();
    const query =
      'mutation { account { a: removeUser(user: "alice@localhost") { jid } b: removeUser(user: "carol@dynamic.example") { jid } } }';
    expect(codes(await run(query, { caller: DOMAIN_ADMIN, node }))).toEqual(REFUSED);
    expect(node.users.has("alice@localhost")).toBe(true);
  });

  test("an operation that @skip takes out is not asked about", async () => {
    const query = "{ checkAuth { authType } server @skip(if: true) { status { version } } }";
    expect(codes(await run(query, { caller: DOMAIN_ADMIN }))).toEqual([200]);
  });

  test("a variable decides as a literal does", async () => {
    const query = "query ($d: DomainName!) { account { countUsers(domain: $d) } }";
    expect(codes(await run(query, { caller: DOMAIN_ADMIN, variables: { d: "localhost" } }))).toEqual([200]);
    expect(codes(await run(query, { caller: DOMAIN_ADMIN, variables: { d: "dynamic.example" } }))).toEqual(REFUSED);
  });
});

describe("resolvers", () => {
  test("get defaults for what was left out or null", async () => {
    const query = "mutation ($note: String) { roster { addContacts(contacts: [], note: $note) } }";
    expect((await run(query, { variables: { note: null } })).body.data).toEqual({ roster: { addContacts: "none []" } });
  });

  test("never see null inside input objects", async () => {
    const query = 'mutation { roster { addContacts(contacts: [{jid: "A@localhost", name: "Al", groups: null}]) } }';
    const answer = await run(query);
    expect(answer.body.data).toEqual({ roster: { addContacts: 'none [{"jid":"a@localhost","name":"Al"}]' } });
  });

  test("refuse with a code, MongooseIM's facts and the path", async () => {
    const answer = await run('{ account { countUsers(domain: "nowhere") } }');
    expect(answer).toEqual({
      status: 200,
      body: {
        data: { account: { countUsers: null } },
        errors: [
          {
            message: "Domain does not exist",
            path: ["account", "countUsers"],
            extensions: { domain: "nowhere", code: "domain_not_found" },
          },
        ],
      },
    });
  });

  test("that crash keep the reason for the log", async () => {
    const node = fakeNode();
    const answer = await run('mutation { roster { addContacts(contacts: [], note: "crash", secretWord: "x") } }', {
      node,
    });
    expect(codes(answer)).toEqual([200, "resolver_crash"]);
    expect(JSON.stringify(answer)).not.toContain("1234");
    expect(node.audited).toMatchObject([
      { operation: "roster.addContacts", outcome: "crashed", args: { note: "crash", secretWord: "***" } },
    ]);
  });

  test("are not run when a module or service is missing", async () => {
    const node = fakeNode();
    node.loaded.modules.length = 0;
    node.loaded.services.length = 0;
    const answer = await run('{ last { getLast(user: "alice@localhost") } }', { node });
    expect(answer.body.errors).toEqual([
      {
        message: "Some of the required modules and services are not loaded",
        path: ["last", "getLast"],
        extensions: {
          code: "deps_not_loaded",
          not_loaded_modules: ["mod_last"],
          not_loaded_services: ["service_domain_db"],
        },
      },
    ]);
  });

  test("are not run for a category that the endpoint does not offer", async () => {
    const answer = await run("{ server { getLoglevel } checkAuth { authType } }", { allowedCategories: ["account"] });
    expect(answer.status).toBe(200);
    expect(answer.body.errors?.map((e) => e.extensions)).toEqual([
      { code: "category_disabled", category: "server" },
      { code: "category_disabled", category: "checkAuth" },
    ]);
  });
});

describe("a user of the user schema", () => {
  const mine = defineOperation({
    category: "last",
    name: "getLast",
    kind: "query",
    description: "",
    args: {},
    result: "String",
    scope: "user",
    needs: ["mod_last"],
    run: (_args, caller) => (caller.kind === "user" ? caller.jid.text : "?"),
  });
  const user = { schema: buildSchema([...coreOperations, getLast, mine], "user") };
  const caller: Caller = { kind: "user", via: "http", jid: parseBareJid("alice@localhost") };

  test("is told who he is", async () => {
    const { body } = await run("{ checkAuth { username authStatus } }", { ...user, caller });
    expect(body.data).toEqual({ checkAuth: { username: "alice@localhost", authStatus: "AUTHORIZED" } });
  });

  test("runs operations of his own, as long as his host type has the module", async () => {
    const query = "{ last { getLast } }";
    expect((await run(query, { ...user, caller })).body.data).toEqual({ last: { getLast: "alice@localhost" } });
    const node = fakeNode();
    node.loaded.modules.length = 0;
    expect(codes(await run(query, { ...user, caller, node }))).toEqual([200, "deps_not_loaded"]);
  });

  test("has to be one", async () => {
    for (const other of [NOBODY, ADMIN, DOMAIN_ADMIN]) {
      expect(codes(await run("{ last { getLast } }", { ...user, caller: other }))).toEqual([401, "no_permissions"]);
    }
  });
});

describe("the audit log", () => {
  test("has mutations with their arguments, without passwords", async () => {
    const node = fakeNode();
    await run('mutation { account { registerUser(domain: "localhost", username: "dora", password: "pw") { jid } } }', {
      node,
    });
    expect(node.audited).toEqual([
      {
        operation: "account.registerUser",
        caller: ADMIN,
        args: { domain: "localhost", username: "dora", password: "***" },
        outcome: "ok",
        milliseconds: 1,
      },
    ]);
  });

  test("says why a mutation was refused", async () => {
    const node = fakeNode();
    await run('mutation { account { removeUser(user: "nobody@localhost") { jid } } }', { node });
    expect(node.audited).toMatchObject([{ outcome: "refused", code: "not_allowed" }]);
  });

  test("leaves queries out", async () => {
    const node = fakeNode();
    await run('{ account { countUsers(domain: "localhost") } }', { node });
    expect(node.audited).toEqual([]);
  });
});
