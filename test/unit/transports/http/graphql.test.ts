import { describe, expect, test } from "vitest";
import { AddressLimits } from "../../../../core/address-limits.ts";
import { parseJid } from "../../../../core/jid.ts";
import { coreOperations } from "../../../../core/operations/index.ts";
import { buildSchema } from "../../../../core/operations/schema.ts";
import { defineOperation } from "../../../../core/operations.ts";
import { viewText } from "../../../../core/xml/framer.ts";
import { type GraphqlOptions, graphqlApp } from "../../../../transports/http/graphql.ts";
import { fakeNode } from "../../core/operations/fake-node.ts";

const schema = buildSchema(coreOperations);
const WHO = "{ checkAuth { authType domain } }";
const COUNT = '{ account { countUsers(domain: "localhost") } }';
const basic = (user: string, password: string) => ({ Authorization: `Basic ${btoa(`${user}:${password}`)}` });

const common = () => ({ schema: () => schema, node: fakeNode(), sseIdleTimeout: 60_000, onError: () => {} });
const open = (): GraphqlOptions => ({ ...common(), endpoint: "admin", access: { ip: "127.0.0.1" } });
const closed = (): GraphqlOptions => ({
  ...common(),
  endpoint: "admin",
  access: { username: "admin", password: "secret" },
});
const ofDomains = (): GraphqlOptions => ({
  ...common(),
  endpoint: "domain_admin",
  checkDomainAdmin: (domain, password) => domain === "localhost" && password === "pw",
});

