// Domains as administrators and other nodes change them (service_domain_db): what is in the database, what is served.
import { describe, expect } from "vitest";
import { DISABLED, DomainStore, ENABLED } from "../../core/domain/store.ts";
import type { Graphql } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const covers = covering("service_domain_db_SUITE", { door: "tcp" });
const usual = {
  general: { hosts: ["localhost", "example.cfg"], host_types: ["type1", "type2"] },
  services: { service_domain_db: {} },
};
const { story } = stage(usual);
let count = 0;
const name = () => `domain${++count}.example.db`;

const add = async ({ admin }: Graphql, domain: string, hostType = "type1") =>
  (await admin.calls("domain.addDomain", { domain, hostType })).includes({ domain, hostType });
/** The domain as the database has it. */
const stored = async ({ node }: StoryServer, domain: string): Promise<unknown> => {
  const row = await node.domainStore?.find(domain);
  return row && { hostType: row.host_type, status: row.status };
};
/** The host type that serves the domain. */
const serving = ({ node }: StoryServer, domain: string): string | undefined => node.hostOf(domain)?.name;
/** The database as another node of the cluster has it, one with a host type of its own. */
const elsewhere = ({ node }: StoryServer): DomainStore => new DomainStore(node.db("rdbms"));

story(
  "static domains and dynamic ones are told with their host types",
  {},
  async ({ graphql, server }) => {
    const [one, two] = [name(), name()];
    await add(graphql, one);
    await add(graphql, two, "type2");
    for (const face of [graphql.admin, graphql.ctl]) {
      const all = (await face.calls("domain.allDomains")).value as { type: string; domain: string; hostType: string }[];
      const fixed = { status: "ENABLED", type: "STATIC" };
      expect(all.filter(({ type }) => type === "STATIC")).toEqual([
        { domain: "example.cfg", hostType: "example.cfg", ...fixed },
        { domain: "localhost", hostType: "localhost", ...fixed },
      ]);
      const dynamic = { status: "ENABLED", type: "DYNAMIC" };
      expect(all).toContainEqual({ domain: one, hostType: "type1", ...dynamic });
      expect(all).toContainEqual({ domain: two, hostType: "type2", ...dynamic });
      (await face.calls("domain.domainsByHostType", { hostType: "localhost" })).gives(["localhost"]);
      const ofType = (await face.calls("domain.domainsByHostType", { hostType: "type1" })).value;
      expect(ofType).toContain(one);
      expect(ofType).not.toContain(two);
      (await face.calls("domain.enableDomain", { domain: "example.cfg" })).fails("static");
      (await face.calls("domain.domainDetails", { domain: "example.cfg" })).includes({ hostType: "example.cfg" });
      (await face.calls("domain.domainDetails", { domain: "example.missing" })).fails("not_found");
    }
    expect([serving(server, "example.cfg"), serving(server, "example.missing")]).toEqual(["example.cfg", undefined]);
  },
  covers(
    "api_lookup_works",
    "api_lookup_not_found",
    "api_cannot_enable_static",
    "api_get_all_static",
    "api_get_domains_by_host_type",
    "db_get_all_static",
    "db_get_all_dynamic",
    "db_get_all_domains",
  ),
);

story(
  "the database follows what is done to a domain",
  {},
  async ({ graphql: { admin }, graphql, server }) => {
    const domain = name();
    await add(graphql, domain);
    expect(await stored(server, domain)).toEqual({ hostType: "type1", status: ENABLED });
    (await admin.calls("domain.disableDomain", { domain })).includes({ status: "DISABLED" });
    expect([await stored(server, domain), serving(server, domain)]).toEqual([
      { hostType: "type1", status: DISABLED },
      undefined,
    ]);
    (await admin.calls("domain.enableDomain", { domain })).includes({ status: "ENABLED" });
    expect([await stored(server, domain), serving(server, domain)]).toEqual([
      { hostType: "type1", status: ENABLED },
      "type1",
    ]);
    (await admin.calls("domain.removeDomain", { domain, hostType: "type1" })).includes({ status: "DELETED" });
    expect([await stored(server, domain), serving(server, domain)]).toEqual([undefined, undefined]);
  },
  covers(
    "db_inserted_domain_is_in_db",
    "db_disabled_domain_is_in_db",
    "db_reenabled_domain_is_in_db",
    "db_deleted_domain_from_db",
    "db_deleted_domain_from_core",
  ),
);

