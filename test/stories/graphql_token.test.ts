// Category token: tokens for log-in, made and revoked by administrators and by the users themselves.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

const KEYS = { keys: [{ name: "token_secret", type: "ram" }] };
// As MongooseIM gives them: not in Base64.
const PAIR = {
  access: expect.stringMatching(/^access\0.+\0\d+\0[0-9a-f]{96}$/),
  refresh: expect.stringMatching(/^refresh\0.+\0\d+\0\d+\0[0-9a-f]{96}$/),
};
const unprepared = (jid: string): string => jid.toUpperCase();

describe("with tokens", () => {
  const { story } = stage({
    general: { hosts: ["localhost", "second"] },
    modules: { mod_keystore: KEYS, mod_auth_token: {} },
  });

  story(
    "administrators make tokens of a user and revoke them",
    { romeo: 0 },
    async ({ graphql, romeo, account }) => {
      for (const face of [graphql.admin, graphql.ctl, await graphql.domainAdmin()]) {
        const { bare: user } = await account("juliet");
        (await face.calls("token.revokeToken", { user })).fails("not_found", "User or token not found");
        (await face.calls("token.requestToken", { user })).gives(PAIR);
        (await face.calls("token.requestToken", { user: unprepared(romeo.bare) })).gives(PAIR);
        (await face.calls("token.revokeToken", { user })).gives("Revoked");
        (await face.calls("token.revokeToken", { user: unprepared(romeo.bare) })).gives("Revoked");
        (await face.calls("token.requestToken", { user: "nobody@localhost" })).fails("not_found");
      }
    },
    {
      door: "tcp",
      covers: [
        "graphql_token_SUITE:admin_request_token_test",
        "graphql_token_SUITE:admin_request_token_test_unprep",
        "graphql_token_SUITE:admin_revoke_token_no_token_test",
        "graphql_token_SUITE:admin_revoke_token_test",
        "graphql_token_SUITE:admin_revoke_token_test_unprep",
      ],
    },
  );

  story(
    "not of a domain that is not served",
    {},
    async ({ graphql }) => {
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls("token.requestToken", { user: "eddie@otherhost" })).fails("not_found", "Unknown domain");
        (await face.calls("token.revokeToken", { user: "eddie@otherhost" })).fails("not_found", "Unknown domain");
      }
    },
    {
      door: "tcp",
      covers: [
        "graphql_token_SUITE:admin_request_token_no_host_test",
        "graphql_token_SUITE:admin_revoke_token_no_host_test",
      ],
    },
  );

  story(
    "the administrator of a domain not for others",
    {},
    async ({ graphql, account }) => {
      const stranger = await account("tybalt", "second");
      const face = await graphql.domainAdmin();
      for (const user of [stranger.bare, "eddie@otherhost"]) {
        (await face.calls("token.requestToken", { user })).isUnauthorized();
        (await face.calls("token.revokeToken", { user })).isUnauthorized();
      }
      (await graphql.admin.calls("token.revokeToken", { user: stranger.bare })).fails("not_found");
    },
    {
      door: "tcp",
      covers: [
        "graphql_token_SUITE:domain_admin_request_token_no_permission_test",
        "graphql_token_SUITE:domain_admin_revoke_token_no_permission_test",
      ],
    },
  );

  story(
    "users do so themselves",
    { romeo: 0, juliet: 0 },
    async ({ graphql, romeo, juliet }) => {
      const face = graphql.user(romeo);
      (await face.calls("token.revokeToken")).fails("not_found");
      (await face.calls("token.requestToken")).gives(PAIR);
      // What another does is of no concern to Romeo's tokens.
      (await graphql.user(juliet).calls("token.revokeToken")).fails("not_found");
      (await face.calls("token.revokeToken")).gives("Revoked");
    },
    {
      door: "tcp",
      covers: [
        "graphql_token_SUITE:user_request_token_test",
        "graphql_token_SUITE:user_revoke_token_no_token_before_test",
        "graphql_token_SUITE:user_revoke_token_test",
      ],
    },
  );
});

describe("without mod_auth_token", () => {
  const { story } = stage();
  story(
    "the operations say what is not loaded",
    { romeo: 0 },
    async ({ graphql, romeo }) => {
      for (const operation of ["token.requestToken", "token.revokeToken"]) {
        for (const face of [graphql.admin, graphql.ctl]) {
          (await face.calls(operation, { user: romeo.bare })).lacks(["mod_auth_token"]);
        }
        (await graphql.user(romeo).calls(operation)).lacks(["mod_auth_token"]);
      }
    },
    {
      door: "tcp",
      covers: [
        "graphql_token_SUITE:admin_request_token_test_not_configured",
        "graphql_token_SUITE:admin_revoke_token_test_not_configured",
        "graphql_token_SUITE:user_request_token_test_not_configured",
        "graphql_token_SUITE:user_revoke_token_test_not_configured",
      ],
    },
  );
});
