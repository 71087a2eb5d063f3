// GraphQL subscriptions over HTTP: how they are asked for, and what is refused.
import { describe, expect } from "vitest";
import { type Answer, EventReader, type HttpFace } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";
import { ADMIN, GRAPHQL_PATHS } from "../support/story-server.ts";

const covers = covering("graphql_sse_SUITE", { door: "tcp" });
const FOLLOW = "stanza.subscribeForMessages";
const both = (...cases: string[]) => cases.flatMap((name) => [`admin_${name}`, `user_${name}`]);

async function refused(face: HttpFace, args = {}): Promise<Answer> {
  const answer = await face.subscribes(FOLLOW, args);
  if (answer instanceof EventReader) throw new Error("The subscription has begun");
  return answer;
}

describe("a subscription", () => {
  const { story } = stage();

  story(
    "is asked for with a document and credentials, by GET",
    { alice: 0 },
    async ({ graphql, alice }) => {
      const faces = [
        { face: graphql.admin, args: { caller: alice.bare } },
        { face: graphql.user(alice), args: {} },
      ];
      for (const { face, args } of faces) {
        for (const search of ["/sse", "/sse?=invalid"]) {
          expect((await face.fetch({ method: "GET" }, search)).status).toBe(400);
        }
        const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
        const posted = await face.fetch(init, "/sse");
        expect([posted.status, posted.headers.get("Allow")]).toEqual([405, "GET"]);
        const query = await face.listens("{ checkAuth { authStatus } }");
        (query as Answer).isBadRequest("unsupported_operation");
        const mutation = await face.listens('mutation { roster { deleteContact(user: "a@b", contact: "c@d") } }');
        (mutation as Answer).isBadRequest();
        // Nor does a subscription begin where nobody could be told of its events.
        (await face.calls(FOLLOW, args)).isBadRequest("unsupported_operation");
      }
      (await graphql.ctl.calls(FOLLOW, { caller: alice.bare })).isBadRequest("unsupported_operation");
      (await refused(graphql.endpoint("admin"), { caller: alice.bare })).isUnauthorized();
      (await refused(graphql.endpoint("user"))).isUnauthorized();
      for (const [which, args] of [
        ["admin", { caller: alice.bare }],
        ["user", {}],
      ] as const) {
        const invalid = await refused(graphql.endpoint(which, "invalid:creds"), args);
        expect(invalid.status).toBe(401);
        invalid.fails("wrong_credentials");
      }
    },
    covers(
      ...both(
        "missing_query",
        "invalid_query_string",
        "missing_creds",
        "invalid_creds",
        "invalid_method",
        "invalid_operation_type",
      ),
    ),
  );

  story(
    "gives long messages whole",
    { alice: 1, bob: 1 },
    async ({ graphql, alice, bob }) => {
      const args = { caller: alice.bare };
      for (const stream of [
        await graphql.admin.subscribes(FOLLOW, args),
        await graphql.user(alice).subscribes(FOLLOW),
      ]) {
        if (!(stream instanceof EventReader)) throw new Error("The subscription did not begin");
        bob.sends`<message to="${alice.bare}" type="chat"><body>${"0".repeat(2000)}</body></message>`;
        expect(await stream.value()).toMatchObject({
          stanza: expect.stringMatching(/^<message .*0{2000}.*<\/message>$/),
        });
        await stream.stop();
      }
    },
    covers("admin_subscribe_to_user_messages", "sse_works_with_long_messages"),
  );
});

describe("a subscription without events", () => {
  const endpoint = (path: string, more: Record<string, string | number>) => ({ host: "_", path, ...more });
  const { story } = stage({
    listen: {
      http: [
        {
          port: 0,
          ip_address: "127.0.0.1",
          handlers: {
            mongoose_graphql_handler: [
              endpoint(GRAPHQL_PATHS.admin, { schema_endpoint: "admin", ...ADMIN }),
              endpoint(GRAPHQL_PATHS.user, { schema_endpoint: "user", sse_idle_timeout: 1500 }),
            ],
          },
        },
      ],
    },
  });

  story(
    "ends after sse_idle_timeout; each event begins the time anew",
    { alice: 1, bob: 1 },
    async ({ graphql, alice, bob }) => {
      const stream = await graphql.user(alice).subscribes(FOLLOW);
      if (!(stream instanceof EventReader)) throw new Error("The subscription did not begin");
      const began = Date.now();
      for (const n of [1, 2]) {
        await Bun.sleep(1000);
        bob.sends`<message to="${alice.bare}" type="chat"><body>${n}</body></message>`;
        expect(await stream.value()).toMatchObject({ stanza: expect.stringContaining(`<body>${n}</body>`) });
      }
      expect(await stream.next()).toBeUndefined();
      expect(Date.now() - began).toBeGreaterThanOrEqual(3400);
    },
    { ...covers("sse_should_not_get_timeout"), slow: true },
  );
});
