// How much a user may keep.
import { describe, expect, test } from "vitest";
import modPrivate from "../../../modules/mod_private.ts";
import modRoster from "../../../modules/mod_roster/index.ts";
import { FakeServer } from "../../support/fake-server.ts";
import { runner } from "./operations.ts";

const outcome = (stanzas: string[]): string[] =>
  stanzas
    .filter((text) => text.startsWith("<iq") && !text.includes("push"))
    .map((text) => /<error[^>]*><([\w-]+)/.exec(text)?.[1] ?? "result");

describe("a roster", () => {
  const add = (jid: string, name = "") =>
    `<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='${jid}' name='${name}'/></query></iq>`;
  const remove = (jid: string) =>
    `<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='${jid}' subscription='remove'/></query></iq>`;

  test.each(["with a summary", "without"])("has as many contacts as max_items says (%s)", async (how) => {
    const server = new FakeServer();
    await server.startModule(modRoster, { max_items: 2 });
    const romeo = server.connect("romeo@localhost/orchard");
    if (how === "with a summary") await romeo.sends("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>");
    romeo.received();
    await romeo.sends(add("a@x"), add("b@x"), add("c@x"), add("a@x", "changed"), remove("a@x"), add("c@x"), add("d@x"));
    expect(outcome(romeo.received())).toEqual([
      "result",
      "result",
      "policy-violation",
      "result",
      "result",
      "result",
      "policy-violation",
    ]);
  });

  test("has room for the requests of strangers beside them, and for no more than 1000", async () => {
    const server = new FakeServer({ users: ["romeo"] });
    await server.startModule(modRoster, { max_items: 1 });
    for (let i = 0; i < 1001; i++) {
      await server.receivesFrom(`<presence from='s${i}@elsewhere' to='romeo@localhost' type='subscribe'/>`);
    }
    const sql = "SELECT count(*) AS n FROM rosterusers WHERE username = 'romeo'";
    expect(await server.db.query(sql)).toEqual([{ n: 1000 }]);
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(add("juliet@localhost"), add("tybalt@localhost"));
    expect(outcome(romeo.received())).toEqual(["result", "policy-violation"]);
  });

  test("a request is not accepted when there is no room for its contact", async () => {
    const server = new FakeServer();
    await server.startModule(modRoster, { max_items: 1 });
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(add("juliet@localhost"));
    await server.receivesFrom("<presence from='tybalt@elsewhere' to='romeo@localhost' type='subscribe'/>");
    romeo.received();
    await romeo.sends("<presence to='tybalt@elsewhere' type='subscribed'/>");
    expect(romeo.received().join()).toContain("<policy-violation");
    expect(server.remote).toEqual([]);
  });
});

describe("private storage", () => {
  const put = (...elements: string[]) =>
    `<iq type='set' id='p'><query xmlns='jabber:iq:private'>${elements.join("")}</query></iq>`;

  async function verona(config: Record<string, number>) {
    const server = new FakeServer({ users: ["juliet"] });
    const ctx = await server.startModule(modPrivate, config);
    return { server, ctx, romeo: server.connect("romeo@localhost/orchard") };
  }

  test("has as many elements as max_elements says", async () => {
    const { romeo } = await verona({ max_elements: 2 });
    await romeo.sends(
      put("<a xmlns='urn:a'/>", "<b xmlns='urn:b'/>", "<c xmlns='urn:c'/>"),
      put("<a xmlns='urn:a'/>", "<b xmlns='urn:b'/>"),
      put("<c xmlns='urn:c'/>"),
      put("<a xmlns='urn:a'>new</a>"),
    );
    expect(outcome(romeo.received())).toEqual(["policy-violation", "result", "policy-violation", "result"]);
  });

  test("has as many bytes as max_bytes says, counted in UTF-8", async () => {
    const element = (text: string, ns = "urn:a") => `<a xmlns="${ns}">${text}</a>`;
    const size = Buffer.byteLength(element("ż"));
    const { romeo } = await verona({ max_bytes: 2 * size });
    await romeo.sends(
      put(element("ż")),
      put(element("ż", "urn:b")),
      put(element("żx", "urn:b")),
      put(element("", "urn:c")),
      put(element("x", "urn:b")),
    );
    expect(outcome(romeo.received())).toEqual(["result", "result", "policy-violation", "policy-violation", "result"]);
  });

  test("bounds administrators and other users apart", async () => {
    const { server, ctx, romeo } = await verona({ max_elements: 1 });
    await romeo.sends(put("<a xmlns='urn:a'/>"));
    const { run } = runner(server, modPrivate, ctx);
    const set = (user: string, element: string) =>
      run("mutation ($user: JID!, $e: XmlElement!) { private { setPrivate(user: $user, elementString: $e) } }", {
        user,
        e: element,
      });
    expect(await set("romeo@localhost", "<b xmlns='urn:b'/>")).toEqual(["parse_error"]);
    expect(await set("juliet@localhost", "<b xmlns='urn:b'/>")).toMatchObject({ private: {} });
  });
});
