import { beforeEach, expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import type { ModuleContext, PersonalStore } from "../../../core/module.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modLast from "../../../modules/mod_last/index.ts";
import { FakeServer } from "../../support/fake-server.ts";
import { session } from "../core/operations/fake-node.ts";
import { runner } from "./operations.ts";

const ask = (to: string) => `<iq type='get' id='l' to='${to}'><query xmlns='jabber:iq:last'/></iq>`;
const condition = (texts: string[]) => /<error[^>]*><([\w-]+)/.exec(texts.at(-1) ?? "")?.[1];

let server: FakeServer;
let ctx: ModuleContext;
beforeEach(async () => {
  server = new FakeServer({ users: ["romeo", "juliet"] });
  ctx = await server.startModule(modLast);
  // Romeo may see the presence of Juliet, and of nobody else.
  server.hook({
    roster_get_jid_info: (info, { jid, contact }) =>
      jid.local === "juliet" && contact.local === "romeo" ? { ...info, subscription: "from" } : info,
  });
});

async function julietWasHere(status = "Good night") {
  const juliet = server.connect("juliet@localhost/balcony");
  await server.host.hooks.notify("unset_presence", { session: juliet, status });
  await juliet.ends();
  server.clock.advance(90_000);
}

test("XEP-0012: a contact learns when an account was last seen, and its status then", async () => {
  await julietWasHere();
  const romeo = server.connect("romeo@localhost/orchard");
  await romeo.sends(ask("juliet@localhost"));
  romeo.hears(
    "<iq from='juliet@localhost' id='l' to='romeo@localhost/orchard' type='result'><query seconds='90' xmlns='jabber:iq:last'>Good night</query></iq>",
  );
});

test("an account that is available was seen 0 seconds ago", async () => {
  server.connect("juliet@localhost/balcony").setPresence(viewText("<presence/>"), 0);
  const romeo = server.connect("romeo@localhost/orchard");
  await romeo.sends(ask("juliet@localhost"));
  romeo.hears(
    "<iq from='juliet@localhost' id='l' to='romeo@localhost/orchard' type='result'><query seconds='0' xmlns='jabber:iq:last'/></iq>",
  );
});

test("a stranger is forbidden to know", async () => {
  await julietWasHere();
  const tybalt = server.connect("tybalt@localhost/vault");
  await tybalt.sends(ask("juliet@localhost"));
  expect(condition(tybalt.received())).toBe("forbidden");
});

test("§4: a stranger's question does not reach a session", async () => {
  const juliet = server.connect("juliet@localhost/balcony");
  const tybalt = server.connect("tybalt@localhost/vault");
  await tybalt.sends(ask("juliet@localhost/balcony"));
  juliet.hears();
  expect(condition(tybalt.received())).toBe("forbidden");
});

test("a contact's question reaches a session", async () => {
  const juliet = server.connect("juliet@localhost/balcony");
  await server.connect("romeo@localhost/orchard").sends(ask("juliet@localhost/balcony"));
  expect(juliet.received()).toHaveLength(1);
});

test("the server tells how long it has been running", async () => {
  const romeo = server.connect("romeo@localhost/orchard");
  await romeo.sends(ask("localhost"));
  expect(romeo.received()[0]).toMatch(/type='result'><query seconds='\d+'/);
});

test("a session that was never available is stored when it ends", async () => {
  await server.connect("juliet@localhost/balcony").ends();
  const rows = (await (ctx.store as PersonalStore).personalData(parseBareJid("juliet@localhost")))[0].rows;
  expect(rows).toEqual([[String(server.now() / 1000), ""]]);
});

test("the status of the unavailable presence is not overwritten by the end of the session", async () => {
  await julietWasHere("Gone to Mantua");
  const { run } = runner(server, modLast, ctx);
  expect(await run('{ last { getLast(user: "juliet@localhost") { status } } }')).toEqual({
    last: { getLast: { status: "Gone to Mantua" } },
  });
});

test("setLast and getLast agree", async () => {
  const { run } = runner(server, modLast, ctx);
  const at = "2022-04-17T12:58:30.000000Z";
  const fields = "{ user timestamp status }";
  const expected = { user: "romeo@localhost", timestamp: at, status: "Exiled" };
  expect(
    await run(`mutation { last { setLast(user: "romeo@localhost", timestamp: "${at}", status: "Exiled") ${fields} } }`),
  ).toEqual({ last: { setLast: expected } });
  expect(await run(`{ last { getLast(user: "romeo@localhost") ${fields} } }`)).toEqual({ last: { getLast: expected } });
});

test.each([
  ['getLast(user: "nobody@localhost") { status }', "user_does_not_exist"],
  ['getLast(user: "romeo@localhost") { status }', "last_not_found"],
  ['countActiveUsers(domain: "elsewhere")', "domain_not_found"],
  ['listOldUsers(domain: "elsewhere", timestamp: "2026-01-01T00:00:00Z") { jid }', "domain_not_found"],
])("%s is refused with %s", async (query, code) => {
  const { run } = runner(server, modLast, ctx);
  expect(await run(`{ last { ${query} } }`)).toEqual([code]);
});

test("active users are those seen after the time", async () => {
  await julietWasHere();
  const { run } = runner(server, modLast, ctx);
  const count = (at: string) => run(`{ last { countActiveUsers(domain: "localhost", timestamp: "${at}") } }`);
  expect(await count("2026-11-22T11:59:00Z")).toEqual({ last: { countActiveUsers: 1 } });
  expect(await count("2026-11-22T12:00:00Z")).toEqual({ last: { countActiveUsers: 0 } });
});

test("old users are those last seen before the time or never, unless they are connected; removing takes them", async () => {
  await julietWasHere();
  server.accounts.passwords.set("nurse@localhost", "secret");
  const { run, node } = runner(server, modLast, ctx);
  node.sessionList.push(session("romeo@localhost/orchard"));
  const old = (at: string) => run(`{ last { listOldUsers(domain: "localhost", timestamp: "${at}") { jid } } }`);
  expect(await old("2026-11-22T12:00:01Z")).toEqual({
    last: { listOldUsers: [{ jid: "juliet@localhost" }, { jid: "nurse@localhost" }] },
  });
  expect(await old("2026-11-22T12:00:00Z")).toEqual({ last: { listOldUsers: [{ jid: "nurse@localhost" }] } });
  await run('mutation { last { removeOldUsers(timestamp: "2026-11-22T12:00:01Z") { jid } } }');
  expect([...node.users.keys()]).toEqual(["romeo@localhost"]);
});

test("a user sets and reads his own", async () => {
  const { run } = runner(server, modLast, ctx, "romeo@localhost");
  await run('mutation { last { setLast(status: "Here") { status } } }');
  expect(await run("{ last { getLast { user status } } }")).toEqual({
    last: { getLast: { user: "romeo@localhost", status: "Here" } },
  });
});
