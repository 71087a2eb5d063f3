// XEP-0313 §4.1: what a query may ask for, who may ask, and how it is answered.
import { expect, test } from "vitest";
import { BEGAN, idOf, NS, query, read, shownId, verona } from "./asked.ts";

const stamp = (n: number): string => new Date(BEGAN / 1000 + (n - 1) * 1000).toISOString();
const GET = `<iq type='get' id='g'><query xmlns='${NS}'/></iq>`;

test("a message is answered as MongooseIM does, its own text unchanged", async () => {
  const { romeo } = await verona(1);
  await romeo.sends(query(""));
  expect(romeo.received()[0]).toBe(
    `<message from='romeo@localhost' id='0000000000000001-0' to='romeo@localhost/orchard'><result id='${shownId(1)}' queryid='f27' xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay from='juliet@localhost/balcony' stamp='2026-11-22T00:00:00.000000Z' xmlns='urn:xmpp:delay'/><message xmlns='jabber:client' from='juliet@localhost/balcony' to='b@localhost' type='chat'><body>Message #1</body></message></forwarded></result></message>`,
  );
});

test.each([
  ["a bare JID", { with: "juliet@localhost" }, [1, 2, 4, 5, 7, 8, 10, 11, 13, 14]],
  ["a full JID", { with: "mercutio@localhost/x" }, [3, 6, 9, 12, 15]],
  ["another resource", { with: "mercutio@localhost/y" }, []],
  ["a JID that is written otherwise", { with: "MERCUTIO@LOCALHOST" }, [3, 6, 9, 12, 15]],
  ["a time to begin with", { start: stamp(13) }, [13, 14, 15]],
  ["a time to end with", { end: stamp(2) }, [1, 2]],
  ["one moment, in another zone", { start: "2026-11-22T01:00:02+01:00", end: "2026-11-22T01:00:02+01:00" }, [3]],
  ["before there were computers", { start: "0001-01-01T00:00:00Z", end: "1969-12-31T23:59:59Z" }, []],
  ["until the end of time", { start: "1900-01-01T00:00:00Z", end: "9999-12-31T23:59:59Z", simple: "false" }, [15, 1]],
  ["from the end of time", { start: "9999-12-31T23:59:59Z" }, []],
  ["without groups", { "include-groupchat": "false", end: stamp(6) }, [1, 2, 3, 4, 6]],
  ["with groups", { "include-groupchat": "true", end: stamp(6) }, [1, 2, 3, 4, 5, 6]],
  ["text (XEP-0431)", { "{urn:xmpp:fulltext:0}fulltext": "MESSAGE 13" }, [13]],
  ["text, MongooseIM's field", { "full-text-search": "14" }, [14]],
  ["fields left empty", { with: "", start: "", "after-id": "", ids: "", "full-text-search": "", end: stamp(1) }, [1]],
])("asking for %s", async (_what, fields, numbers) => {
  const { romeo } = await verona();
  await romeo.sends(query("", fields));
  const found = read(romeo.received());
  expect(found.error).toBeUndefined();
  if (numbers[0] === 15) expect(found.numbers).toHaveLength(15);
  else expect(found.numbers).toEqual(numbers);
});

test.each([
  ["a field that nobody knows (§4.1.5)", { "{urn:x}mood": "lonely" }, "feature-not-implemented"],
  ["a form of another kind", { FORM_TYPE: "jabber:iq:search" }, "bad-request"],
  ["with what is no JID", { with: "@" }, "jid-malformed"],
  ["a time that is none", { start: "yesterday" }, "bad-request"],
  ["a day that is none", { end: "2026-13-01T00:00:00Z" }, "bad-request"],
  ["a flag that is none", { simple: "maybe" }, "bad-request"],
])("%s is refused", async (_what, fields, error) => {
  const { romeo, archive } = await verona();
  await romeo.sends(query("", fields));
  expect(read(romeo.received())).toMatchObject({ numbers: [], error });
  expect(archive.asked).toEqual([]);
});

test("a form that is cancelled is no query", async () => {
  const { romeo } = await verona();
  await romeo.sends(query("", { simple: "true" }).replace("type='submit'", "type='cancel'"));
  expect(read(romeo.received()).error).toBe("bad-request");
});

test("an archive that is not searched says so, in its form and when it is asked", async () => {
  const { romeo } = await verona(1, { searches: false });
  await romeo.sends(GET, query("", { "full-text-search": "x" }));
  const [form, ...answer] = romeo.received();
  expect(form).not.toContain("fulltext");
  expect(read(answer).error).toBe("feature-not-implemented");
});

