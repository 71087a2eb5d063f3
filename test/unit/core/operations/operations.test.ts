// What the core's own operations do, one line a fact: query, then the data or the code of the refusal.

import { describe, expect, test } from "vitest";
import { parseCsvLine } from "../../../../core/operations/csv.ts";
import { execute } from "../../../../core/operations/execute.ts";
import { coreOperations } from "../../../../core/operations/index.ts";
import { buildSchema } from "../../../../core/operations/schema.ts";
import type { Caller } from "../../../../core/operations.ts";
import { type FakeNode, fakeNode, session } from "./fake-node.ts";

const schema = buildSchema(coreOperations);
const ADMIN: Caller = { kind: "admin", via: "cli" };

/** The value of the one field of the one category asked for, or the code of its refusal. */
async function ask(query: string, node: FakeNode = fakeNode(), caller = ADMIN): Promise<unknown> {
  const { body } = await execute({ query }, { schema, caller, node });
  if (body.errors) return body.errors.map((e) => e.extensions["code"]).join();
  const [category] = Object.values(body.data as Record<string, Record<string, unknown>>);
  return Object.values(category)[0];
}

function busy(): FakeNode {
  const node = fakeNode();
  node.sessionList.push(
    session("alice@localhost/phone", "away", "Walking"),
    session("alice@localhost/laptop"),
    session("carol@dynamic.example/x"),
  );
  return node;
}

describe("account", () => {
  test.each([
    ['{account{listUsers(domain:"localhost")}}', ["alice@localhost", "bob@localhost"]],
    ['{account{listUsers(domain:"localhost",limit:1)}}', ["alice@localhost"]],
    ['{account{listUsers(domain:"localhost",limit:5,index:1)}}', ["bob@localhost"]],
    ['{account{listUsers(domain:"nowhere")}}', "domain_not_found"],
    ['{account{countUsers(domain:"localhost")}}', 2],
    ['{account{checkPassword(user:"alice@localhost",password:"secret"){correct}}}', { correct: true }],
    ['{account{checkPassword(user:"alice@localhost",password:"wrong"){correct}}}', { correct: false }],
    ['{account{checkPassword(user:"nobody@localhost",password:"x"){correct}}}', "user_does_not_exist"],
    [
      '{account{checkPasswordHash(user:"alice@localhost",hashMethod:"md5",passwordHash:"5ebe2294ecd0e0f08eab7690d2a6ee69"){correct}}}',
      { correct: true },
    ],
    [
      '{account{checkPasswordHash(user:"alice@localhost",hashMethod:"sha",passwordHash:"E5E9FA1BA31ECD1AE84F75CAAA474F3A663F05F4"){correct}}}',
      { correct: true },
    ],
    [
      '{account{checkPasswordHash(user:"alice@localhost",hashMethod:"sha",passwordHash:"00"){correct}}}',
      { correct: false },
    ],
    [
      '{account{checkPasswordHash(user:"alice@localhost",hashMethod:"rot13",passwordHash:"00"){correct}}}',
      "wrong_method",
    ],
    ['{account{checkPasswordHash(user:"nobody@localhost",hashMethod:"md5",passwordHash:"00"){correct}}}', "wrong_user"],
    [
      '{account{checkUser(user:"Alice@LOCALHOST/any"){exist message}}}',
      { exist: true, message: "User alice@localhost exists" },
    ],
    ['{account{checkUser(user:"nobody@localhost"){exist}}}', { exist: false }],
    [
      'mutation{account{registerUser(domain:"localhost",username:"Dora",password:"pw"){jid message}}}',
      { jid: "dora@localhost", message: "User dora@localhost successfully registered" },
    ],
    ['mutation{account{registerUser(domain:"localhost",username:"alice",password:"pw"){jid}}}', "exists"],
    [
      'mutation{account{registerUser(domain:"localhost",username:"full",password:"pw"){jid}}}',
      "limit_per_domain_exceeded",
    ],
    ['mutation{account{registerUser(domain:"nowhere",username:"dora",password:"pw"){jid}}}', "cannot_register"],
    ['mutation{account{registerUser(domain:"localhost",username:"dora",password:""){jid}}}', "cannot_register"],
    ['mutation{account{removeUser(user:"alice@localhost"){jid}}}', { jid: "alice@localhost" }],
    ['mutation{account{removeUser(user:"nobody@localhost"){jid}}}', "not_allowed"],
    [
      'mutation{account{changeUserPassword(user:"alice@localhost",newPassword:"new"){message}}}',
      { message: "Password changed" },
    ],
    ['mutation{account{changeUserPassword(user:"alice@localhost",newPassword:""){message}}}', "empty_password"],
    ['mutation{account{changeUserPassword(user:"nobody@localhost",newPassword:"new"){message}}}', "not_allowed"],
    ['mutation{account{banUser(user:"nobody@localhost",reason:"spam"){jid}}}', "user_does_not_exist"],
    ['mutation{account{importUsers(filename:"none.csv"){status}}}', "file_not_found"],
  ])("%s", async (query, expected) => expect(await ask(query)).toEqual(expected));

  test("registerUser makes up a name", async () => {
    const made = await ask('mutation{account{registerUser(domain:"localhost",password:"pw"){jid}}}');
    expect(made).toEqual({ jid: expect.stringMatching(/^[0-9a-z]+-[0-9a-f]{16}@localhost$/) });
  });

  test("banUser closes the sessions and replaces the password", async () => {
    const node = busy();
    await ask('mutation{account{banUser(user:"alice@localhost",reason:"spam"){jid}}}', node);
    expect(node.did).toEqual(["kick alice@localhost/laptop: spam", "kick alice@localhost/phone: spam"]);
    expect(node.users.get("alice@localhost")).toMatch(/^BANNED_ACCOUNT--2023-11-14T22:13:20Z--(ab){16}--spam$/);
  });

  const CSV =
    'dora,localhost,pw\nalice,localhost,pw\nzoe,nowhere,pw\na b,localhost,pw\nerin,localhost,\nonly,two\n\n"o""h",localhost,"p,w"\r\n"fay",localhost,"p,w"\r\n';
  const IMPORT =
    'mutation{account{importUsers(filename:"u.csv"){status created existing notAllowed invalidJID emptyPassword invalidRecord}}}';

  test("importUsers tells what became of each record", async () => {
    const node = fakeNode();
    node.files.set("u.csv", CSV);
    expect(await ask(IMPORT, node)).toEqual({
      status: "Completed",
      created: ["dora@localhost", "fay@localhost"],
      existing: ["alice@localhost"],
      notAllowed: ["zoe@nowhere"],
      invalidJID: ["a b,localhost,pw", 'o"h,localhost,p,w'],
      emptyPassword: ["erin@localhost"],
      invalidRecord: ["only,two"],
    });
    expect(node.users.get("fay@localhost")).toBe("p,w");
  });

  test("importUsers over HTTP answers before it has finished", async () => {
    const node = fakeNode();
    node.files.set("u.csv", CSV);
    expect(await ask(IMPORT, node, { kind: "admin", via: "http" })).toMatchObject({ status: "ImportUsers scheduled" });
    await new Promise((done) => setTimeout(done, 5));
    expect(node.users.has("dora@localhost")).toBe(true);
  });
});