async function post(options: GraphqlOptions, body: unknown, headers: Record<string, string> = {}) {
  const response = await graphqlApp(options).request("/", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return {
    status: response.status,
    body: (await response.json()) as { data?: unknown; errors?: { extensions: { code: string } }[] },
  };
}
const codeOf = ({ status, body }: Awaited<ReturnType<typeof post>>) => [status, body.errors?.[0].extensions.code];
const get = (query: string, headers: Record<string, string> = {}) =>
  graphqlApp(open()).request(`/?${query}`, { headers });

describe("without credentials an administrator's endpoint", () => {
  const asked = (host: string, options = open()) => post(options, { query: WHO }, { Host: host });
  test.each(["localhost:5551", "127.0.0.1", "[::1]:5551"])("answers to %s", async (host) => {
    expect((await asked(host)).status).toBe(200);
  });
  test.each(["evil.example", "127.0.0.1.evil.example:5551", "10.0.0.7"])("refuses %s", async (host) => {
    expect(codeOf(await asked(host))).toEqual([403, "host_not_allowed"]);
  });
  test("refuses a page of another name that reads by GET", async () => {
    expect((await get(`query=${encodeURIComponent(WHO)}`, { Host: "evil.example" })).status).toBe(403);
  });
  test("with credentials any name will do", async () => {
    expect((await asked("mim.example", closed())).status).toBe(200);
  });
});

describe("POST", () => {
  test("runs a query and gives JSON", async () => {
    expect(await post(open(), { query: COUNT })).toEqual({
      status: 200,
      body: { data: { account: { countUsers: 2 } } },
    });
  });

  test("takes variables as an object or as JSON text", async () => {
    const query = "query ($d: DomainName!) { account { countUsers(domain: $d) } }";
    for (const variables of [{ d: "localhost" }, '{"d":"localhost"}']) {
      expect((await post(open(), { query, variables })).body.data).toEqual({ account: { countUsers: 2 } });
    }
  });

  test("takes null for no variables and no name", async () => {
    expect((await post(open(), { query: WHO, variables: null, operationName: null })).status).toBe(200);
  });

  test("runs the operation that is named", async () => {
    const query = `query A ${WHO} query B ${COUNT}`;
    expect((await post(open(), { query, operationName: "B" })).body.data).toEqual({ account: { countUsers: 2 } });
  });

  test.each([
    ["no JSON", "{", [400, "invalid_json_body"]],
    ["an array", "[]", [400, "invalid_json_body"]],
    ["no query", {}, [400, "no_query_supplied"]],
    ["variables that are no JSON", { query: WHO, variables: "{" }, [400, "variables_invalid_json"]],
    ["variables that are no object", { query: WHO, variables: [1] }, [400, "variables_invalid_json"]],
    ["a query that does not parse", { query: "{" }, [400, "parser_error"]],
  ])("refuses %s", async (_what, body, answer) => expect(codeOf(await post(open(), body))).toEqual(answer));

  test("refuses a body that is no JSON by its type", async () => {
    expect(codeOf(await post(open(), WHO, { "Content-Type": "text/plain" }))).toEqual([415, "unsupported_media_type"]);
  });

  test("refuses a body that is too large", async () => {
    const body = JSON.stringify({ query: `{ # ${"x".repeat(9 * 1024 * 1024)}` });
    expect(codeOf(await post(open(), body))).toEqual([413, "request_too_large"]);
  });

  test("tells nobody but the log what broke", async () => {
    const seen: unknown[] = [];
    const options = { ...ofDomains(), onError: (error: unknown) => void seen.push(error) };
    const broken = { ...options, checkDomainAdmin: () => Promise.reject(new Error("database gone")) } as GraphqlOptions;
    const answer = await post(broken, { query: WHO }, basic("admin@localhost", "pw"));
    expect(codeOf(answer)).toEqual([500, "internal_server_error"]);
    expect([JSON.stringify(answer).includes("database"), seen]).toEqual([false, [new Error("database gone")]]);
  });
});

describe("GET", () => {
  test("runs the query of the query string", async () => {
    const response = await get(`query=${encodeURIComponent(COUNT)}`);
    expect(await response.json()).toEqual({ data: { account: { countUsers: 2 } } });
  });

  test("takes mutations too, as MongooseIM does", async () => {
    const response = await get(`query=${encodeURIComponent("mutation { server { setLoglevel(level: ERROR) } }")}`);
    expect(response.status).toBe(200);
  });

  test("refuses a stray percent sign", async () => {
    const response = await get("query=%zz");
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: "invalid_query_parameters" } }] });
  });

  test("gives a page to a browser, which talks to nobody else", async () => {
    const response = await get("", { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
    expect(response.headers.get("Content-Type")).toMatch(/^text\/html/);
    expect(response.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
    expect(await response.text()).not.toMatch(/(src|href)=/);
  });

  test("gives JSON to whoever takes anything", async () => {
    expect((await get(`query=${encodeURIComponent(WHO)}`, { Accept: "*/*" })).headers.get("Content-Type")).toMatch(
      /json/,
    );
  });
});

test("only the allowed categories answer, http_upload being httpUpload", async () => {
  const upload = defineOperation({
    category: "httpUpload",
    name: "probe",
    kind: "query",
    description: "",
    args: {},
    result: "String",
    scope: "global",
    run: () => "here",
  });
  const options = {
    ...open(),
    schema: () => buildSchema([...coreOperations, upload]),
    allowedCategories: ["http_upload"],
  };
  const answer = await post(options, { query: "{ httpUpload { probe } server { getLoglevel } }" });
  expect(answer.body.data).toEqual({ httpUpload: { probe: "here" }, server: null });
  expect(codeOf(answer)).toEqual([200, "category_disabled"]);
});

test("other methods are refused with the ones allowed", async () => {
  const response = await graphqlApp(open()).request("/", { method: "DELETE" });
  expect([response.status, response.headers.get("Allow")]).toEqual([405, "GET, POST"]);
});

test("a page of another site cannot make a browser run a mutation", async () => {
  const response = await get(`query=${encodeURIComponent("mutation { server { stop } }")}`, {
    "Sec-Fetch-Site": "cross-site",
  });
  expect(response.status).toBe(403);
});

describe("who is asking", () => {
  const admin = { checkAuth: { authType: "ADMIN", domain: null } };
  const nobody = { checkAuth: { authType: null, domain: null } };
  const WRONG = [401, "wrong_credentials"];

  test("without credentials configured everybody is an administrator", async () => {
    expect((await post(open(), { query: WHO })).body.data).toEqual(admin);
  });
  test("and credentials that nobody configured are wrong", async () => {
    expect(codeOf(await post(open(), { query: WHO }, basic("a", "b")))).toEqual(WRONG);
  });
  test("the configured credentials make an administrator", async () => {
    expect((await post(closed(), { query: WHO }, basic("admin", "secret"))).body.data).toEqual(admin);
  });
  test("others are wrong", async () => {
    expect(codeOf(await post(closed(), { query: WHO }, basic("admin", "guess")))).toEqual(WRONG);
  });
  test("none leave checkAuth, and nothing else", async () => {
    expect((await post(closed(), { query: WHO })).body.data).toEqual(nobody);
    expect(codeOf(await post(closed(), { query: COUNT }))).toEqual([401, "no_permissions"]);
  });
  test("a malformed header is refused", async () => {
    expect(codeOf(await post(closed(), { query: WHO }, { Authorization: "Basic ?" }))).toEqual([401, "request_error"]);
  });

  test("admin@domain with the domain's password is the domain's administrator", async () => {
    const answer = await post(ofDomains(), { query: WHO }, basic("admin@LOCALHOST", "pw"));
    expect(answer.body.data).toEqual({ checkAuth: { authType: "DOMAIN_ADMIN", domain: "localhost" } });
  });
  test.each([
    ["admin@localhost", "guess"],
    ["admin@example.org", "pw"],
    ["alice@localhost", "pw"],
    ["admin@localhost/res", "pw"],
    ["admin", "pw"],
  ])("%s with %s is not", async (user, password) => {
    expect(codeOf(await post(ofDomains(), { query: WHO }, basic(user, password)))).toEqual(WRONG);
  });

  test("a user is known by his JID and password", async () => {
    const user: GraphqlOptions = {
      ...common(),
      endpoint: "user",
      checkUser: (user, password) => `${user.text}:${password}` === "alice@localhost:pw",
    };
    expect((await post(user, { query: COUNT }, basic("Alice@localhost", "pw"))).status).toBe(401);
    expect(codeOf(await post(user, { query: COUNT }, basic("alice@localhost", "pw")))[1]).toBe("no_permissions");
    expect(codeOf(await post(user, { query: COUNT }, basic("alice@localhost", "no")))).toEqual(WRONG);
  });
});

test("an address from which too many log-ins failed gets 429 with any credentials, others do not", async () => {
  const limits = new AddressLimits(() => 0);
  const failures = { isBarred: (address: string) => limits.isBarred(address, 2), add: limits.fails.bind(limits) };
  const app = graphqlApp({ ...closed(), failures });
  const from = async (address: string, password?: string): Promise<number> => {
    const headers: Record<string, string> =
      password === undefined ? {} : { Authorization: `Basic ${Buffer.from(`admin:${password}`).toString("base64")}` };
    const server = { requestIP: () => ({ address }) };
    return (await app.request("/?query={checkAuth{authStatus}}", { headers }, { server })).status;
  };
  expect([await from("192.0.2.1", "a"), await from("192.0.2.1", "b"), await from("192.0.2.1", "secret")]).toEqual([
    401, 401, 429,
  ]);
  expect([await from("192.0.2.1"), await from("192.0.2.2", "secret")]).toEqual([200, 200]);
});

describe("subscriptions", () => {
  const FOLLOW = 'subscription { stanza { subscribeForMessages(caller: "alice@localhost") { sender stanza } } }';
  const begin = (headers: Record<string, string> = {}, options = open()) =>
    graphqlApp(options).request(`/sse?query=${encodeURIComponent(FOLLOW)}`, { headers });

  test("are streams of events that end with what is followed", async () => {
    const node = fakeNode();
    for (const body of ["1", "2"]) {
      const stanza = viewText(`<message to='alice@localhost'><body>${body}</body></message>`);
      stanza.from = parseJid("bob@localhost/phone");
      stanza.to = parseJid("alice@localhost");
      node.sent.push(stanza);
    }
    const response = await begin({}, { ...open(), node });
    expect(response.headers.get("Content-Type")).toBe("text/event-stream");
    const event = (id: number) => {
      const data = {
        sender: "bob@localhost/phone",
        stanza: `<message to='alice@localhost'><body>${id}</body></message>`,
      };
      return `id: ${id}\ndata: ${JSON.stringify({ data: { stanza: { subscribeForMessages: data } } })}\n\n`;
    };
    expect(await response.text()).toBe(`:\n\n${event(1)}${event(2)}`);
    expect(node.audited).toMatchObject([{ operation: "stanza.subscribeForMessages", outcome: "ok" }]);
  });

  test("are stopped when the reader goes", async () => {
    const node = fakeNode();
    const response = await begin({}, { ...open(), node });
    await response.body?.cancel();
    expect(node.did).toEqual(["stop following alice@localhost"]);
  });

  test("are nothing for other web sites, whatever name they give us", async () => {
    expect((await begin({ "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
    expect((await begin({ Host: "evil.example" })).status).toBe(403);
  });

  test("of a category that is not offered do not begin", async () => {
    const node = fakeNode();
    const response = await begin({}, { ...open(), node, allowedCategories: ["account"] });
    expect(await response.json()).toMatchObject({
      data: { stanza: null },
      errors: [{ extensions: { code: "category_disabled" }, path: ["stanza"] }],
    });
    expect(node.audited).toEqual([]);
  });

  test("that crash tell the log why, and the caller nothing", async () => {
    const node = fakeNode();
    const crash = (): never => {
      throw new Error("secret of the database");
    };
    const response = await begin({}, { ...open(), node: { ...node, stanzas: { ...node.stanzas, follow: crash } } });
    const text = await response.text();
    expect(text).toContain("Unexpected StanzaAdminSubscription resolver crash");
    expect(text).not.toContain("secret");
    expect(node.audited).toMatchObject([{ outcome: "crashed" }]);
  });
});
