import { describe, expect, test } from "vitest";
import { z } from "zod";
import { formatProblem, parseConfig } from "../../../../core/config/index.ts";
import { foreignModule } from "../../../../core/config/types.ts";
import { check, GENERAL, problemsIn, warningsIn } from "./check.ts";

const C2S = "[[listen.c2s]]\nport = 5222\n";
const POOL =
  '[outgoing_pools.rdbms.default]\nconnection = {driver = "pgsql", host = "h", database = "d", username = "u"';

describe("a problem", () => {
  test("is one line with the place", () => {
    const [problem] = check("[[listen.c2s]]\nport = 80000\n").problems;
    expect(formatProblem(problem)).toBe(
      'Cannot use "80000" as listen.c2s[0].port: a port is 1 to 65535      (mongooseim.toml:5)',
    );
  });

  test("does not hide the others", () => {
    const { problems } = check(
      "[[listen.c2s]]\nport = 80000\nacess = 1\n[modules.mod_muk]\n[shaper.x]\nmax_rate = 0\n",
    );
    expect(problems.map(({ key, line }) => [key, line])).toEqual([
      ["listen.c2s[0].port", 5],
      ["listen.c2s[0].acess", 6],
      ["modules.mod_muk", 7],
      ["shaper.x.max_rate", 9],
    ]);
  });

  test("does not print a secret", () => {
    expect(problemsIn(`${POOL}, password = [1234]}`)).toEqual([
      "Cannot use this value as outgoing_pools.rdbms.default.connection.password: it must be text that is not empty",
    ]);
  });

  test("shows a long value by its beginning", () => {
    expect(problemsIn(`[s2s]\ndefault_policy = "${"x".repeat(500)}"`)[0].length).toBeLessThan(150);
  });

  test("keeps to one line when the value has several", () => {
    expect(problemsIn('[s2s]\ndefault_policy = """a\nb"""')).toEqual([
      'Cannot use "a b" as s2s.default_policy: it must be "allow" or "deny"',
    ]);
  });

  test("of syntax has the line of the mistake", () => {
    const { problems } = check("[shaper.x]\nmax_rate = = 1\n");
    expect(problems).toMatchObject([{ line: 5, key: "", message: expect.stringMatching(/^Cannot read TOML: \S/) }]);
  });

  test("of a module's own schema has a phrase for plain zod types", () => {
    const mod_x = z.strictObject({ on: z.boolean(), words: z.array(z.string()).min(1), n: z.number().max(3) });
    const text = `${GENERAL}[modules.mod_x]\non = "yes"\nwords = []\nn = 4\n`;
    const { problems } = parseConfig(text, { file: "f", modules: { mod_x } });
    expect(problems.map((problem) => problem.message)).toEqual([
      'Cannot use "yes" as modules.mod_x.on: it must be true or false',
      "Cannot use [] as modules.mod_x.words: the list must have at least 1 entry",
      'Cannot use "4" as modules.mod_x.n: it must be at most 3',
    ]);
  });
});

