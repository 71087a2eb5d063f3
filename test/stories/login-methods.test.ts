// Log-ins and what is counted of them, anonymous users with names of their own, and a session that will not go.
import { createHash } from "node:crypto";
import { describe, expect, vi } from "vitest";
import type { Client } from "../support/client.ts";
import type { Door } from "../support/client-wire.ts";
import { textOf, type XElement } from "../support/match.ts";
import { NS_SASL, SECURE_DOORS, secure } from "../support/sasl2.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

/** A counter's value; `label` is part of its labels. */
function value(server: StoryServer, name: string, label = ""): number {
  const found = server.node.registry
    .list()
    .filter((r) => r.name === name && Object.values(r.labels).join().includes(label));
  return found.reduce((sum, { values }) => sum + Object.values(values).reduce((a, b) => a + b, 0), 0);
}

describe("numbers", () => {
  const { story } = stage(SECURE_DOORS);

  story(
    "authorisations are counted, and how long they took",
    {},
    async ({ actor, server, door }) => {
      const before = value(server, "auth_authorize_count");
      for (const name of ["romeo", "juliet"]) await (await actor(name)).logsIn(server.target(door));
      expect(value(server, "auth_authorize_count")).toBe(before + 2);
    },
    { covers: ["auth_methods_for_c2s_SUITE:instrumentation_incremented_on_user_connect"] },
  );

  story(
    "bytes of clients are counted by the kind of their connection",
    {},
    async ({ actor, server }) => {
      const [received, sent] = ["tls_data_in_byte_size", "tls_data_out_byte_size"].map((n) => value(server, n, "c2s"));
      const clear = value(server, "tcp_data_in_byte_size", "c2s");
      await (await actor("romeo")).logsIn(secure(server, "tcp"));
      expect(value(server, "tls_data_in_byte_size", "c2s")).toBeGreaterThan(received);
      expect(value(server, "tls_data_out_byte_size", "c2s")).toBeGreaterThan(sent);
      expect(value(server, "tcp_data_in_byte_size", "c2s")).toBe(clear);
      await (await actor("juliet")).logsIn(server.target("tcp"));
      expect(value(server, "tcp_data_in_byte_size", "c2s")).toBeGreaterThan(clear);
      expect(value(server, "tcp_data_out_byte_size", "c2s")).toBeGreaterThan(0);
    },
    { door: "tcp", covers: ["connect_SUITE:metrics_test"] },
  );

  story(
    "two that have logged in talk",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      alice.sends`<message to="${bob.full}" type="chat"><body>Hi!</body></message>`;
      await bob.receives`<message type="chat" from="${alice.full}"><body>Hi!</body></message>`;
    },
    { covers: ["login_SUITE:messages_story"] },
  );

  story(
    "presence of type available is taken for presence without a type",
    { alice: 1 },
    async ({ alice }) => {
      alice.sends`<presence type="available"/>`;
      await alice.receives`<presence from="${alice.full}" type="{none}"/>`;
    },
    { silent: true, covers: ["presence_SUITE:explicit_available"] },
  );
});

describe("DIGEST-MD5", () => {
  const { story } = stage({ auth: { sasl_mechanisms: ["digest"] } });
  const md5 = (...parts: (string | Buffer)[]): Buffer =>
    createHash("md5")
      .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
      .digest();
  const sasl = (name: string, data: string): string =>
    `<${name} xmlns='${NS_SASL}'>${Buffer.from(data).toString("base64")}</${name}>`;
  const dataOf = (e: XElement): string => Buffer.from(textOf(e), "base64").toString();

  /** RFC 2831 up to the client's proof; returns what the server has to prove. */
  async function proves(c: Client, server: StoryServer, door: Door): Promise<string> {
    await c.connects(server.target(door));
    await c.opens();
    c.sendsRaw(`<auth xmlns='${NS_SASL}' mechanism='DIGEST-MD5'/>`);
    const challenge = dataOf(await c.receives`<challenge xmlns="${NS_SASL}">{any}</challenge>`);
    const nonce = /nonce="([^"]+)"/.exec(challenge)![1];
    const ha1 = md5(md5(`${c.local}:localhost:${c.account.password}`), `:${nonce}:cn`).toString("hex");
    const value = (who: string): string =>
      md5(`${ha1}:${nonce}:00000001:cn:auth:${md5(`${who}:xmpp/localhost`).toString("hex")}`).toString("hex");
    const quoted = { username: c.local, realm: "localhost", nonce, cnonce: "cn", "digest-uri": "xmpp/localhost" };
    const said = Object.entries(quoted).map(([name, text]) => `${name}="${text}"`);
    c.sendsRaw(sasl("response", `${said},nc=00000001,qop=auth,charset=utf-8,response=${value("AUTHENTICATE")}`));
    return `rspauth=${value("")}`;
  }

  story(
    "RFC 2831: a client that knows the password gets in, and sees that the server knows it",
    {},
    async ({ actor, server, door }) => {
      const c = await actor("romeo");
      const rspauth = await proves(c, server, door);
      expect(dataOf(await c.receives`<challenge xmlns="${NS_SASL}">{any}</challenge>`)).toBe(rspauth);
      c.sendsRaw(`<response xmlns='${NS_SASL}'/>`);
      await c.receives`<success xmlns="${NS_SASL}"/>`;
      await c.opens();
      await c.binds();
      c.sends`<message to="${c.full}" type="chat"><body>Hi!</body></message>`;
      await c.receives`<message type="chat"><body>Hi!</body></message>`;
    },
    { covers: ["login_SUITE:log_one_digest"] },
  );

  story(
    "RFC 2831: nobody is not let in",
    {},
    async ({ stranger, server, door }) => {
      const c = stranger();
      await proves(c, server, door);
      await c.receives`<failure xmlns="${NS_SASL}"><not-authorized/></failure>`;
    },
    { covers: ["login_SUITE:log_non_existent_digest"] },
  );
});

