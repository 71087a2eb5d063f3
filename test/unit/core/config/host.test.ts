// host_config, after doc/configuration/host_config.md of MongooseIM 6.8.
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../../core/config/index.ts";
import { BUILT_MODULES, configOf } from "./check.ts";

const own = (above: string, table: string) =>
  configOf(`${above}\n[[host_config]]\nhost = "localhost"\n${table}`).forHostType("localhost");

describe("forHostType", () => {
  test("knows hosts and host types", () => {
    const text = '[general]\nhosts = ["a.org"]\nhost_types = ["basic"]\ndefault_server_domain = "a.org"\n';
    const { config } = parseConfig(text, { file: "f", modules: {} });
    expect(config?.hostTypes.map((hostType) => config.forHostType(hostType).hostType)).toEqual(["a.org", "basic"]);
  });

  test("refuses a name that is no host type", () => {
    expect(() => configOf("").forHostType("example.org")).toThrow('Cannot find host type "example.org"');
  });

  test("gives the global options to a host type that has no table", () => {
    const config = configOf("[modules.mod_ping]\n");
    expect(config.forHostType("localhost").modules).toBe(config.modules);
  });

  test("takes options of general one by one", () => {
    expect(own("", "general.replaced_wait_timeout = 50").general).toMatchObject({
      replaced_wait_timeout: 50,
      language: "en",
    });
  });

  test("keeps options of general that the host type does not set", () => {
    const text = 'general.route_subdomains = "s2s"';
    expect(own("", text).general).toMatchObject({ route_subdomains: "s2s", replaced_wait_timeout: 2000 });
  });

  test("replaces the modules as a whole", () => {
    expect(Object.keys(own("[modules.mod_roster]\n[modules.mod_disco]", "modules.mod_disco = {}").modules)).toEqual([
      "mod_disco",
    ]);
  });

  test("replaces auth as a whole, with the defaults of what is not set", () => {
    const above = "[auth]\npassword.scram_iterations = 20_000\n[auth.rdbms]";
    expect(own(above, "auth.anonymous = {}").auth).toMatchObject({
      methods: ["anonymous"],
      password: { scram_iterations: 10_000 },
    });
  });

  test("replaces s2s as a whole", () => {
    const above = '[s2s]\ndefault_policy = "deny"';
    expect(own(above, "s2s.outgoing.port = 15269").s2s).toMatchObject({
      default_policy: "allow",
      outgoing: { port: 15_269 },
    });
  });

  test("unites classes of acl", () => {
    const acl = own('[acl]\nblocked = [{user = "a"}]', 'acl.blocked = [{user = "b"}]').acl;
    expect(acl.blocked.map((pattern) => pattern.user)).toEqual(["a", "b"]);
  });

  test("puts added clauses before a last clause that allows all", () => {
    const above = '[access]\nc2s = [{acl = "admin", value = "allow"}, {acl = "all", value = "allow"}]';
    const rule = own(above, 'access.c2s = [{acl = "blocked", value = "deny"}]').access.c2s;
    expect(rule.map((clause) => clause.acl)).toEqual(["admin", "blocked", "all"]);
  });

  test("puts added clauses last otherwise", () => {
    const above = '[access]\nc2s = [{acl = "admin", value = "allow"}, {acl = "all", value = "deny"}]';
    const rule = own(above, 'access.c2s = [{acl = "blocked", value = "deny"}]').access.c2s;
    expect(rule.map((clause) => clause.acl)).toEqual(["admin", "all", "blocked"]);
  });

  test("adds rules that only the host type has", () => {
    expect(Object.keys(own("[access]\na = []", "access.b = []").access)).toEqual(["a", "b"]);
  });

  test("replaces a pool of the same kind and tag and keeps the others", () => {
    const above = "[outgoing_pools.redis.x]\nworkers = 1\n[outgoing_pools.redis.y]\nworkers = 2";
    const pools = own(above, "outgoing_pools.redis.x.workers = 3").outgoing_pools.redis;
    expect(pools).toMatchObject({ x: { workers: 3, scope: "host_type" }, y: { workers: 2, scope: "global" } });
  });

  test("gives other host types nothing of it", () => {
    const text =
      '[general]\nhosts = ["a.org", "b.org"]\ndefault_server_domain = "a.org"\n' +
      '[[host_config]]\nhost = "A.org"\nmodules.mod_ping = {}\n';
    const { config } = parseConfig(text, { file: "f", modules: BUILT_MODULES });
    expect(Object.keys(config?.forHostType("a.org").modules ?? {})).toEqual(["mod_ping"]);
    expect(config?.forHostType("b.org").modules).toEqual({});
  });
});
