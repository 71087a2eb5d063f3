// GraphQL category server: the process, its log level, what runs in it.
import { describe, expect } from "vitest";
import type { Face, Graphql } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";
import { STORIES_AUTH } from "../support/story-database.ts";

const covers = covering("graphql_server_SUITE", { door: "tcp" });
const globals = (graphql: Graphql): readonly Face[] => [graphql.admin, graphql.ctl];
const LEVELS = "NONE EMERGENCY ALERT CRITICAL ERROR WARNING NOTICE INFO DEBUG ALL".split(" ");

describe("the server", () => {
  const { story } = stage();

  story(
    "tells its state and what runs in it",
    {},
    async ({ graphql }) => {
      for (const face of globals(graphql)) {
        (await face.calls("server.status")).gives({
          statusCode: "RUNNING",
          message: expect.stringContaining("is running"),
          version: expect.stringMatching(/^\d+\.\d+/),
          commitHash: expect.any(String),
        });
        const types = (await face.calls("server.hostTypes")).value as {
          name: string;
          authMethods: string[];
          modules: { name: string; options: { key: string; value: string | null }[] }[];
        }[];
        expect(types.map(({ name, authMethods }) => ({ name, authMethods }))).toEqual([
          { name: "localhost", authMethods: [STORIES_AUTH] },
        ]);
        const [{ modules }] = types;
        expect(modules.map(({ name }) => name)).toEqual(expect.arrayContaining(["mod_last", "mod_roster"]));
        expect(modules.find(({ name }) => name === "mod_roster")?.options).toContainEqual({
          key: "backend",
          value: expect.any(String),
        });
        (await face.calls("server.globalInfo")).gives({
          services: [{ name: "service_domain_db" }],
          internalDatabases: expect.any(Array),
        });
      }
    },
    covers("get_status_test", "get_host_types_test", "get_global_info_test"),
  );

  story(
    "changes its log level",
    {},
    async ({ graphql, server }) => {
      for (const face of globals(graphql)) {
        for (const level of LEVELS) {
          (await face.calls("server.setLoglevel", { level })).gives("Log level successfully set.");
          (await face.calls("server.getLoglevel")).gives(level);
          expect(server.log.level).toBe(level.toLowerCase());
        }
        (await face.calls("server.setLoglevel", { level: "AAAA" })).isBadRequest("unknown_enum");
        (await face.calls("server.getLoglevel")).gives("ALL");
      }
      server.log.level = "info";
    },
    covers("set_and_get_loglevel_test"),
  );

  story(
    "is nothing for administrators of a domain",
    {},
    async ({ graphql }) => {
      const own = await graphql.domainAdmin();
      for (const name of ["status", "getLoglevel", "hostTypes", "globalInfo", "stop", "restart"]) {
        (await own.calls(`server.${name}`)).isUnauthorized("without a global admin permissions");
      }
      (await own.calls("server.setLoglevel", { level: "DEBUG" })).isUnauthorized();
    },
    { door: "tcp" },
  );
});

describe.each(["admin", "ctl"] as const)("a server that is stopped by %s", (way) => {
  const { story } = stage();

  story(
    "ends in order",
    { romeo: 1 },
    async ({ graphql, server, romeo }) => {
      (await graphql[way].calls("server.stop")).gives(expect.any(String));
      expect(await server.stopped).toBe("stop");
      await Promise.all([server.close(), romeo.receivesStreamError("system-shutdown")]);
      expect(await graphql.ctl.runs("status")).toMatchObject({ exitCode: 3 });
      await expect(graphql.admin.calls("server.status")).rejects.toThrow();
    },
    covers("stop_node_test"),
  );
});
