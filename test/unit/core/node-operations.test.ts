import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { StanzaError } from "../../../core/errors.ts";
import { STOP } from "../../../core/hooks.ts";
import { makeBare, parseBareJid, parseFullJid, parseJid } from "../../../core/jid.ts";
import { type AnyModule, defineModule, type ModuleContext } from "../../../core/module.ts";
import type { Node } from "../../../core/node.ts";
import { checkDomainAdmin, createOperationNode } from "../../../core/node-operations.ts";
import { execute } from "../../../core/operations/execute.ts";
import { coreOperations } from "../../../core/operations/index.ts";
import { buildSchema } from "../../../core/operations/schema.ts";
import type { AuditEntry, OperationNode } from "../../../core/operations.ts";
import { viewText } from "../../../core/xml/framer.ts";
import { StubClient } from "../../support/stub-conn.ts";
import { type StubNode, type StubNodeOptions, stubNode } from "../../support/stub-node.ts";

declare module "../../../core/operations.ts" {
  interface ModuleInstances {
    mod_witness: ModuleContext<{ backend: string; token: string }>;
  }
}

const running: Node[] = [];

afterEach(async () => {
  for (const node of running.splice(0)) await node.stop();
});

async function start(options: StubNodeOptions = {}): Promise<StubNode & { ops: OperationNode; did: string[] }> {
  const stub = await stubNode(options);
  running.push(stub.node);
  const did: string[] = [];
  const parts = { commit: "abc123", stop: () => void did.push("stop"), restart: () => void did.push("restart") };
  return { ...stub, did, ops: createOperationNode(stub.node, parts) };
}

/** Writes down what it sees; refuses and stops messages whose body says so. */
function witness(): { saw: string[]; module: AnyModule } {
  const saw: string[] = [];
  const module = defineModule<{ backend: string; token: string }>({
    name: "mod_witness",
    xeps: [],
    config: z.strictObject({ backend: z.string().default("rdbms"), token: z.string().default("s3cret") }),
    hooks: {
      user_send_message: (stanza, session) => {
        saw.push(`message ${session.jid.bare.text} ${stanza.childText("body")}`);
        if (stanza.childText("body") === "stop") return STOP;
        if (stanza.childText("body") === "refuse") throw new StanzaError("not-acceptable");
        return undefined;
      },
      user_send_presence: (stanza, session) => {
        saw.push(`presence ${session.jid.text} ${stanza.text}`);
        session.setPresence(stanza, 7);
        return STOP;
      },
      register_user: ({ jid }) => void saw.push(`registered ${jid.text}`),
      remove_user: ({ jid }) => void saw.push(`removed ${jid.text}`),
      remove_domain: ({ domain }) => void saw.push(`removed ${domain}`),
    },
  });
  return { saw, module };
}

const alice = parseBareJid("alice@localhost");
const home = parseFullJid("alice@localhost/home");

describe("accounts", () => {
  test("registering creates the account and tells the register_user hook", async () => {
    const { saw, module } = witness();
    const { ops } = await start({ modules: [module] });
    expect(await ops.accounts.register(alice, "pass")).toBe("ok");
    expect([await ops.accounts.checkPassword(alice, "pass"), saw]).toEqual([true, ["registered alice@localhost"]]);
  });

  test("a name is registered once", async () => {
    const { ops } = await start({ users: ["alice"] });
    expect(await ops.accounts.register(alice, "other")).toBe("exists");
  });

  test("the limit of accounts has its own answer", async () => {
    const auth = 'methods = ["internal"]\npassword.format = "plain"\nmax_users_per_domain = 1\ninternal = {}\n';
    const { ops } = await start({ auth, users: ["bob"] });
    expect(await ops.accounts.register(alice, "pass")).toBe("limit_per_domain_exceeded");
  });

  test("users are listed as bare JIDs, sorted, a page at a time", async () => {
    const { ops } = await start({ users: ["carol", "alice", "bob"] });
    expect(await ops.accounts.list("localhost", { limit: 2, offset: 1 })).toEqual(["bob@localhost", "carol@localhost"]);
    expect(await ops.accounts.count("localhost")).toBe(3);
  });

  test("removing tells the remove_user hook and ends the sessions", async () => {
    const { saw, module } = witness();
    const { ops, node } = await start({ modules: [module], users: ["alice"] });
    const client = await StubClient.logIn(node, "alice@localhost/home");
    expect(await ops.accounts.remove(alice)).toBe("ok");
    await client.hears("The account was removed");
    expect([await ops.accounts.exists(alice), saw]).toEqual([false, ["removed alice@localhost"]]);
  });

  test("removing an unknown user is not allowed", async () => {
    const { ops } = await start();
    expect(await ops.accounts.remove(alice)).toBe("not_allowed");
  });

  test("a new password replaces the old one", async () => {
    const { ops } = await start({ users: ["alice"] });
    expect(await ops.accounts.setPassword(alice, "new")).toBe("ok");
    expect(await ops.accounts.plainPassword(alice)).toBe("new");
  });

  test("a password that is stored hashed is not told", async () => {
    const auth = 'methods = ["internal"]\npassword.hash = ["sha256"]\npassword.scram_iterations = 10\ninternal = {}\n';
    const { ops } = await start({ auth, users: ["alice"] });
    expect(await ops.accounts.plainPassword(alice)).toBeUndefined();
    expect(await ops.accounts.checkPassword(alice, "secret")).toBe(true);
  });

  test("a domain that is not ours has no users", async () => {
    const { ops } = await start();
    const stranger = makeBare("alice", "elsewhere.example");
    expect(await ops.accounts.exists(stranger)).toBe(false);
    expect(await ops.accounts.count("elsewhere.example")).toBe(0);
    expect(await ops.accounts.register(stranger, "pass")).toBe("not_allowed");
  });
});

