import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { DEFAULT_TEXT } from "../../../../core/config/default.ts";
import { defaultConfig, parseConfig } from "../../../../core/config/index.ts";
import { BUILT_MODULES, check, configOf, GENERAL } from "./check.ts";

const stock = readFileSync(join(import.meta.dirname, "mongooseim-default.toml"), "utf8");

describe("a configuration", () => {
  test("has every section when the file has only [general]", () => {
    const { config } = check("");
    expect(config).toMatchObject({
      listen: { c2s: [], http: [], s2s: [], component: [] },
      auth: { methods: [], password: { format: "scram", scram_iterations: 10_000 } },
      modules: {},
      services: {},
      outgoing_pools: {},
      internal_databases: { mnesia: {} },
      shaper: {},
      acl: {},
      access: {},
      s2s: { default_policy: "allow", outgoing: { port: 5269 } },
      instrumentation: { probe_interval: 15 },
      host_config: [],
    });
  });

  test("is frozen through and through", () => {
    const { listen } = configOf("[[listen.c2s]]\nport = 5222\n");
    expect(Object.isFrozen(listen.c2s[0])).toBe(true);
  });

  test('reads "infinity" as Infinity', () => {
    const { listen } = configOf('[[listen.c2s]]\nport = 5222\nstate_timeout = "infinity"\n');
    expect(listen.c2s[0].state_timeout).toBe(Number.POSITIVE_INFINITY);
  });

  test.each([
    ["", { ip_address: "0.0.0.0", ip_version: 4 }],
    ["ip_version = 6", { ip_address: "::", ip_version: 6 }],
    ['ip_address = "0:0:0:0:0:0:0:1"', { ip_address: "::1", ip_version: 6 }],
  ])("listens with %j on the address meant", (text, address) => {
    expect(configOf(`[[listen.c2s]]\nport = 5222\n${text}`).listen.c2s[0]).toMatchObject(address);
  });

  test("lets two listeners have one port on different addresses", () => {
    const text = '[[listen.c2s]]\nport = 1\nip_address = "127.0.0.1"\n[[listen.c2s]]\nport = 1\nip_address = "::1"\n';
    expect(check(text).problems).toEqual([]);
  });

  test("lets any number of listeners leave the port to the system", () => {
    expect(check("[[listen.c2s]]\nport = 0\n[[listen.c2s]]\nport = 0\n").problems).toEqual([]);
  });

  test("lower-cases host names", () => {
    const text = '[general]\nhosts = ["LocalHost"]\ndefault_server_domain = "LOCALHOST"\n';
    const { config } = parseConfig(text, { file: "f", modules: {} });
    expect(config?.general).toMatchObject({ hosts: ["localhost"], default_server_domain: "localhost" });
  });

  test("takes as methods all that have a section, by name, when auth.methods is not set", () => {
    expect(configOf("[auth.rdbms]\n[auth.anonymous]\n[auth.internal]\n").auth.methods).toEqual([
      "anonymous",
      "internal",
      "rdbms",
    ]);
  });

  test("keeps the order of auth.methods", () => {
    const text = '[auth]\nmethods = ["rdbms", "internal"]\n[auth.internal]\n[auth.rdbms]\n';
    expect(configOf(text).auth.methods).toEqual(["rdbms", "internal"]);
  });

  test.each([
    ["pgsql", 5432],
    ["cockroachdb", 26_257],
    ["mysql", 3306],
  ])("gives %s its usual port", (driver, port) => {
    const pool = `driver = "${driver}", host = "h", database = "d", username = "u", password = "p"`;
    const { outgoing_pools: pools } = configOf(`[outgoing_pools.rdbms.default]\nconnection = {${pool}}\n`);
    expect(pools.rdbms?.default.connection.port).toBe(port);
  });

  test("takes sqlite as a driver without a server", () => {
    const { outgoing_pools: pools } = configOf('[outgoing_pools.rdbms.default]\nconnection.driver = "sqlite"\n');
    expect(pools.rdbms?.default.connection.port).toBeUndefined();
  });

  test("gives an LDAP pool with TLS port 636", () => {
    const { outgoing_pools: pools } = configOf(
      "[outgoing_pools.ldap.a]\n[outgoing_pools.ldap.b]\nconnection.tls = {}\n",
    );
    expect([pools.ldap?.a.connection.port, pools.ldap?.b.connection.port]).toEqual([389, 636]);
  });

  test("takes scope host as host_type", () => {
    expect(configOf('[outgoing_pools.redis.x]\nscope = "host"\n').outgoing_pools.redis?.x.scope).toBe("host_type");
  });

  test("lets rules that only a host type has be named by its modules", () => {
    const text =
      '[modules.mod_register]\naccess = "register"\n[[host_config]]\nhost = "localhost"\naccess.register = []\n';
    expect(check(text).problems).toEqual([]);
  });

  test("has a module's options as the module's own schema gives them", () => {
    const mod_roster = z.strictObject({ versioning: z.boolean().default(true), own: z.int().default(7) });
    const { config } = parseConfig(`${GENERAL}[modules.mod_roster]\n`, { file: "f", modules: { mod_roster } });
    expect(config?.modules).toEqual({ mod_roster: { versioning: true, own: 7 } });
  });
});