describe("auth.anonymous.protocol = login_anon", () => {
  const { story } = stage({ auth: { methods: ["anonymous"], anonymous: { protocol: "login_anon" }, internal: null } });

  story(
    "any name with any password; the account is there as long as its session",
    {},
    async ({ stranger, server, door }) => {
      const { auth } = server.node.hostOf("localhost")!;
      const before = value(server, "auth_anonymous_register_user_count");
      const after = value(server, "auth_anonymous_unregister_user_count");
      const anna = stranger("anna");
      expect(await auth.exists(anna.local, "localhost")).toBe(false);
      await anna.logsIn(server.target(door));
      expect(anna.full).toContain(`${anna.bare}/`);
      expect(await auth.exists(anna.local, "localhost")).toBe(true);
      expect(value(server, "auth_anonymous_register_user_count")).toBe(before + 1);
      await anna.breaks();
      await vi.waitFor(async () => expect(await auth.exists(anna.local, "localhost")).toBe(false));
      await vi.waitFor(() => expect(value(server, "auth_anonymous_unregister_user_count")).toBe(after + 1));
    },
    { covers: ["anonymous_SUITE:connection_is_registered_with_login"] },
  );
});

describe("general.replaced_wait_timeout", () => {
  const { story } = stage({ general: { replaced_wait_timeout: 300 } });

  story(
    "a replaced session that does not end keeps its successor waiting so long and no longer; that is logged",
    { romeo: 1 },
    async ({ romeo, another, server, door }) => {
      const { hooks } = server.node.hostOf("localhost")!;
      let release = (): void => {};
      const stuck = new Promise<void>((resolve) => {
        release = resolve;
      });
      hooks.add("stuck", { sm_remove_connection: () => stuck }, {});
      const began = Date.now();
      const successor = await another(romeo).logsIn(server.target(door), romeo.resource);
      expect(Date.now() - began).toBeGreaterThan(200);
      expect(successor.full).toBe(romeo.full);
      expect(server.logged.filter(({ what }) => what === "replaced_wait_timeout")).toMatchObject([
        { level: "warning", jid: romeo.full },
      ]);
      await successor.comesOnline();
      hooks.remove("stuck");
      release();
      await server.node.endings.settled();
      expect(server.node.sessions.of(romeo.bare)).toHaveLength(1);
    },
    { door: "tcp", covers: ["connect_SUITE:replaced_session_cannot_terminate"] },
  );
});

describe("a slow request", () => {
  const { story } = stage();

  story(
    "is answered when it is done, and the stream goes on behind it",
    { alice: 1 },
    async ({ alice, server }) => {
      const host = server.node.hostOf("localhost")!;
      let release = (): void => {};
      const done = new Promise<void>((resolve) => {
        release = resolve;
      });
      host.iqs.add("slow", "get own urn:test:slow", () => done, {} as never);
      alice.sends`<iq type="get" id="slow"><query xmlns="urn:test:slow"/></iq>`;
      alice.sends`<iq type="get" id="next"><query xmlns="urn:test:unknown"/></iq>`;
      await new Promise((resolve) => setTimeout(resolve, 100));
      release();
      await alice.receives`<iq type="result" id="slow"/>`;
      await alice.receives`<iq type="error" id="next"/>`;
      host.iqs.remove("slow");
    },
    {
      covers: [
        "race_conditions_SUITE:delayiq_handler_works",
        "race_conditions_SUITE:confirm_c2s_queue_is_flushed_works",
      ],
    },
  );
});