test("the form says what may be asked for (§4.1.5)", async () => {
  const { romeo } = await verona(0);
  await romeo.sends(GET);
  romeo.hears(
    `<iq from='romeo@localhost' id='g' to='romeo@localhost/orchard' type='result'><query xmlns='urn:xmpp:mam:2'><x type='form' xmlns='jabber:x:data'><field type='hidden' var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field type='jid-single' var='with'/><field type='text-single' var='start'/><field type='text-single' var='end'/><field type='text-single' var='before-id'/><field type='text-single' var='after-id'/><field type='boolean' var='include-groupchat'/><field type='list-multi' var='ids'><validate datatype='xs:string' xmlns='http://jabber.org/protocol/xdata-validate'><open/></validate></field><field type='text-single' var='{urn:xmpp:fulltext:0}fulltext'/></x></query></iq>`,
  );
});

test("clients of the version before are answered in it", async () => {
  const { romeo } = await verona(1);
  const ns = "urn:xmpp:mam:1";
  await romeo.sends(GET.replace(NS, ns), query("", { simple: "true" }, { ns }));
  const [form, message, fin] = romeo.received();
  expect(form).toContain("<value>urn:xmpp:mam:1</value>");
  expect(form).not.toContain("before-id");
  expect(message).toContain("xmlns='urn:xmpp:mam:1'");
  expect(fin.replaceAll('"', "'")).toContain("<fin complete='true' xmlns='urn:xmpp:mam:1'>");
});

test("metadata are the ends of the archive (§5), or nothing", async () => {
  const { romeo } = await verona(3);
  const ask = `<iq type='get' id='m'><metadata xmlns='${NS}'/></iq>`;
  await romeo.sends(ask);
  romeo.hears(
    `<iq from='romeo@localhost' id='m' to='romeo@localhost/orchard' type='result'><metadata xmlns='urn:xmpp:mam:2'><start id='${shownId(1)}' timestamp='2026-11-22T00:00:00.000000Z'/><end id='${shownId(3)}' timestamp='2026-11-22T00:00:02.000000Z'/></metadata></iq>`,
  );
  const empty = await verona(0);
  await empty.romeo.sends(ask);
  empty.romeo.hears(
    `<iq from='romeo@localhost' id='m' to='romeo@localhost/orchard' type='result'><metadata xmlns='urn:xmpp:mam:2'/></iq>`,
  );
});

test.each(["romeo@localhost", "ROMEO@localhost"])("%s is one's own archive", async (to) => {
  const { romeo } = await verona(1);
  await romeo.sends(query("", {}, { to }));
  expect(read(romeo.received()).numbers).toEqual([1]);
});

test("nobody reads or learns anything of another's archive, whatever he writes", async () => {
  const { server, archive } = await verona(3);
  const juliet = server.connect("juliet@localhost/balcony");
  const to = "romeo@localhost";
  await juliet.sends(
    query("", {}, { to }),
    query(`<after>${shownId(1)}</after>`, { ids: shownId(2) }, { to }),
    query("", { with: to }, { to }),
    `<iq type='get' id='1' to='${to}'><query xmlns='${NS}'/></iq>`,
    `<iq type='get' id='2' to='${to}'><metadata xmlns='${NS}'/></iq>`,
    `<iq type='get' id='3' to='${to}'><prefs xmlns='${NS}'/></iq>`,
    `<iq type='set' id='4' to='${to}'><prefs xmlns='${NS}' default='never'/></iq>`,
  );
  const texts = juliet.received();
  expect(texts).toHaveLength(7);
  for (const text of texts) expect(read([text]).error).toBe("forbidden");
  expect(archive.asked).toEqual([]);
});

test("a rule of `access` lets others ask, or the owner not", async () => {
  const open = await verona(1, { server: { access: { mam_lookup_messages: "allow" } } });
  const juliet = open.server.connect("juliet@localhost/balcony");
  await juliet.sends(
    query("", {}, { to: "romeo@localhost" }),
    `<iq type='get' id='p' to='romeo@localhost'><prefs xmlns='${NS}'/></iq>`,
  );
  const texts = juliet.received();
  expect(read(texts.slice(0, 2)).numbers).toEqual([1]);
  expect(read(texts.slice(2)).error).toBe("forbidden");
  const closed = await verona(1, { server: { access: { mam_lookup_messages: "deny" } } });
  await closed.romeo.sends(query(""));
  expect(read(closed.romeo.received()).error).toBe("forbidden");
  const own = await verona(1, { server: { access: { mam_lookup_messages: "default" } } });
  await own.romeo.sends(query(""));
  expect(read(own.romeo.received()).numbers).toEqual([1]);
});

