// GraphQL category domain: domains that come and go while the server runs, and their administrators.
import { describe, expect } from "vitest";
import { DISABLED } from "../../core/domain/store.ts";
import { StorageError } from "../../core/storage/db.ts";
import type { Answer, Face, Graphql } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_domain_SUITE", { door: "tcp" });
const CONFIG = {
  general: { hosts: ["localhost"], host_types: ["dummy auth", "test type"] },
  services: { service_domain_db: {} },
};
const HOST_TYPE = "test type";
const OTHER_TYPE = "dummy auth";
const EXAMPLE = "example.com";
const SECOND = "second.example.com";
const globals = (graphql: Graphql): readonly Face[] => [graphql.admin, graphql.ctl];

const add = (face: Face, domain: string, hostType = HOST_TYPE) => face.calls("domain.addDomain", { domain, hostType });
const remove = (face: Face, domain: string, hostType = HOST_TYPE) =>
  face.calls("domain.removeDomain", { domain, hostType });
const details = (face: Face, domain: string) => face.calls("domain.domainDetails", { domain });
const absent = (answer: Answer) => answer.fails("not_found", /^Given domain does not exist/);

describe("domains", () => {
  const { story } = stage(CONFIG);

  story(
    "come and go",
    {},
    async ({ graphql, server }) => {
      for (const face of globals(graphql)) {
        for (const domain of [EXAMPLE, SECOND]) {
          (await add(face, domain)).gives({ domain, hostType: HOST_TYPE, status: null });
        }
        const described = (domain: string, status: string, hostType = HOST_TYPE, type = "DYNAMIC") => ({
          domain,
          hostType,
          status,
          type,
        });
        const all = async () => (await face.calls("domain.allDomains")).value;
        (await add(face, EXAMPLE, OTHER_TYPE)).fails("duplicate", /^Domain already exists$/);
        (await remove(face, EXAMPLE, OTHER_TYPE)).fails("wrong_host_type", /^Wrong host type was provided$/);

        (await face.calls("domain.disableDomain", { domain: EXAMPLE })).includes({
          domain: EXAMPLE,
          status: "DISABLED",
        });
        expect(await server.node.domainStore?.find(EXAMPLE)).toMatchObject({ host_type: HOST_TYPE, status: DISABLED });
        const withDisabled = [described(EXAMPLE, "DISABLED"), described(SECOND, "ENABLED")];
        expect(await all()).toEqual(expect.arrayContaining(withDisabled));
        (await face.calls("domain.domainsByHostType", { hostType: HOST_TYPE })).gives([SECOND]);
        (await face.calls("domain.enableDomain", { domain: EXAMPLE })).includes({ domain: EXAMPLE, status: "ENABLED" });

        (await face.calls("domain.domainsByHostType", { hostType: HOST_TYPE })).gives([EXAMPLE, SECOND]);
        const local = described("localhost", "ENABLED", "localhost", "STATIC");
        expect(await all()).toEqual([described(EXAMPLE, "ENABLED"), local, described(SECOND, "ENABLED")]);
        (await details(face, EXAMPLE)).gives(described(EXAMPLE, "ENABLED"));
        (await details(face, "localhost")).gives(local);

        (await remove(face, EXAMPLE)).gives({ domain: EXAMPLE, hostType: HOST_TYPE, status: "DELETED" });
        absent(await remove(face, EXAMPLE));
        const request = (domain: string) => face.calls("domain.requestRemoveDomain", { domain, hostType: HOST_TYPE });
        (await request(SECOND)).gives({ domain: SECOND, hostType: HOST_TYPE, status: "DELETING" });
        await expect.poll(async () => (await details(face, SECOND)).body.errors?.[0].extensions.code).toBe("not_found");
        absent(await request(EXAMPLE));
        (await face.calls("domain.domainsByHostType", { hostType: HOST_TYPE })).gives([]);
      }
    },
    covers(
      "create_domain",
      "domain_duplicate_error_formatting",
      "wrong_host_type_error_formatting",
      "disable_domain",
      "get_all_domains_with_disabled",
      "enable_domain",
      "get_domains_by_host_type",
      "get_all_domains",
      "get_domain_details",
      "get_static_domain_details",
      "delete_domain",
      "request_delete_domain",
      "get_domains_after_deletion",
    ),
  );

  story(
    "that cannot be are refused",
    {},
    async ({ graphql }) => {
      for (const face of globals(graphql)) {
        (await add(face, EXAMPLE, "NonExistingHostType")).fails("unknown_host_type", /^Unknown host type$/);
        (await face.calls("domain.domainsByHostType", { hostType: "NonExistingHostType" })).fails(
          "unknown_host_type",
          /^Unknown host type$/,
        );
        const fixed = /^Domain is static$/;
        (await add(face, "localhost")).fails("static", fixed);
        (await remove(face, "localhost")).fails("static", fixed);
        (await face.calls("domain.enableDomain", { domain: "localhost" })).fails("static", fixed);
        (await face.calls("domain.disableDomain", { domain: "localhost" })).fails("static", fixed);
        const domain = "NonExistingDomain";
        absent(await face.calls("domain.enableDomain", { domain }));
        absent(await face.calls("domain.disableDomain", { domain }));
        absent(await details(face, domain));
        (await add(face, "")).isNotCoerced("empty_domain_name");
        (await add(face, "a".repeat(1024))).isNotCoerced("failed_to_parse_domain_name");
      }
    },
    covers(
      "unknown_host_type_error_formatting",
      "add_static_domain_error_formatting",
      "remove_static_domain_error_formatting",
      "enable_static_domain_error_formatting",
      "disable_static_domain_error_formatting",
      "domain_not_found_error_formatting_after_mutation_disable_domain",
      "domain_not_found_error_formatting_after_mutation_enable_domain",
      "domain_not_found_error_formatting_after_query",
      "invalid_domain_name_error",
    ),
  );

  story(
    "are not made when the database fails, and what failed is not told",
    {},
    async ({ graphql, server }) => {
      const store = server.node.domainStore;
      if (store === undefined) throw new Error("There is no store of domains");
      store.add = () => Promise.reject(new StorageError("unavailable", "simulated database error"));
      for (const face of globals(graphql)) {
        const answer = await add(face, SECOND);
        answer.fails("resolver_crash", /^Unexpected DomainAdminMutation resolver crash$/);
      }
      Reflect.deleteProperty(store, "add");
      absent(await details(graphql.admin, SECOND));
      expect(server.logged.filter(({ what }) => what === "operation_crashed")).toHaveLength(2);
    },
    { ...covers("create_domain_fails_if_db_transaction_fails_constantly"), logs: ["operation_crashed"] },
  );

  story(
    "are made when the database fails for a moment",
    {},
    async ({ graphql, server }) => {
      const db = server.node.db("rdbms");
      const { transaction } = db;
      for (const face of globals(graphql)) {
        let failures = 0;
        db.transaction = (statements) => {
          db.transaction = transaction.bind(db);
          failures++;
          return Promise.reject(new StorageError("unavailable", `simulated database error, ${statements.length}`));
        };
        (await add(face, SECOND)).gives({ domain: SECOND, hostType: HOST_TYPE, status: null });
        expect(failures).toBe(1);
        (await remove(face, SECOND)).includes({ status: "DELETED" });
      }
    },
    covers("create_domain_succeeds_if_db_transaction_fails_once"),
  );

  story(
    "have administrators with passwords",
    {},
    async ({ graphql }) => {
      const set = (face: Face, domain: string, password = "secret") =>
        face.calls("domain.setDomainPassword", { domain, password });
      const forget = (face: Face, domain: string) => face.calls("domain.deleteDomainPassword", { domain });
      const enters = async (password: string) =>
        (await graphql.endpoint("domain_admin", `admin@localhost:${password}`).asks("{ checkAuth { authStatus } }"))
          .status;
      for (const face of globals(graphql)) {
        (await set(face, "localhost")).gives(expect.stringContaining("successfully"));
        expect([await enters("secret"), await enters("wrong")]).toEqual([200, 401]);
        absent(await set(face, "unknown-domain.com"));
        (await forget(face, "localhost")).gives(expect.stringContaining("successfully"));
        expect(await enters("secret")).toBe(401);
        (await forget(face, "localhost")).fails("not_found", /^Domain password does not exist$/);
        (await forget(face, "unknown-domain.com")).fails("not_found", /^Domain password does not exist$/);
      }
    },
    covers(
      "set_domain_password",
      "set_nonexistent_domain_password",
      "delete_domain_password",
      "delete_nonexistent_domain_password",
    ),
  );

  story(
    "are seen by their own administrators, who change the password and nothing else",
    {},
    async ({ graphql }) => {
      const domain = "domain-admin.example.com";
      (await add(graphql.admin, domain)).includes({ domain });
      (await add(graphql.admin, EXAMPLE)).includes({ domain: EXAMPLE });
      const own = await graphql.domainAdmin(domain);
      (await details(own, domain)).gives({ domain, hostType: HOST_TYPE, status: "ENABLED", type: "DYNAMIC" });
      (await details(own, EXAMPLE)).isUnauthorized();
      for (const whose of [EXAMPLE, domain]) {
        (await add(own, whose)).isUnauthorized();
        (await own.calls("domain.disableDomain", { domain: whose })).isUnauthorized();
        (await own.calls("domain.enableDomain", { domain: whose })).isUnauthorized();
        (await remove(own, whose)).isUnauthorized();
        (await own.calls("domain.requestRemoveDomain", { domain: whose, hostType: HOST_TYPE })).isUnauthorized();
        (await own.calls("domain.deleteDomainPassword", { domain: whose })).isUnauthorized();
      }
      for (const hostType of [HOST_TYPE, OTHER_TYPE]) {
        (await own.calls("domain.domainsByHostType", { hostType })).isUnauthorized();
      }
      (await own.calls("domain.allDomains")).isUnauthorized();
      const password = "changed";
      (await own.calls("domain.setDomainPassword", { domain: EXAMPLE, password })).isUnauthorized();
      (await own.calls("domain.setDomainPassword", { domain, password })).gives(
        expect.stringContaining("successfully"),
      );
      // The old password is nobody's now.
      for (const answer of [
        await details(own, domain),
        await own.calls("domain.setDomainPassword", { domain, password }),
      ]) {
        expect(answer.status).toBe(401);
        answer.fails("wrong_credentials");
      }
    },
    covers(
      "domain_admin_get_domain_details",
      "domain_admin_set_domain_password",
      "domain_admin_create_domain_no_permission",
      "domain_admin_disable_domain_no_permission",
      "domain_admin_enable_domain_no_permission",
      "domain_admin_get_domains_by_host_type_no_permission",
      "domain_admin_get_all_domains_no_permission",
      "domain_admin_get_domain_details_no_permission",
      "domain_admin_delete_domain_no_permission",
      "domain_admin_set_domain_password_no_permission",
      "domain_admin_delete_domain_password_no_permission",
    ),
  );
});