story(
  "a domain of a host type that only another node has is not served, and left alone",
  {},
  async ({ graphql: { admin }, server }) => {
    const [foreign, known] = [name(), name()];
    expect(await elsewhere(server).add(foreign, "other_node_only")).toBe(true);
    expect(await elsewhere(server).add(known, "type1")).toBe(true);
    await server.node.domains.refresh();
    expect([serving(server, known), serving(server, foreign)]).toEqual(["type1", undefined]);
    const hostType = "other_node_only";
    const refusal = "unknown_host_type";
    (await admin.calls("domain.removeDomain", { domain: foreign, hostType })).fails(refusal);
    (await admin.calls("domain.disableDomain", { domain: foreign })).fails(refusal);
    await elsewhere(server).setStatus((await elsewhere(server).find(foreign))!, DISABLED);
    await server.node.domains.refresh();
    (await admin.calls("domain.enableDomain", { domain: foreign })).fails(refusal);
    expect(await stored(server, foreign)).toEqual({ hostType, status: DISABLED });
  },
  covers(
    "db_cannot_delete_domain_with_unknown_host_type",
    "db_cannot_enable_domain_with_unknown_host_type",
    "db_cannot_disable_domain_with_unknown_host_type",
    "db_domains_with_unknown_host_type_are_ignored_by_core",
  ),
);

story(
  "all domains are read, page by page",
  {},
  async ({ graphql, server }) => {
    const domain = name();
    await add(graphql, domain);
    const all: string[] = [];
    await elsewhere(server).all((rows) => all.push(...rows.map((row) => row.domain)));
    expect(all).toContain(domain);
  },
  covers("sql_select_from"),
);

describe("events of other nodes", () => {
  // The ids that the story gives are given again by databases that count.
  const { story } = stage(usual);

  story(
    "are seen in whatever order they are committed",
    {},
    async ({ graphql, server }) => {
      await add(graphql, name());
      const [first, second] = [name(), name()];
      const db = server.node.db("rdbms");
      const enable = (which: string) => ({
        sql: "INSERT INTO domain_settings (domain, host_type, status) VALUES (?, 'type1', 1)",
        params: [which],
      });
      const announce = (which: string, id: number) => ({
        sql: "INSERT INTO domain_events (id, domain) VALUES (?, ?)",
        params: [id, which],
      });
      const newest = (await server.node.domainStore?.lastEvent()) ?? 0;
      await db.transaction([enable(second), announce(second, newest + 2)]);
      await server.node.domains.refresh();
      expect([serving(server, first), serving(server, second)]).toEqual([undefined, "type1"]);
      await db.transaction([enable(first), announce(first, newest + 1)]);
      await server.node.domains.refresh();
      expect([serving(server, first), serving(server, second)]).toEqual(["type1", "type1"]);
    },
    covers("db_event_could_appear_with_lower_id"),
  );
});