test("archives of nodes (XEP-0442) are not this archive", async () => {
  const { romeo } = await verona(1);
  await romeo.sends(query("").replace("queryid=", "node='urn:xmpp:microblog:0' queryid="));
  expect(read(romeo.received()).error).toBe("feature-not-implemented");
});

test.each([
  `<iq type='set' id='q'><metadata xmlns='${NS}'/></iq>`,
  `<iq type='set' id='q'><toString xmlns='${NS}'/></iq>`,
  `<iq type='get' id='q'><fin xmlns='${NS}'/></iq>`,
])("what is no request is refused: %s", async (iq) => {
  const { romeo } = await verona(0);
  await romeo.sends(iq);
  expect(read(romeo.received()).error).toBe("bad-request");
});

test("an archive that does not answer is an error, told once to the log", async () => {
  const { romeo, archive, failures } = await verona(1);
  archive.failing = true;
  await romeo.sends(query(""));
  expect(read(romeo.received()).error).toBe("internal-server-error");
  expect(failures).toHaveLength(1);
});

const RATES = { access: { mam_lookup_messages_shaper: "mam_shaper" }, shapers: { mam_shaper: 1 } };

test("who asks too often waits for a turn, and is refused when it would be long in coming", async () => {
  const { server, romeo } = await verona(1, { server: RATES });
  const done = romeo.sends(query("<max>0</max>"), query("<max>0</max>"));
  await server.settle();
  expect(romeo.received()).toHaveLength(1);
  server.clock.advance(1000);
  await done;
  expect(romeo.received()).toHaveLength(1);

  const second = server.connect("romeo@localhost/tomb");
  const all = [romeo, second, romeo, second, romeo].map((client) => client.sends(query("<max>0</max>")));
  await server.settle();
  // Three turns are waited for, by both sessions together.
  expect([...romeo.received(), ...second.received()].map((text) => read([text]).error)).toEqual([
    "resource-constraint",
    "resource-constraint",
  ]);
  server.clock.advance(5000);
  await Promise.all(all);
  expect([...romeo.received(), ...second.received()].every((text) => read([text]).fin)).toBe(true);
});

test("all users together have a limit too, and one user's is not another's", async () => {
  const own = await verona(1, { server: RATES });
  const juliet = own.server.connect("juliet@localhost/balcony");
  await own.romeo.sends(query(""));
  await juliet.sends(query(""));
  expect(read(juliet.received()).fin).toBe(true);

  const access = { mam_lookup_messages_global_shaper: "mam_global_shaper" };
  const { server, romeo } = await verona(1, { server: { access, shapers: { mam_global_shaper: 2 } } });
  const other = server.connect("juliet@localhost/balcony");
  await romeo.sends(query("<max>0</max>"), query("<max>0</max>"));
  const waits = other.sends(query("<max>0</max>"));
  await server.settle();
  expect(other.received()).toEqual([]);
  server.clock.advance(1000);
  await waits;
  expect(read(other.received()).fin).toBe(true);
});

test("the end of a page waits for a client that reads slowly", async () => {
  const { romeo, server } = await verona(3);
  let free: () => void = () => undefined;
  const served: string[] = [];
  Object.assign(romeo, {
    serve: (messages: readonly string[]) => {
      served.push(...messages);
      return new Promise<void>((resolve) => {
        free = resolve;
      });
    },
  });
  const done = romeo.sends(query(""));
  await server.settle();
  expect(served).toHaveLength(3);
  expect(romeo.received()).toEqual([]);
  free();
  await done;
  expect(read([...served, ...romeo.received()])).toMatchObject({ numbers: [1, 2, 3], fin: true });
});

test("a message is from its sender, whatever it says itself or does not say", async () => {
  const { romeo, archive } = await verona(2);
  const owner = { local: "romeo", domain: "localhost" };
  await archive.replace(owner, idOf(1), "<message to='b@localhost'><body>Message #1</body></message>");
  await archive.replace(
    owner,
    idOf(2),
    "<message to='b@localhost' from='forged@localhost'><body>Message #2</body></message>",
  );
  await romeo.sends(query(""));
  const texts = romeo.received();
  expect(texts[0]).toContain("<message from='juliet@localhost/balcony' xmlns='jabber:client' to='b@localhost'>");
  expect(texts[1]).toContain("<message from='romeo@localhost/orchard' xmlns='jabber:client' to='b@localhost'>");
  expect(texts[1]).not.toContain("forged");
});
