// XEP-0441: preferences of archiving.
import { describe, expect, test } from "vitest";
import { parseJid } from "../../../../core/jid.ts";
import { type Changes, NS, verona } from "./asked.ts";

const set = (byDefault: string, always: readonly string[] = [], never: readonly string[] = []): string => {
  const list = (jids: readonly string[]) => jids.map((jid) => `<jid>${jid}</jid>`).join("\n");
  return `<iq type='set' id='s'><prefs xmlns='${NS}' default='${byDefault}'><always>${list(always)}</always><never>${list(never)}</never></prefs></iq>`;
};
const GET = `<iq type='get' id='g'><prefs xmlns='${NS}'/></iq>`;
const saying = (id: string, byDefault: string, always: string, never: string): string =>
  `<iq from='romeo@localhost' id='${id}' to='romeo@localhost/orchard' type='result'><prefs default='${byDefault}' xmlns='${NS}'><always>${always}</always><never>${never}</never></prefs></iq>`;
const error = (texts: readonly string[]): string | undefined => /<error[^>]*><([\w-]+)/.exec(texts[0])?.[1];
const stored = (changes: Changes = {}) => verona(0, { mostJids: 5, ...changes });

test("who has said nothing has everything archived, and is told so", async () => {
  const { romeo, prefs, owner } = await stored();
  await romeo.sends(GET);
  romeo.hears(saying("g", "always", "", ""));
  expect(await prefs?.shouldArchive(owner, parseJid("juliet@localhost"))).toBe(true);
});

test("what was said is answered, kept and read again", async () => {
  const { romeo, server, counters } = await stored();
  await romeo.sends(set("roster", ["mercutio@localhost", "Juliet@localhost/Balcony"], ["tybalt@localhost"]), GET);
  const lists = ["<jid>juliet@localhost/Balcony</jid><jid>mercutio@localhost</jid>", "<jid>tybalt@localhost</jid>"];
  romeo.hears(saying("s", "roster", lists[0], lists[1]), saying("g", "roster", lists[0], lists[1]));
  expect(await server.db.query("SELECT remote_jid, behaviour FROM mam_config ORDER BY remote_jid")).toEqual([
    { remote_jid: "", behaviour: "R" },
    { remote_jid: "juliet@localhost/Balcony", behaviour: "A" },
    { remote_jid: "mercutio@localhost", behaviour: "A" },
    { remote_jid: "tybalt@localhost", behaviour: "N" },
  ]);
  await romeo.sends(set("always"), GET);
  romeo.hears(saying("s", "always", "", ""), saying("g", "always", "", ""));
  expect([counters.setPrefs.value, counters.getPrefs.value]).toEqual([2, 2]);
});

test("nobody may say anything where they are not stored", async () => {
  const { romeo } = await verona(0);
  await romeo.sends(GET);
  romeo.hears(saying("g", "always", "", ""));
  await romeo.sends(set("never"));
  expect(error(romeo.received())).toBe("feature-not-implemented");
});

test.each([
  ["no default", set("always").replace(" default='always'", ""), "bad-request"],
  ["a default that is none", set("sometimes"), "bad-request"],
  ["a default that is a word of the language", set("constructor"), "bad-request"],
  ["what is no JID", set("always", ["@"]), "jid-malformed"],
  ["a JID in both lists", set("always", ["a@b"], ["A@b"]), "bad-request"],
  ["a JID that is too long", set("always", [`${"a".repeat(200)}@${"b".repeat(60)}`]), "policy-violation"],
  ["too many JIDs", set("always", ["a@b", "b@b", "c@b"], ["d@b", "e@b", "f@b"]), "policy-violation"],
])("%s is refused and changes nothing", async (_what, iq, condition) => {
  const { romeo } = await stored();
  await romeo.sends(set("never", ["juliet@localhost"]));
  romeo.received();
  await romeo.sends(iq);
  expect(error(romeo.received())).toBe(condition);
  await romeo.sends(GET);
  romeo.hears(saying("g", "never", "<jid>juliet@localhost</jid>", ""));
});

describe("a message is archived", () => {
  const [bob, kate] = ["bob@localhost", "kate@localhost"];
  test.each([
    ["roster", [], [], [true, false]],
    ["roster", [bob], [], [true, false]],
    ["roster", [kate], [], [true, true]],
    ["roster", [kate, bob], [], [true, true]],
    ["roster", [], [bob], [false, false]],
    ["roster", [], [kate], [true, false]],
    ["roster", [], [bob, kate], [false, false]],
    ["never", [], [], [false, false]],
    ["never", [bob], [], [true, false]],
    ["never", [], [kate], [false, false]],
    ["always", [], [], [true, true]],
    ["always", [], [bob], [false, true]],
    ["always", [kate], [bob], [false, true]],
  ] as const)("by default %s, always %j, never %j", async (byDefault, always, never, wanted) => {
    const { romeo, prefs, owner } = await stored({ contacts: [bob] });
    await romeo.sends(set(byDefault, always, never));
    const found = [bob, kate].map((jid) => prefs?.shouldArchive(owner, parseJid(`${jid}/r`)));
    expect(await Promise.all(found)).toEqual(wanted);
  });

  test("by what is said of the resource, before the account, before all", async () => {
    const { romeo, prefs, owner } = await stored();
    await romeo.sends(set("always", ["bob@localhost/home"], [bob]));
    const of = (jid: string) => prefs?.shouldArchive(owner, parseJid(jid));
    expect([of("bob@localhost/home"), of("bob@localhost/work"), of(bob), of(kate)]).toEqual([true, false, false, true]);
  });
});

describe("preferences in memory", () => {
  test("are asked for once, however many messages come, and answered at once after", async () => {
    const { server, prefs, owner } = await stored();
    server.db.log.length = 0;
    const juliet = parseJid("juliet@localhost");
    await Promise.all([1, 2, 3].map(() => prefs?.shouldArchive(owner, juliet)));
    expect(server.db.log).toHaveLength(1);
    expect(prefs?.shouldArchive(owner, juliet)).toBe(true);
  });

  test("are read anew after a while, for another node may have changed them", async () => {
    const { server, prefs, owner } = await stored();
    await prefs?.of(owner);
    await server.db.execute("INSERT INTO mam_server_user (server, user_name) VALUES ('localhost', 'romeo')");
    await server.db.execute(
      "INSERT INTO mam_config (user_id, remote_jid, behaviour) SELECT id, '', 'N' FROM mam_server_user",
    );
    const juliet = parseJid("juliet@localhost");
    expect(prefs?.shouldArchive(owner, juliet)).toBe(true);
    server.clock.advance(60_000);
    expect(await prefs?.shouldArchive(owner, juliet)).toBe(false);
  });

  test("are what is stored when a write has failed", async () => {
    const { server, romeo, prefs, owner } = await stored();
    await romeo.sends(set("never"));
    server.db.failing = true;
    await romeo.sends(set("always"));
    expect(error(romeo.received().slice(1))).toBe("internal-server-error");
    await expect(prefs?.shouldArchive(owner, parseJid("juliet@localhost"))).rejects.toThrow();
    server.db.failing = false;
    expect(await prefs?.shouldArchive(owner, parseJid("juliet@localhost"))).toBe(false);
  });
});