describe("a server that starts again", () => {
  const before = {
    general: { hosts: ["localhost"], host_types: ["dbgroup"] },
    services: { service_domain_db: {} },
  };
  const { story } = stage(before);

  story(
    "serves the domains of the database, but those that are static now",
    {},
    async ({ graphql, server }) => {
      for (const domain of ["example.com", "example.net"]) await add(graphql, domain, "dbgroup");
      await server.restarts(before);
      for (const domain of ["example.com", "example.net"]) {
        expect(await stored(server, domain)).toEqual({ hostType: "dbgroup", status: ENABLED });
        expect(serving(server, domain)).toBe("dbgroup");
      }
      await server.restarts({ ...before, general: { ...before.general, hosts: ["localhost", "example.com"] } });
      for (const domain of ["example.com", "example.net"]) {
        expect(await stored(server, domain)).toEqual({ hostType: "dbgroup", status: ENABLED });
      }
      expect(["example.com", "example.net"].map((domain) => serving(server, domain))).toEqual([
        "example.com",
        "dbgroup",
      ]);
    },
    covers("db_records_are_restored_on_mim_restart", "db_record_is_ignored_if_domain_static"),
  );
});

describe("events of domains", () => {
  const { story } = stage({
    general: { hosts: ["localhost"], host_types: ["type1"] },
    services: { service_domain_db: { event_cleaning_interval: 1, event_max_age: 1 } },
  });

  story(
    "are forgotten when they are old, but the newest",
    {},
    async ({ graphql, server }) => {
      for (let n = 0; n < 4; n++) await add(graphql, name());
      const store = elsewhere(server);
      const newest = await store.lastEvent();
      expect(await store.firstEvent()).toBeLessThan(newest);
      await expect.poll(() => store.firstEvent(), { timeout: 10_000, interval: 200 }).toBe(newest);
      expect(await store.lastEvent()).toBe(newest);
    },
    { ...covers("db_events_table_gets_truncated"), slow: true },
  );
});

describe("the password of a domain's administrator", () => {
  const enters = async (graphql: Graphql, domain: string, password: string) => {
    const face = graphql.endpoint("domain_admin", `admin@${domain}:${password}`);
    return (await face.asks("{ checkAuth { authStatus } }")).status === 200;
  };
  const set = (graphql: Graphql, domain: string, password: string) =>
    graphql.admin.calls("domain.setDomainPassword", { domain, password });

  story(
    "is set, changed and deleted, for static domains and dynamic ones",
    {},
    async ({ graphql, server }) => {
      const dynamic = name();
      await add(graphql, dynamic);
      for (const domain of [dynamic, "example.cfg"]) {
        for (const password of ["rocky1", "rocky2"]) {
          (await set(graphql, domain, password)).gives(expect.stringContaining("successfully"));
          expect([await enters(graphql, domain, password), await enters(graphql, domain, "wrongrock")]).toEqual([
            true,
            false,
          ]);
        }
        expect(await enters(graphql, domain, "rocky1")).toBe(false);
        (await graphql.admin.calls("domain.deleteDomainPassword", { domain })).gives(
          expect.stringContaining("successfully"),
        );
        expect(await server.node.domainStore?.password(domain)).toBeUndefined();
        expect(await enters(graphql, domain, "rocky2")).toBe(false);
      }
      (await set(graphql, "unknown_domain", "x")).fails("not_found");
      expect(await enters(graphql, "unknown_domain", "")).toBe(false);
    },
    covers(
      "db_can_insert_update_delete_dynamic_domain_password",
      "db_can_insert_update_delete_static_domain_password",
      "db_can_check_domain_password",
      "db_cannot_set_password_for_unknown_domain",
      "db_cannot_check_password_for_unknown_domain",
    ),
  );

  story(
    "goes with the domain",
    {},
    async ({ graphql, server }) => {
      for (const operation of ["domain.removeDomain", "domain.requestRemoveDomain"]) {
        const domain = name();
        await add(graphql, domain);
        (await set(graphql, domain, "deleteme")).gives(expect.stringContaining("successfully"));
        (await graphql.admin.calls(operation, { domain, hostType: "type1" })).includes({ domain });
        expect(await server.node.domainStore?.password(domain)).toBeUndefined();
        expect(await enters(graphql, domain, "deleteme")).toBe(false);
      }
    },
    covers("db_deleting_domain_deletes_domain_admin"),
  );
});
