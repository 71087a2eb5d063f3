import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AclEntry } from "../../../../core/access/access.ts";
import { Access } from "../../../../core/access/access.ts";
import { globToRegExp } from "../../../../core/access/glob.ts";

const alice = { local: "alice", domain: "localhost", resource: "res123" };
const foreign = { local: "alice", domain: "xmpp.org" };
const hosted = (domain: string) => domain === "localhost" || domain === "other.host";

function isIn(entry: AclEntry, jid: typeof foreign | typeof alice | undefined, domain = "localhost") {
  return new Access({ c: [entry] }, { r: [{ acl: "c", value: "allow" }] }, hosted).allows("r", jid, domain);
}

test.each<[AclEntry, boolean, boolean]>([
  [{}, true, false],
  [{ match: "all" }, true, true],
  [{ match: "none" }, false, false],
  [{ match: "none", user: "alice" }, false, false],
  [{ match: "any_hosted_domain" }, true, false],
  [{ match: "all", user: "alice" }, true, true],
  [{ match: "all", user: "bob" }, false, false],
  [{ match: "all", server: "xmpp.org" }, false, true],
  [{ match: "all", resource: "res123" }, true, false],
  [{ match: "all", user_regexp: "^a.*e" }, true, true],
  [{ match: "all", user_regexp: "lic" }, true, true],
  [{ match: "all", server_regexp: "host" }, true, false],
  [{ match: "all", resource_regexp: "^res\\d+$" }, true, false],
  [{ match: "all", user_glob: "a*e" }, true, true],
  [{ match: "all", user_glob: "lic" }, false, false],
  [{ match: "all", server_glob: "*.org" }, false, true],
  [{ match: "all", resource_glob: "res???" }, true, false],
  [{ match: "all", user: "alice", server: "localhost", resource: "other" }, false, false],
])("the entry %j: alice@localhost/res123 %s, alice@xmpp.org %s", (entry, local, remote) => {
  expect([isIn(entry, alice), isIn(entry, foreign)]).toEqual([local, remote]);
});

test("current_domain compares with the domain that asks, any_hosted_domain does not", () => {
  expect(isIn({}, { ...alice, domain: "other.host" })).toBe(false);
  expect(isIn({ match: "any_hosted_domain" }, { ...alice, domain: "other.host" })).toBe(true);
});

test("an unknown user is in classes for everyone only", () => {
  expect([
    isIn({ match: "all" }, undefined),
    isIn({}, undefined),
    isIn({ match: "all", user: "a" }, undefined),
  ]).toEqual([true, false, false]);
});

describe("a rule", () => {
  const access = new Access(
    { blocked: [{ user: "alice" }], admin: [{ user: "bob" }, { user: "carol" }] },
    {
      c2s: [
        { acl: "blocked", value: "deny" },
        { acl: "all", value: "allow" },
      ],
      offline: [
        { acl: "admin", value: 5000 },
        { acl: "all", value: 100 },
      ],
      typo: [{ acl: "admni", value: "allow" }],
      nobody: [{ acl: "none", value: "allow" }],
      empty: [],
    },
    hosted,
  );
  const carol = { local: "carol", domain: "localhost" };

  test("gives the value of the first clause that matches", () => {
    expect([access.match("c2s", alice), access.match("c2s", carol)]).toEqual(["deny", "allow"]);
  });

  test("can give numbers", () => {
    expect([access.limit("offline", carol, undefined, 1), access.limit("offline", alice, undefined, 1)]).toEqual([
      5000, 100,
    ]);
  });

  test.each(["typo", "nobody", "empty", "absent", "none", "constructor"])("denies when nothing matches: %s", (rule) => {
    expect(access.match(rule, carol)).toBe("deny");
  });

  test("all allows everyone without being defined", () => {
    expect(access.match("all", undefined)).toBe("allow");
  });

  test("that is not defined gives the value asked for", () => {
    expect(access.match("absent", carol, "localhost", 10)).toBe(10);
  });
});

test("a regular expression that cannot be read is named with its key", () => {
  expect(() => new Access({ a: [{ user_regexp: "(" }] }, {}, hosted)).toThrow(
    /^Cannot use "\(" as acl\.a\[1\]\.user_regexp: not a regular expression/,
  );
});

test.each([
  ["a*", "abc", true],
  ["a*", "bac", false],
  ["?", "ab", false],
  ["[a-c]x", "bx", true],
  ["[!a-c]x", "bx", false],
  ["[^a-c]x", "dx", true],
  ["[]a]", "]", true],
  ["[z-a]", "-", true],
  ["[\\d]", "5", false],
  ["a.b", "axb", false],
  ["a|b", "a", false],
  ["[", "[", true],
  ["*", "two\nlines", true],
])("the glob %s on %j: %s", (glob, text, matches) => {
  expect(globToRegExp(glob).test(text)).toBe(matches);
});

test("any text makes a glob, and without special characters it matches itself alone", () => {
  fc.assert(fc.property(fc.string(), (glob) => globToRegExp(glob) instanceof RegExp));
  fc.assert(
    fc.property(
      fc.string().map((it) => it.replace(/[*?[]/g, "")),
      fc.string(),
      (glob, text) => {
        expect(globToRegExp(glob).test(glob)).toBe(true);
        expect(globToRegExp(glob).test(text)).toBe(text === glob);
      },
    ),
  );
});
