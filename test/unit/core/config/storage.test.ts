// What is said of options of databases and of what is kept in them: one line for what is wrong, one warning for what
// does nothing.
import { describe, expect, test } from "vitest";
import { formatProblem, parseConfig } from "../../../../core/config/index.ts";
import { BUILT_MODULES, check, problemsIn, warningsIn } from "./check.ts";

const MAM = (options: string): string => `[modules.mod_mam]\n${options}\n[modules.mod_mam.pm]\n`;
const SERVER = 'host = "h"\ndatabase = "d"\nusername = "u"\npassword = "p"\n';
const POOL = (options: string, connection: string): string =>
  `[outgoing_pools.rdbms.default]\n${options}\n[outgoing_pools.rdbms.default.connection]\n${connection}\n`;

describe("mod_mam", () => {
  test("a back end that is not built is refused with its place, not at the start only", () => {
    expect(check(MAM("backend = 'cassandra'")).problems.map(formatProblem)).toEqual([
      'Cannot use "cassandra" as modules.mod_mam.backend: it is not in this build; use "rdbms"      (mongooseim.toml:5)',
    ]);
    expect(problemsIn(`${MAM("")}backend = 'elasticsearch'\nuser_prefs_store = 'cassandra'\n`)).toEqual([
      'Cannot use "elasticsearch" as modules.mod_mam.pm.backend: it is not in this build; use "rdbms"',
      'Cannot use "cassandra" as modules.mod_mam.pm.user_prefs_store: it is not in this build; use "rdbms"',
    ]);
  });

  test("what does nothing is told once", () => {
    expect(warningsIn(MAM("cache.time_to_live = 5\ncache.strategy = 'lru'"))).toEqual([
      "modules.mod_mam.cache has no effect: the numbers of 50,000 owners are remembered, whatever their age; cache_users switches that off",
    ]);
    expect(warningsIn(`${MAM("")}[modules.mod_mam.muc]\nsend_message = 'mine'\n`)).toEqual([
      "modules.mod_mam.muc has no effect: rooms are not in this build, and have no archives",
    ]);
  });

  test("an index of what is not kept is a contradiction", () => {
    expect(problemsIn(MAM("search_index = 'index'\nfull_text_search = false"))).toEqual([
      'Cannot use "index" as modules.mod_mam.search_index: it is only with full_text_search = true',
    ]);
    expect(problemsIn(MAM("search_index = 'index'"))).toEqual([]);
    const inside = 'Cannot accept modules.mod_mam.pm: search_index = "index" is only with full_text_search = true';
    expect(problemsIn(`${MAM("search_index = 'index'")}full_text_search = false\n`)).toEqual([inside]);
    expect(problemsIn(`${MAM("")}search_index = 'index'\nfull_text_search = false\n`)).toEqual([inside]);
    expect(problemsIn(`${MAM("full_text_search = false")}search_index = 'index'\n`)).toEqual([inside]);
    expect(problemsIn(`${MAM("search_index = 'index'")}search_index = 'like'\nfull_text_search = false\n`)).toEqual([]);
  });
});

describe("outgoing_pools.rdbms", () => {
  test("a driver that does not exist is one problem", () => {
    expect(problemsIn(POOL("", "driver = 'odbc'"))).toEqual([
      'Cannot use "odbc" as outgoing_pools.rdbms.default.connection.driver: it must be "pgsql", "mysql", "cockroachdb" or "sqlite"',
    ]);
  });

  test("a server is not at port 0", () => {
    expect(problemsIn(POOL("", `driver = 'pgsql'\nport = 0\n${SERVER}`))).toEqual([
      'Cannot use "0" as outgoing_pools.rdbms.default.connection.port: a port is 1 to 65535',
    ]);
  });

  test("what a file has no use for is told", () => {
    const warnings = warningsIn(
      POOL(
        "workers = 5\nstrategy = 'next_worker'",
        `driver = 'sqlite'\n${SERVER}query_timeout = 5\ntls.verify_mode = 'none'`,
      ),
    );
    const why = 'has no effect: driver "sqlite" opens a file, by one worker';
    const at = "outgoing_pools.rdbms.default";
    const keys = ["workers", "strategy", "connection.host", "connection.username", "connection.password"];
    expect(warnings).toEqual(
      [...keys, "connection.query_timeout", "connection.tls"].map((key) => `${at}.${key} ${why}`),
    );
    expect(warningsIn(POOL("scope = 'global'", "driver = 'sqlite'\ndatabase = 'x.db'"))).toEqual([]);
    expect(warningsIn(POOL("workers = 5", `driver = 'pgsql'\n${SERVER}`))).toEqual([]);
  });
});

test("what a cluster would need is told to do nothing", () => {
  const cets = "[internal_databases.cets]\nbackend = 'file'\ncluster_name = 'x'\nnode_list_file = '/nodes'\n";
  const why = "has no effect: nodes do not look for each other; clusters come later";
  expect(warningsIn(cets)).toEqual([
    `internal_databases.cets.backend ${why}`,
    `internal_databases.cets.node_list_file ${why}`,
  ]);
});

test("wildcards match, whatever is said", () => {
  const tls = (protocol: string): string =>
    POOL("", `driver = 'pgsql'\n${SERVER}tls.server_name_indication.protocol = '${protocol}'`);
  expect(warningsIn(tls("https"))).toEqual([]);
  expect(warningsIn(tls("default"))).toEqual([
    "outgoing_pools.rdbms.default.connection.tls.server_name_indication.protocol has no effect: certificates with a wildcard always match",
  ]);
});

describe("retention", () => {
  test("of a domain that nobody serves is told, unless it may come", () => {
    const text = "[retention]\ndomains = [{domain = 'localhost'}, {domain = 'hospital.exmaple'}]\n";
    expect(check(text).warnings.map(formatProblem)).toEqual([
      'retention.domains[1].domain names "hospital.exmaple", which is not in general.hosts: it has no effect      (mongooseim.toml:5)',
    ]);
    const dynamic = "[general]\nhost_types = ['t']\ndefault_server_domain = 'localhost'\n";
    expect(parseConfig(dynamic + text, { file: "f", modules: BUILT_MODULES }).warnings).toEqual([]);
  });

  test("says how much is too much", () => {
    expect(
      problemsIn("[retention]\nbatch_size = 99999\narchive = 99999999999\npause = 0\ninterval = 99999999\n"),
    ).toEqual([
      'Cannot use "99999" as retention.batch_size: it must be a whole number from 1 to 10000',
      'Cannot use "99999999999" as retention.archive: it must be a whole number from 1 to 36500, or "infinity"',
      'Cannot use "0" as retention.pause: it must be a whole number from 1 to 60000',
      'Cannot use "99999999" as retention.interval: it must be a whole number from 1 to 31536000',
    ]);
  });
});