describe("sessions", () => {
  test("a session is described with MongooseIM's words", async () => {
    let now = 1_000_000;
    const { ops, node } = await start({ users: ["alice"], now: () => now });
    await StubClient.logIn(node, "alice@localhost/home");
    now += 2500;
    expect(await ops.sessions.of(alice)).toEqual([
      {
        jid: home,
        connection: "tcp",
        ip: "192.0.2.7",
        port: 40_000,
        node: "mongooseim@test",
        uptime: 2.5,
        presence: { show: "unavailable", status: "" },
      },
    ]);
  });

  test("an encrypted connection is of the kind tls", async () => {
    const { ops, node } = await start({ users: ["alice"] });
    await StubClient.logIn(node, "alice@localhost/home", { secure: true });
    expect((await ops.sessions.list())[0].connection).toBe("tls");
  });

  test("sessions are listed and counted by domain", async () => {
    const { ops, node } = await start({ users: ["alice", "bob"] });
    await ops.domains.add("other.example", "dynamic");
    await ops.accounts.register(makeBare("carol", "other.example"), "secret");
    for (const jid of ["alice@localhost/a", "bob@localhost/b", "carol@other.example/c"]) {
      await StubClient.logIn(node, jid);
    }
    expect(await ops.sessions.count("localhost")).toBe(2);
    expect((await ops.sessions.list("other.example")).map(({ jid }) => jid.text)).toEqual(["carol@other.example/c"]);
    expect([await ops.sessions.count(), ops.sessions.countHere()]).toEqual([3, 3]);
  });

  test("a kicked client learns why", async () => {
    const { ops, node } = await start({ users: ["alice"] });
    const client = await StubClient.logIn(node, "alice@localhost/home");
    expect(await ops.sessions.kick(home, "Too <loud>")).toBe(true);
    await client.hears("<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
    await client.hears("Too &lt;loud&gt;");
    expect(client.conn.ended).toBe(true);
  });

  test("nobody is kicked who is not there", async () => {
    const { ops } = await start({ users: ["alice"] });
    expect(await ops.sessions.kick(home, "x")).toBe(false);
  });

  test("a presence that is set goes through the hooks as the client's own", async () => {
    const { saw, module } = witness();
    const { ops, node } = await start({ modules: [module], users: ["alice"] });
    await StubClient.logIn(node, "alice@localhost/home");
    const presence = { type: "available", show: "away", status: "at <lunch>", priority: 7 };
    expect(await ops.sessions.setPresence(home, presence)).toBe(true);
    const text = "<presence><show>away</show><status>at &lt;lunch&gt;</status><priority>7</priority></presence>";
    expect(saw).toEqual([`presence alice@localhost/home ${text}`]);
    const [session] = await ops.sessions.of(alice);
    expect([session.priority, session.presence]).toEqual([7, { show: "away", status: "at <lunch>" }]);
  });

  test("a presence without show is available", async () => {
    const { saw, module } = witness();
    const { ops, node } = await start({ modules: [module], users: ["alice"] });
    await StubClient.logIn(node, "alice@localhost/home");
    await ops.sessions.setPresence(home, { type: "available", show: "online" });
    expect(saw).toEqual(["presence alice@localhost/home <presence></presence>"]);
    expect((await ops.sessions.of(alice))[0].presence).toEqual({ show: "available", status: "" });
  });

  test("listing sessions leaves no parsed tree on the presence that is kept", async () => {
    const { module } = witness();
    const { ops, node } = await start({ modules: [module], users: ["alice"] });
    await StubClient.logIn(node, "alice@localhost/home");
    await ops.sessions.setPresence(home, { type: "available", show: "dnd" });
    await ops.sessions.list();
    expect(Reflect.get(node.session(home)!.presence!, "tree")).toBeUndefined();
  });

  test("no presence is set without a session", async () => {
    const { ops } = await start({ users: ["alice"] });
    expect(await ops.sessions.setPresence(home, { type: "available" })).toBe(false);
  });
});

describe("domains", () => {
  test("a domain is added, served and described", async () => {
    const { ops } = await start();
    const info = { domain: "a.example", hostType: "dynamic", status: "ENABLED", type: "DYNAMIC" };
    expect(await ops.domains.add("a.example", "dynamic")).toEqual(info);
    expect(await ops.domains.details("a.example")).toEqual(info);
    expect([await ops.domains.hostTypeOf("a.example"), await ops.domains.ofHostType("dynamic")]).toEqual([
      "dynamic",
      ["a.example"],
    ]);
  });

  test.each([
    ["localhost", "dynamic", "static"],
    ["a.example", "dynamic", "duplicate"],
    ["b.example", "nothing", "unknown_host_type"],
    ["b.example", "localhost", "unknown_host_type"],
  ])("adding %s to %s is refused: %s", async (domain, hostType, refusal) => {
    const { ops } = await start();
    await ops.domains.add("a.example", "dynamic");
    expect(await ops.domains.add(domain, hostType)).toBe(refusal);
  });

  test("a removal that is waited for ends as DELETED and tells the features", async () => {
    const { saw, module } = witness();
    const { ops } = await start({ modules: [module] });
    await ops.domains.add("a.example", "dynamic");
    expect(await ops.domains.remove("a.example", "dynamic", true)).toMatchObject({ status: "DELETED" });
    expect([await ops.domains.details("a.example"), saw]).toEqual([undefined, ["removed a.example"]]);
  });

  test("an administrator is out as soon as the removal of the domain is asked for", async () => {
    const { ops, node } = await start();
    await ops.domains.add("a.example", "dynamic");
    await ops.domains.setPassword("a.example", "secret");
    expect(await ops.domains.remove("a.example", "dynamic", false)).toMatchObject({ status: "DELETING" });
    expect(await checkDomainAdmin(node, "a.example", "secret")).toBe(false);
  });

  test("a domain that is being removed cannot be enabled again", async () => {
    const { ops, db } = await start();
    await db.execute("INSERT INTO domain_settings (domain, host_type, status) VALUES ('a.example', 'dynamic', 2)");
    expect(await ops.domains.setEnabled("a.example", true)).toBe("deleted");
  });

  test("the administrator's password is checked and kept in MongooseIM's SCRAM form with SHA-512 alone", async () => {
    const { ops, node, db } = await start();
    expect(await ops.domains.setPassword("localhost", "secret")).toBe(true);
    const [{ pass_details }] = await db.query<{ pass_details: string }>("SELECT pass_details FROM domain_admins");
    expect(pass_details).toMatch(/^==MULTI_SCRAM==,10000,==SHA512==[^,]+$/);
    expect(await checkDomainAdmin(node, "localhost", "secret")).toBe(true);
    expect(await checkDomainAdmin(node, "localhost", "Secret")).toBe(false);
  });

  test("a disabled domain gets no administrator", async () => {
    const { ops } = await start();
    await ops.domains.add("a.example", "dynamic");
    await ops.domains.setEnabled("a.example", false);
    expect(await ops.domains.setPassword("a.example", "secret")).toBe(false);
  });

  test("a deleted password opens nothing", async () => {
    const { ops, node } = await start();
    await ops.domains.setPassword("localhost", "secret");
    expect([await ops.domains.deletePassword("localhost"), await ops.domains.deletePassword("localhost")]).toEqual([
      true,
      false,
    ]);
    expect(await checkDomainAdmin(node, "localhost", "secret")).toBe(false);
  });

  test("adding a domain through GraphQL costs the same two statements however many there are", async () => {
    const { ops, db } = await start();
    const schema = buildSchema(coreOperations);
    const query = 'mutation ($d: DomainName!) { domain { addDomain(domain: $d, hostType: "dynamic") { hostType } } }';
    const add = async (n: number): Promise<number> => {
      const before = db.log.length;
      const caller = { kind: "admin", via: "http" } as const;
      const answer = await execute({ query, variables: { d: `d${n}.example` } }, { schema, caller, node: ops });
      expect(answer.body).toEqual({ data: { domain: { addDomain: { hostType: "dynamic" } } } });
      return db.log.length - before;
    };
    expect(await add(0)).toBe(2);
    for (let n = 1; n < 200; n++) await add(n);
    expect(await add(200)).toBe(2);
  });
});

describe("the server", () => {
  test("tells its version, commit and log level, and changes the level", async () => {
    const { ops, node } = await start();
    expect([ops.server.version, ops.server.commit, ops.server.logLevel()]).toEqual(["0.0.0-test", "abc123", "info"]);
    ops.server.setLogLevel("error");
    expect([ops.server.logLevel(), node.log.enabled("warning")]).toEqual(["error", false]);
  });

  test("runs until it drains", async () => {
    const { ops, node } = await start();
    expect(ops.server.running()).toBe(true);
    node.draining = true;
    expect(ops.server.running()).toBe(false);
  });

  test("passes stop and restart on", async () => {
    const { ops, did } = await start();
    ops.server.stop();
    ops.server.restart();
    expect(did).toEqual(["stop", "restart"]);
  });

  test("shows of a module's options the back ends, and no secrets", async () => {
    const { module } = witness();
    const { ops } = await start({ modules: [module] });
    expect(ops.server.hostTypes()[0]).toEqual({
      name: "localhost",
      authMethods: ["internal"],
      modules: [{ name: "mod_witness", options: { backend: "rdbms" } }],
    });
    expect(ops.server.modules("dynamic")).toEqual(new Set(["mod_witness"]));
  });

  test("lists the services and internal databases that it serves", async () => {
    const { ops } = await start({ more: "[services.service_traffic]\n" });
    expect([ops.server.services(), ops.server.internalDatabases()]).toEqual([["service_domain_db"], ["mnesia"]]);
  });

  test("reads a file line by line, and knows when there is none", async () => {
    const { ops } = await start();
    const dir = mkdtempSync(join(tmpdir(), "lines-"));
    const file = join(dir, "users.csv");
    writeFileSync(file, "a,b,c\nd,e,f\n");
    try {
      const lines: string[] = [];
      for await (const line of (await ops.server.readLines(file))!) lines.push(line);
      expect(lines).toEqual(["a,b,c", "d,e,f"]);
      expect(await ops.server.readLines(join(dir, "nothing"))).toBeUndefined();
      expect(await ops.server.readLines(dir)).toBeUndefined();
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("stanzas in a user's name", () => {
  const message = (from: string, to: string, body: string) => {
    const stanza = viewText(`<message from='${from}' to='${to}' id='m1'><body>${body}</body></message>`);
    stanza.from = parseJid(from);
    stanza.to = parseJid(to);
    return stanza;
  };

  test("a message of a user who is not connected passes his hooks and arrives", async () => {
    const { saw, module } = witness();
    const { ops, node } = await start({ modules: [module], users: ["alice", "bob"] });
    const bob = await StubClient.logIn(node, "bob@localhost/phone");
    await ops.stanzas.send(message("alice@localhost", "bob@localhost/phone", "Hi"));
    await bob.hears("<message from='alice@localhost'");
    expect(saw).toEqual(["message alice@localhost Hi"]);
  });

  test("a message that a feature stops goes nowhere", async () => {
    const { module } = witness();
    const { ops, node } = await start({ modules: [module], users: ["alice", "bob"] });
    const bob = await StubClient.logIn(node, "bob@localhost/phone");
    await ops.stanzas.send(message("alice@localhost", "bob@localhost/phone", "stop"));
    expect(bob.rest).not.toContain("<message");
  });

  test("a message that a feature refuses comes back to the sender's client", async () => {
    const { module } = witness();
    const { ops, node } = await start({ modules: [module], users: ["alice", "bob"] });
    const client = await StubClient.logIn(node, "alice@localhost/home");
    await ops.stanzas.send(message("alice@localhost/home", "bob@localhost/phone", "refuse"));
    await client.hears("id='m1' to='alice@localhost/home' type='error'");
    await client.hears("<not-acceptable");
  });

  test("the answer to a request goes to the sender's client", async () => {
    const { ops, node } = await start({ users: ["alice"] });
    const client = await StubClient.logIn(node, "alice@localhost/home");
    const iq = viewText("<iq id='q1' type='get'><query xmlns='urn:example:nothing'/></iq>");
    iq.from = home;
    iq.to = parseJid("localhost");
    await ops.stanzas.send(iq);
    await client.hears("<iq from='localhost' id='q1' to='alice@localhost/home' type='error'>");
    await client.hears("feature-not-implemented");
  });

  test("what is no stanza is refused", async () => {
    const { ops } = await start({ users: ["alice"] });
    const other = viewText("<r xmlns='urn:xmpp:sm:3'/>");
    other.from = alice;
    other.to = alice;
    await expect(ops.stanzas.send(other)).rejects.toThrow("A stanza is a message, a presence or an iq");
  });
});

describe("metrics", () => {
  test("have MongooseIM's names and kinds", async () => {
    const { ops, node } = await start({ users: ["alice"] });
    node.registry
      .counter("xmpp_element_in_message_error_count", "x", ["connection_type", "host_type"])
      .bind({ connection_type: "c2s", host_type: "localhost" })
      .add(3);
    node.registry
      .gauge("wpool_global_queue_lengths_total", "x", ["pool_tag", "pool_type"])
      .bind({ pool_tag: "default", pool_type: "rdbms" })
      .set(4);
    node.registry.gauge("system_up_time_seconds", "x").bind({}).set(5);
    const samples = ops.metrics.samples().map(({ name, type }) => `${name.join(".")} ${type}`);
    expect(samples).toEqual(
      expect.arrayContaining([
        "localhost.xmpp_element_in.c2s.message_error_count spiral",
        "global.wpool_global_queue_lengths.default.rdbms.total counter",
        "global.system_up_time.seconds counter",
        "localhost.auth_register_user.count spiral",
        "localhost.auth_try_register.time histogram",
      ]),
    );
  });

  test("a spiral tells what came in the last minute, and all", async () => {
    let now = 1_000_000;
    const { ops, node } = await start({ now: () => now });
    const counter = node.registry.counter("mod_csi_active_count", "x", ["host_type"]).bind({ host_type: "localhost" });
    const spiral = () => ops.metrics.samples().find(({ name }) => name[1] === "mod_csi_active")?.values;
    const pass = (seconds: number): void => {
      for (let s = 0; s < seconds; s++) {
        now += 1000;
        node.wheel.turn();
      }
    };
    counter.add(5);
    pass(30);
    counter.add(2);
    expect(spiral()).toEqual({ one: 7, count: 7 });
    pass(45);
    expect(spiral()).toEqual({ one: 2, count: 7 });
    pass(60);
    expect(spiral()).toEqual({ one: 0, count: 7 });
  });
});

test("a module is found where it runs", async () => {
  const { module } = witness();
  const { ops, node } = await start({ modules: [module] });
  expect(ops.instance("mod_witness", "localhost")).toBe(node.hostOf("localhost")!.modules.get("mod_witness")!.ctx);
  expect(ops.instance("mod_witness", "elsewhere.example")).toBeUndefined();
});

describe("the audit log", () => {
  const entry: AuditEntry = {
    operation: "account.registerUser",
    caller: { kind: "domain_admin", via: "http", domain: "localhost" },
    args: { user: alice, password: "***", contacts: [{ jid: home }] },
    outcome: "refused",
    code: "exists",
    milliseconds: 1.26,
  };

  test("is a notice with a field for each fact", async () => {
    const { ops, log } = await start();
    ops.audit(entry);
    expect(log.lines.at(-1)).toContain(
      "level=notice what=operation operation=account.registerUser caller=admin@localhost via=http outcome=refused " +
        'code=exists arg_user=alice@localhost arg_password=*** arg_contacts="[{\\"jid\\":\\"alice@localhost/home\\"}]" ' +
        "milliseconds=1.3",
    );
  });

  test("is an error when the operation crashed", async () => {
    const { ops, log } = await start();
    ops.audit({ ...entry, outcome: "crashed", error: new Error("boom") });
    expect(log.lines.at(-1)).toMatch(/level=error what=operation_crashed .*error="Error: boom"/);
  });

  test("shows of a stanza who sends it to whom", async () => {
    const { ops, log } = await start();
    const text =
      "<message from='alice@localhost' to='bob@localhost' type='chat' id='m1'><body>dear Bob</body></message>";
    ops.audit({ ...entry, args: { stanza: viewText(text), list: [viewText("<x xmlns='y'>dear Bob</x>")] } });
    expect(log.lines.at(-1)).toContain(
      "arg_stanza=\"<message from='alice@localhost' to='bob@localhost' type='chat' id='m1'/>\" " +
        'arg_list="[\\"<x/>\\"]"',
    );
  });

  test("shows the beginning of a long argument", async () => {
    const { ops, log } = await start();
    ops.audit({ ...entry, args: { body: "x".repeat(10_000) } });
    expect(log.lines.at(-1)!.length).toBeLessThan(1000);
  });
});