describe("a CSV line", () => {
  test.each([
    ["a,b,c", ["a", "b", "c"]],
    ["a,,", ["a", "", ""]],
    ['"a,b","c""d"', ["a,b", 'c"d']],
    ["", [""]],
    ['"a', undefined],
    ['"a"b,c', undefined],
  ])("%s", (line, fields) => expect(parseCsvLine(line)).toEqual(fields));
});

describe("session", () => {
  test.each([
    [
      '{session{listSessions(domain:"dynamic.example"){user connection ip port priority node uptime}}}',
      [
        {
          user: "carol@dynamic.example/x",
          connection: "c2s_tls",
          ip: "127.0.0.1",
          port: 40000,
          priority: 5,
          node: "mim@here",
          uptime: 61,
        },
      ],
    ],
    ["{session{countSessions}}", 3],
    ['{session{countSessions(domain:"localhost")}}', 2],
    ['{session{countSessions(domain:"nowhere")}}', "domain_not_found"],
    [
      '{session{listUserSessions(user:"alice@localhost"){user}}}',
      [{ user: "alice@localhost/laptop" }, { user: "alice@localhost/phone" }],
    ],
    ['{session{listUserSessions(user:"nobody@localhost"){user}}}', "user_not_found"],
    ['{session{countUserResources(user:"alice@localhost")}}', 2],
    ['{session{countUserResources(user:"alice@nowhere")}}', "user_not_found"],
    ['{session{getUserResource(user:"alice@localhost",number:2)}}', "phone"],
    ['{session{getUserResource(user:"alice@localhost",number:3)}}', "wrong_res_number"],
    [
      '{session{listUsersWithStatus(status:"away"){user priority text}}}',
      [{ user: "alice@localhost/phone", priority: 5, text: "Walking" }],
    ],
    ['{session{countUsersWithStatus(domain:"localhost",status:"available")}}', 1],
    [
      'mutation{session{kickUserSession(user:"alice@localhost/phone"){jid kicked code message}}}',
      { jid: "alice@localhost/phone", kicked: true, code: null, message: "Session kicked" },
    ],
    ['mutation{session{kickUserSession(user:"alice@localhost/tablet"){kicked}}}', "no_session"],
    [
      'mutation{session{kickUser(user:"alice@localhost"){jid kicked}}}',
      [
        { jid: "alice@localhost/laptop", kicked: true },
        { jid: "alice@localhost/phone", kicked: true },
      ],
    ],
    ['mutation{session{setPresence(user:"alice@localhost",type:AVAILABLE){jid}}}', "empty_resource"],
    ['mutation{session{setPresence(user:"alice@localhost/tablet",type:AVAILABLE){jid}}}', "no_session"],
  ])("%s", async (query, expected) => expect(await ask(query, busy())).toEqual(expected));

  test("a kick without a reason has one", async () => {
    const node = busy();
    await ask('mutation{session{kickUserSession(user:"alice@localhost/phone",reason:""){kicked}}}', node);
    expect(node.did).toEqual(["kick alice@localhost/phone: Kicked by administrator"]);
  });

  test("setPresence speaks as the client would", async () => {
    const node = busy();
    await ask(
      'mutation{session{setPresence(user:"alice@localhost/phone",type:AVAILABLE,show:DND,status:"Busy",priority:-1){jid}}}',
      node,
    );
    expect(node.did).toEqual([
      'presence alice@localhost/phone {"type":"available","show":"dnd","status":"Busy","priority":-1}',
    ]);
  });
});

