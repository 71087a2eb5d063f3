// GraphQL category stat: figures of the server and of domains.
import { expect } from "vitest";
import { covering, stage } from "../support/story.ts";

const { story } = stage({ general: { hosts: ["localhost", "verona.example"] } });
const covers = covering("graphql_stats_SUITE", { door: "tcp" });
const GLOBAL = "stat.globalStats";
const DOMAIN = "stat.domainStats";

story(
  "the server, without users and with one",
  {},
  async ({ graphql, actor, server, door }) => {
    const everywhere = (users: number) => {
      const [uptimeSeconds, incomingS2S, outgoingS2S] = [0, 1, 2].map(() => expect.toSatisfy((n) => n >= 0));
      const online = { onlineUsers: users, onlineUsersNode: users };
      return { uptimeSeconds, registeredUsers: users, ...online, incomingS2S, outgoingS2S };
    };
    const both = [graphql.admin, graphql.ctl];
    const domainAdmin = await graphql.domainAdmin();
    for (const face of both) (await face.calls(GLOBAL)).gives(everywhere(0));
    for (const face of [...both, domainAdmin]) {
      for (const domain of ["localhost", "LOCALHOST"]) {
        (await face.calls(DOMAIN, { domain })).gives({ registeredUsers: 0, onlineUsers: 0 });
      }
    }
    await (await actor("alice")).logsIn(server.target(door));
    for (const face of both) (await face.calls(GLOBAL)).gives(everywhere(1));
    for (const face of [...both, domainAdmin]) {
      for (const domain of ["localhost", "LOCALHOST"]) {
        (await face.calls(DOMAIN, { domain })).gives({ registeredUsers: 1, onlineUsers: 1 });
      }
    }
    for (const face of both) {
      (await face.calls(DOMAIN, { domain: "verona.example" })).gives({ registeredUsers: 0, onlineUsers: 0 });
      (await face.calls(DOMAIN, { domain: "unknown" })).fails("domain_not_found", "Domain not found");
    }
    (await domainAdmin.calls(GLOBAL)).isUnauthorized();
    for (const domain of ["verona.example", "VERONA.example"]) {
      (await domainAdmin.calls(DOMAIN, { domain })).isUnauthorized();
    }
  },
  covers(
    "admin_stats_global_test",
    "admin_stats_global_with_users_test",
    "admin_stats_domain_test",
    "admin_stats_domain_with_users_test",
    "admin_stats_domain_without_users_test",
    "domain_admin_stats_global_test",
    "domain_admin_stats_domain_no_permission_test",
  ),
);