describe("what is not built", () => {
  test("is named, section by section", () => {
    const text = [
      "[[listen.s2s]]\nport = 5269",
      "[[listen.http]]\nport = 5280\nhandlers.mongoose_bosh_handler = [{host = '_', path = '/'}]",
      "[auth.internal]\n[auth.ldap]",
      "[modules.mod_muc]",
      "[services.service_bosh]\n[services.service_domain_db]",
      "[outgoing_pools.redis.default]",
      "[instrumentation.exometer]\n[instrumentation.prometheus]",
      "[s2s]\ndefault_policy = 'deny'",
      "[[host_config]]\nhost = 'localhost'\nmodules.mod_muc_light = {}",
    ].join("\n");
    expect([...configOf(text).unbuilt].sort()).toEqual([
      "auth.ldap",
      "host_config[0].modules.mod_muc_light",
      "instrumentation.exometer",
      "listen.http[0].handlers.mongoose_bosh_handler[0]",
      "listen.s2s[0]",
      "modules.mod_muc",
      "outgoing_pools.redis.default",
      "s2s",
      "services.service_bosh",
    ]);
  });

  test("does not include a module whose schema is given", () => {
    const modules = { mod_ping: z.strictObject({}) };
    expect(parseConfig(`${GENERAL}[modules.mod_ping]\n`, { file: "f", modules }).config?.unbuilt).toEqual([]);
  });

  test.each(["admin", "domain_admin", "user"])("does not include the GraphQL endpoint for %s", (endpoint) => {
    const handler = `{host = "_", path = "/", schema_endpoint = "${endpoint}"}`;
    const text = `[[listen.http]]\nport = 1\nhandlers.mongoose_graphql_handler = [${handler}]\n`;
    expect(configOf(text).unbuilt).toEqual([]);
  });
});

describe("MongooseIM's default configuration", () => {
  const { config, problems, warnings } = parseConfig(stock, { file: "mongooseim.toml", modules: BUILT_MODULES });

  test("has no problem", () => {
    expect(problems).toEqual([]);
  });

  test("has its listeners", () => {
    expect(config?.listen.http.map((listener) => listener.port)).toEqual([5280, 5285, 5551, 5541, 5561, 9091]);
  });

  test("sets one option that does nothing and uses two classes that it does not define", () => {
    expect(warnings.map((warning) => warning.key)).toEqual([
      "listen.http[0].transport.num_acceptors",
      "access.max_user_offline_messages[0].acl",
      "access.c2s[0].acl",
    ]);
  });
});

describe("the embedded default", () => {
  const config = defaultConfig(BUILT_MODULES);

  test("is dist/mongooseim.toml", () => {
    const file = join(import.meta.dirname, "../../../../dist/mongooseim.toml");
    expect(readFileSync(file, "utf8")).toBe(DEFAULT_TEXT);
  });

  test("gives no warning", () => {
    expect(parseConfig(DEFAULT_TEXT, { file: "f", modules: BUILT_MODULES }).warnings).toEqual([]);
  });

  test("takes clients on 5222 with STARTTLS required and on 5223 with TLS", () => {
    expect(config.listen.c2s.map(({ port, tls }) => [port, tls?.mode])).toEqual([
      [5222, "starttls_required"],
      [5223, "tls"],
    ]);
  });

  test("has nothing in clear, and nothing for administrators, on an address of the network", () => {
    const open = config.listen.http.filter((listener) => listener.ip_address !== "127.0.0.1");
    expect(open.map(({ port, tls, handlers }) => [port, !!tls, Object.keys(handlers)])).toEqual([
      [5285, true, ["mongoose_websocket_handler"]],
    ]);
  });

  test("uses nothing but modules that this build may lack", () => {
    expect(config.unbuilt.filter((section) => !section.startsWith("modules."))).toEqual([]);
  });

  test("lets accounts be made from this machine only", () => {
    expect(config.modules.mod_register).toMatchObject({
      ip_access: [
        { address: "127.0.0.0/8", policy: "allow" },
        { address: "::1", policy: "allow" },
        { address: "0.0.0.0/0", policy: "deny" },
        { address: "::/0", policy: "deny" },
      ],
    });
  });
});