describe("domain", () => {
  test.each([
    ['{domain{domainsByHostType(hostType:"dyn")}}', ["dynamic.example"]],
    ['{domain{domainsByHostType(hostType:"none")}}', "unknown_host_type"],
    [
      "{domain{allDomains{domain type}}}",
      [
        { domain: "dynamic.example", type: "DYNAMIC" },
        { domain: "localhost", type: "STATIC" },
      ],
    ],
    [
      '{domain{domainDetails(domain:"localhost"){domain hostType status type}}}',
      { domain: "localhost", hostType: "localhost", status: "ENABLED", type: "STATIC" },
    ],
    ['{domain{domainDetails(domain:"nowhere"){domain}}}', "not_found"],
    [
      'mutation{domain{addDomain(domain:"New.Example",hostType:"dyn"){domain hostType status}}}',
      { domain: "new.example", hostType: "dyn", status: null },
    ],
    ['mutation{domain{addDomain(domain:"dynamic.example",hostType:"dyn"){domain}}}', "duplicate"],
    ['mutation{domain{addDomain(domain:"localhost",hostType:"dyn"){domain}}}', "static"],
    ['mutation{domain{addDomain(domain:"new.example",hostType:"none"){domain}}}', "unknown_host_type"],
    ['mutation{domain{removeDomain(domain:"dynamic.example",hostType:"dyn"){status}}}', { status: "DELETED" }],
    ['mutation{domain{requestRemoveDomain(domain:"dynamic.example",hostType:"dyn"){status}}}', { status: "DELETING" }],
    ['mutation{domain{removeDomain(domain:"dynamic.example",hostType:"other"){status}}}', "wrong_host_type"],
    ['mutation{domain{enableDomain(domain:"dynamic.example"){status}}}', { status: "ENABLED" }],
    ['mutation{domain{disableDomain(domain:"dynamic.example"){status}}}', { status: "DISABLED" }],
    ['mutation{domain{disableDomain(domain:"nowhere"){status}}}', "not_found"],
    ['mutation{domain{setDomainPassword(domain:"localhost",password:"pw")}}', "Domain password set successfully"],
    ['mutation{domain{setDomainPassword(domain:"nowhere",password:"pw")}}', "not_found"],
    ['mutation{domain{deleteDomainPassword(domain:"localhost")}}', "not_found"],
  ])("%s", async (query, expected) => expect(await ask(query)).toEqual(expected));
});