describe("a wrong file", () => {
  test.each([
    ["[[listen.c2s]]", "Missing key listen.c2s[0].port: a port is 1 to 65535"],
    ['[[listen.c2s]]\nport = "5222"', 'Cannot use "5222" as listen.c2s[0].port: a port is 1 to 65535, without quotes'],
    [`${C2S}max_stanza_sise = 1`, 'Unknown key "max_stanza_sise" in listen.c2s[0]: did you mean "max_stanza_size"'],
    [`${C2S}zlib = 10000`, 'Unknown key "zlib" in listen.c2s[0]'],
    ["[modulse.mod_muc]", 'Unknown key "modulse" at the top level: did you mean "modules"'],
    ["[modules.mod_mucc]", 'Unknown key "mod_mucc" in modules: did you mean "mod_muc"'],
    ["[modules.mod_amp]\nx = 1", 'Unknown key "x" in modules.mod_amp'],
    ["[auth.internl]", 'Unknown key "internl" in auth: did you mean "internal"'],
    ["listen = 3", 'Unknown key "listen" in general'],
    ["[shaper.x]\nmax_rate = 0", 'Cannot use "0" as shaper.x.max_rate: it must be a whole number above 0'],
    ['[shaper.""]\nmax_rate = 1', 'Cannot use a table as shaper."": a name must not be empty'],
    ["[modules]\nmod_muc = 3", 'Cannot use "3" as modules.mod_muc: it must be a table'],
    ["[acl]\nx = [3]", 'Cannot use "3" as acl.x[0]: it must be a table'],
    ['[acl]\nx = [{user_regexp = "("}]', 'Cannot use "(" as acl.x[0].user_regexp: it must be a regular expression'],
    [
      '[auth]\nmethods = ["rdbms"]',
      'Cannot use ["rdbms"] as auth.methods: each method needs its section, add [auth.rdbms]',
    ],
    [
      `${C2S}tls.certfile = "a.pem"`,
      'Cannot use "a.pem" as listen.c2s[0].tls.certfile: it needs tls.keyfile beside it',
    ],
    [
      `${C2S}[[listen.http]]\nport = 5222\nip_address = "0.0.0.0"`,
      'Cannot use "5222" as listen.http[0].port: listen.c2s[0].port has this port on this address already',
    ],
    [
      `${C2S}ip_address = "::1"\nip_version = 4`,
      'Cannot use "::1" as listen.c2s[0].ip_address: it must be an address of the family that ip_version names',
    ],
    [`${C2S}shaper = "fast"`, 'Cannot use "fast" as listen.c2s[0].shaper: [shaper] has no such entry, it has "none"'],
    [
      `${C2S}access = "c2s"`,
      'Cannot use "c2s" as listen.c2s[0].access: [access] has no such entry, it has "all" or "none"',
    ],
    [
      '[modules.mod_register]\naccess = "register"',
      'Cannot use "register" as modules.mod_register.access: [access] has no such entry, it has "all" or "none"',
    ],
    [
      '[[host_config]]\nhost = "example.org"',
      'Cannot use "example.org" as host_config[0].host: it is neither in general.hosts nor in general.host_types',
    ],
    [
      '[[host_config]]\nhost = "localhost"\n[[host_config]]\nhost_type = "localhost"',
      'Cannot use "localhost" as host_config[1].host_type: it has a host_config table already',
    ],
    ["[[host_config]]", "Cannot accept host_config[0]: it needs one of host and host_type"],
    [
      "[[listen.http]]\nport = 1\n[[listen.http.handlers.mongoose_graphql_handler]]\n" +
        'host = "_"\npath = "/"\nschema_endpoint = "admin"\nusername = "a"',
      "Cannot accept listen.http[0].handlers.mongoose_graphql_handler[0]: username and password go together",
    ],
    [`${POOL}}`, 'Missing key outgoing_pools.rdbms.default.connection.password: driver "pgsql" needs it'],
    [
      "[outgoing_pools.redis.default]\nstrategy = 'next_worker'\nmax_worker_queue_len = 1",
      'Cannot use "1" as outgoing_pools.redis.default.max_worker_queue_len: it is only for strategy "best_worker"',
    ],
    [
      '[modules.mod_inbox]\nboxes = ["bin"]',
      'Cannot use "bin" as modules.mod_inbox.boxes[0]: it must be the name of a box, at most 64 characters, other than all, inbox, archive, bin',
    ],
    [
      '[[modules.mod_keystore.keys]]\nname = "a"\ntype = "file"',
      'Missing key modules.mod_keystore.keys[0].path: type "file" needs it',
    ],
    [
      '[[modules.mod_extdisco.service]]\ntype = "turn"\nhost = "h"\nsecret = "s"\nusername = "u"',
      "Cannot accept modules.mod_extdisco.service[0]: secret stands in place of username and password",
    ],
    [
      '[[modules.mod_muc_light.config_schema]]\nfield = "roomname"\ninteger_value = 3',
      'Cannot use "roomname" as modules.mod_muc_light.config_schema[0].field: ' +
        'the field "roomname" has a meaning of its own and needs string_value',
    ],
    [
      '[[s2s.host_policy]]\nhost = "a"\npolicy = "allow"\n[[s2s.host_policy]]\nhost = "a"\npolicy = "deny"',
      "Cannot accept s2s.host_policy: two entries must not have the same host",
    ],
  ])("%j is answered", (text, message) => {
    expect(problemsIn(text)).toEqual([message]);
  });

  test.each([
    ['hosts = ["a"]\nhost_types = ["a"]', "general.host_types"],
    ["", "general"],
    ['hosts = ["a", "a"]', "general.hosts"],
    ['hosts = ["a b"]', "general.hosts[0]"],
  ])("%j has no good host types", (text, key) => {
    const { problems } = parseConfig(`[general]\ndefault_server_domain = "a"\n${text}`, { file: "f", modules: {} });
    expect(problems.map((problem) => problem.key)).toEqual([key]);
  });

  test("is refused for a file that is not there", () => {
    const text = `${C2S}tls = {certfile = "a.pem", keyfile = "b.pem"}`;
    const { problems } = check(text, { exists: (file) => file === "a.pem" });
    expect(problems.map((problem) => problem.message)).toEqual([
      'Cannot use "b.pem" as listen.c2s[0].tls.keyfile: there is no such file',
    ]);
  });

  test("gives no configuration", () => {
    expect(check("[shaper.x]\n").config).toBeUndefined();
  });
});

describe("a warning", () => {
  test("says why an option does nothing, once an option", () => {
    const { warnings } = check(`${C2S}num_acceptors = 10\n[[listen.c2s]]\nport = 5223\nnum_acceptors = 10\n`);
    expect(warnings.map(formatProblem)).toEqual([
      "listen.c2s[0].num_acceptors has no effect: connections are accepted by the event loop      (mongooseim.toml:6)",
    ]);
  });

  test("is given for the name of an Erlang module, unless what it does is built in", () => {
    const module = z.strictObject({ how: foreignModule("their_own").default("their_own") });
    const warningsOf = (how: string) =>
      parseConfig(`[modules.mod_x]\nhow = "${how}"`, { file: "f", modules: { mod_x: module } }).warnings.map(
        ({ message }) => message,
      );
    expect(warningsOf("their_own")).toEqual([]);
    expect(warningsOf("ours")).toEqual([
      "modules.mod_x.how has no effect: modules written in Erlang cannot be loaded here",
    ]);
  });

  test("is not given for an option that is left at its default", () => {
    expect(warningsIn(C2S)).toEqual([]);
  });

  test("names a class that is used without being defined", () => {
    expect(warningsIn('[access]\nc2s = [{acl = "blocked", value = "deny"}]')).toEqual([
      'access.c2s[0].acl names "blocked", which is not in [acl]: nobody is in it',
    ]);
  });

  test("names a default domain that nobody serves", () => {
    const text = '[general]\nhosts = ["a.org"]\ndefault_server_domain = "b.org"\n';
    expect(parseConfig(text, { file: "f", modules: {} }).warnings.map((warning) => warning.message)).toEqual([
      'general.default_server_domain names "b.org", which is not in general.hosts: it is not served',
    ]);
  });

  test("comes beside problems too", () => {
    expect(warningsIn("[[listen.c2s]]\nport = 0x1ffff\nnum_acceptors = 10\n")).toHaveLength(1);
  });
});
