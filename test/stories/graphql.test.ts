// The GraphQL API itself: who may come in, and as what.
import { expect } from "vitest";
import { stage } from "../support/story.ts";

const { story } = stage();
const CHECK_AUTH = "{ checkAuth { authStatus authType domain } }";
const CHECK_USER_AUTH = "{ checkAuth { authStatus username } }";

story(
  "checkAuth tells each caller who he is",
  { romeo: 0 },
  async ({ graphql, romeo }) => {
    const { admin, ctl } = graphql;
    const global = { checkAuth: { authStatus: "AUTHORIZED", authType: "ADMIN", domain: null } };
    for (const face of [admin, ctl]) expect((await face.asks(CHECK_AUTH)).data, face.name).toEqual(global);
    const ofDomain = await graphql.domainAdmin();
    expect((await ofDomain.asks(CHECK_AUTH)).data).toEqual({
      checkAuth: { authStatus: "AUTHORIZED", authType: "DOMAIN_ADMIN", domain: "localhost" },
    });
    expect((await graphql.user(romeo).asks(CHECK_USER_AUTH)).data).toEqual({
      checkAuth: { authStatus: "AUTHORIZED", username: romeo.bare },
    });
    (await graphql.endpoint("user", `${romeo.bare}:wrong`).asks(CHECK_USER_AUTH)).fails("wrong_credentials");
  },
  { door: "tcp" },
);