describe("server and stat", () => {
  test.each([
    [
      "{server{status{statusCode version commitHash}}}",
      { statusCode: "RUNNING", version: "6.8.0", commitHash: "abcdef1" },
    ],
    ["{server{getLoglevel}}", "WARNING"],
    ["{server{getCookie}}", "no_cookie"],
    [
      "{server{hostTypes{name modules{name options{key value}} authMethods}}}",
      [
        {
          name: "localhost",
          authMethods: ["internal"],
          modules: [{ name: "mod_last", options: [{ key: "backend", value: "rdbms" }] }],
        },
      ],
    ],
    [
      "{server{globalInfo{services{name} internalDatabases}}}",
      { services: [{ name: "service_domain_db" }], internalDatabases: [] },
    ],
    ['mutation{server{joinCluster(node:"a@b")}}', "not_clustered"],
    ['mutation{server{removeNode(node:"a@b")}}', "no_mnesia"],
    [
      "{stat{globalStats{uptimeSeconds registeredUsers onlineUsersNode onlineUsers incomingS2S outgoingS2S}}}",
      { uptimeSeconds: 12, registeredUsers: 3, onlineUsersNode: 0, onlineUsers: 0, incomingS2S: 2, outgoingS2S: 3 },
    ],
    ['{stat{domainStats(domain:"localhost"){registeredUsers onlineUsers}}}', { registeredUsers: 2, onlineUsers: 0 }],
    ['{stat{domainStats(domain:"nowhere"){onlineUsers}}}', "domain_not_found"],
  ])("%s", async (query, expected) => expect(await ask(query)).toEqual(expected));

  test("setLoglevel is seen by getLoglevel", async () => {
    const node = fakeNode();
    await ask("mutation{server{setLoglevel(level:DEBUG)}}", node);
    expect(await ask("{server{getLoglevel}}", node)).toBe("DEBUG");
  });

  test.each(["stop", "restart"])("%s is begun", async (name) => {
    const node = fakeNode();
    await ask(`mutation{server{${name}}}`, node);
    expect(node.did).toEqual([name]);
  });
});

describe("metric", () => {
  function measured(): FakeNode {
    const node = fakeNode();
    node.samples.push(
      { name: ["global", "sm", "sessions"], type: "gauge", values: { value: 7 } },
      { name: ["localhost", "c2s", "bytes"], type: "spiral", values: { one: 1.4, count: 5_000_000_000 } },
    );
    return node;
  }

  test.each([
    [
      '{metric{getMetrics(name:["global"]){... on GaugeMetric{name type value}}}}',
      [{ name: ["global", "sm", "sessions"], type: "gauge", value: 7 }],
    ],
    ['{metric{getMetrics(name:["_","c2s"]){... on SpiralMetric{one count}}}}', [{ one: 1, count: 2_147_483_647 }]],
    [
      '{metric{getMetricsAsDicts(keys:["one"]){name dict{key value}}}}',
      [
        { name: ["global", "sm", "sessions"], dict: [] },
        { name: ["localhost", "c2s", "bytes"], dict: [{ key: "one", value: 1 }] },
      ],
    ],
    [
      '{metric{getClusterMetricsAsDicts(name:["global"]){node result{name}}}}',
      [
        { node: "mim@here", result: [{ name: ["global", "sm", "sessions"] }] },
        { node: expect.any(String), result: [{ name: ["error", "nodedown"] }] },
      ],
    ],
  ])("%s", async (query, expected) => expect(await ask(query, measured())).toEqual(expected));
});

describe("stanza", () => {
  const ID = "ab".repeat(16);

  test.each([
    [
      'sendMessage(from:"alice@localhost",to:"bob@localhost",body:"a < b")',
      `<message type='chat' from='alice@localhost' to='bob@localhost' id='${ID}'><body>a &lt; b</body></message>`,
    ],
    [
      'sendMessageHeadLine(from:"alice@localhost",to:"bob@localhost",subject:"S")',
      `<message type='headline' from='alice@localhost' to='bob@localhost' id='${ID}'><subject>S</subject></message>`,
    ],
    [
      `sendStanza(stanza:"<iq type='get' id='1' from='alice@localhost/r' to='localhost'/>")`,
      "<iq type='get' id='1' from='alice@localhost/r' to='localhost'/>",
    ],
    [
      `sendStanza(stanza:"<presence from='alice@localhost/r' to='bob@localhost'/>")`,
      `<presence id='${ID}' from='alice@localhost/r' to='bob@localhost'/>`,
    ],
  ])("%s", async (call, xml) => {
    const node = fakeNode();
    const answer = await ask(`mutation{stanza{${call}{id}}}`, node);
    expect([answer, node.sent.map((s) => s.text)]).toEqual([{ id: node.sent[0]?.id }, [xml]]);
    expect(node.sent[0].from.text).toMatch(/^alice@localhost/);
  });

  test.each([
    ['sendMessage(from:"nobody@localhost",to:"b@c",body:"")', "unknown_user"],
    ['sendMessage(from:"a@nowhere",to:"b@c",body:"")', "unknown_user"],
    ["sendStanza", "no_stanza"],
    [`sendStanza(stanza:"<message to='a@b'/>")`, "no_sender"],
    [`sendStanza(stanza:"<message from='@' to='a@b'/>")`, "invalid_sender"],
    [`sendStanza(stanza:"<message from='alice@localhost'/>")`, "no_recipient"],
    [`sendStanza(stanza:"<message from='alice@localhost' to='@'/>")`, "invalid_recipient"],
  ])("%s is refused: %s", async (call, code) => {
    const node = fakeNode();
    expect([await ask(`mutation{stanza{${call}{id}}}`, node), node.sent]).toEqual([code, []]);
  });
});
