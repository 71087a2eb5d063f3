// Log-ins that meet something else: accounts that go, passwords that change, tokens, blocklists, limits, resumption.
import { expect, vi } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { BlocklistContext } from "../../modules/mod_blocklist/index.ts";
import { FastTokenStore } from "../../modules/mod_fast_auth_token/store.ts";
import type { Client } from "../support/client.ts";
import { askFor, asks, enters, failure, NONE, proves, tokenIn } from "../support/fast.ts";
import { childOf } from "../support/match.ts";
import {
  arrives,
  authenticate,
  authenticates,
  bind,
  NS_BIND2,
  NS_SM,
  plainData,
  SECURE_DOORS,
  succeeds,
  UUID,
  userAgent,
} from "../support/sasl2.ts";
import { stage } from "../support/story.ts";

const { story } = stage({
  ...SECURE_DOORS,
  modules: { mod_fast_auth_token: {}, mod_blocklist: { backend: "rdbms" }, mod_privacy: {}, mod_blocking: {} },
});
const jidOf = (c: Client) => makeBare(c.local, c.domain);
const REMOVED = `<text xmlns="urn:ietf:params:xml:ns:xmpp-streams" xml:lang="en">The account was removed</text>`;
const BIND = `<iq xmlns='jabber:client' id='bind' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`;

story("who has logged in and not bound when his account goes gets no session", {}, async ({ actor, server, door }) => {
  for (const sasl2 of [false, true]) {
    const c = await actor("romeo");
    if (sasl2) {
      await arrives(c, server, door);
      await authenticates(c);
    } else {
      await c.connects(server.target(door));
      await c.opens();
      await c.authenticates();
    }
    expect(await server.node.removeUser(jidOf(c))).toBe(true);
    c.sendsRaw(BIND);
    await c.receivesStreamError("conflict", REMOVED);
    expect(server.node.sessionsOf(jidOf(c)).length).toBe(0);
  }
});

story("nor who is just being let in", {}, async ({ actor, server, door }) => {
  const c = await arrives(await actor("romeo"), server, door);
  // The features that are asked are slow, and the account goes meanwhile.
  let go: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const host = server.node.hostOf("localhost")!;
  const fold = host.hooks.fold.bind(host.hooks);
  const spy = vi
    .spyOn(host.hooks, "fold")
    .mockImplementation(((hook: never, acc: never, params: never) =>
      (hook as string) === "session_opening_allowed_for_user"
        ? gate.then(() => fold(hook, acc, params))
        : fold(hook, acc, params)) as never);
  c.sendsRaw(authenticate("PLAIN", plainData(c), bind()));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const removal = server.node.removeUser(jidOf(c));
  await new Promise((resolve) => setTimeout(resolve, 50));
  go();
  expect(await removal).toBe(true);
  await c.receivesStreamError("conflict", REMOVED);
  spy.mockRestore();
  expect(server.node.sessionsOf(jidOf(c)).length).toBe(0);
});

story(
  "a token is not given for a password that is none any more, nor for an account that is gone",
  {},
  async ({ actor, server, door }) => {
    for (const what of ["password", "account"]) {
      const c = await arrives(await actor("romeo"), server, door);
      let removal: Promise<boolean> | undefined;
      const give = FastTokenStore.prototype.give;
      const spy = vi.spyOn(FastTokenStore.prototype, "give").mockImplementation(async function (
        this: FastTokenStore,
        ...args
      ) {
        // What somebody else does while the token is on its way.
        if (what === "password")
          await server.node.hostOf("localhost")!.auth.setPassword(c.local, c.domain, "another one");
        else removal = server.node.removeUser(jidOf(c));
        return give.apply(this, args);
      });
      c.sendsRaw(authenticate("PLAIN", plainData(c), askFor(NONE[0]) + userAgent(UUID)));
      const answer = await c.next();
      spy.mockRestore();
      if (what === "password" && answer.name === "success") expect(tokenIn(answer)).toBeUndefined();
      await removal;
      const [row] = await server.node
        .db("rdbms")
        .query<{ n: number }>("SELECT count(*) AS n FROM fast_auth_token WHERE username = ?", [c.local]);
      expect(Number(row.n)).toBe(0);
      c.tally.assertions++;
    }
  },
);

story("a token does not let in who is kept out; when he is let in again it is good", {}, async (scene) => {
  const { c, token } = await asks(scene, NONE[0]);
  const { store } = scene.server.node.hostOf("localhost")!.modules.get("mod_blocklist")!.ctx as BlocklistContext;
  await store.block(jidOf(c), undefined);
  const out = await proves(c, scene, { token, mechanism: NONE[0] });
  await out.hears(failure("not-authorized", "<text>No session is allowed</text>"));
  await store.unblock(jidOf(c));
  await enters(c, scene, { token, mechanism: NONE[0] });
});

story(
  "XEP-0386: what waits for a user comes after <bound/>, to a client that begins inactive and with copies",
  { juliet: 1 },
  async ({ juliet, actor, server, door, another }) => {
    const c = await actor("romeo");
    juliet.says(`<message to="${c.bare}" type="chat" id="m"><body>Hi</body></message>`);
    await juliet.settled();
    await arrives(c, server, door);
    const success = await authenticates(
      c,
      bind(
        `<enable xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/><enable xmlns='${NS_SM}' resume='true'/>`,
      ),
    );
    expect(childOf(childOf(success, "bound", NS_BIND2)!, "enabled", NS_SM)).toBeDefined();
    c.managed = true;
    c.says("<presence/>");
    await c.settled();
    expect(c.waiting.map((e) => e.name)).toEqual([]);
    // A copy, to one that has never said that it wants some but inline.
    const d = another(c);
    await arrives(d, server, door);
    await authenticates(d, bind());
    d.says(`<message to="${juliet.full}" type="chat" id="n"><body>Hi</body></message>`);
    await juliet.hears(`<message id="n"/>`);
    await c.settled();
    c.says(`<active xmlns='urn:xmpp:csi:0'/>`);
    const came = await c.settles();
    expect(came.map((e) => `${e.name} ${e.attrs["from"]}`)).toEqual([
      `message ${juliet.full}`,
      `presence ${c.full}`,
      `message ${c.bare}`,
    ]);
  },
);

story(
  "XEP-0198 §5 inline: in the middle of a delivery everything comes once",
  { juliet: 1 },
  async ({ juliet, actor, server, door, another }) => {
    const c = await arrives(await actor("romeo"), server, door);
    const success = await authenticates(c, bind(`<enable xmlns='${NS_SM}' resume='true'/>`));
    const id = childOf(childOf(success, "bound", NS_BIND2)!, "enabled", NS_SM)!.attrs["id"];
    c.managed = true;
    c.says("<presence/>");
    await c.skipsTo((e) => e.name === "presence");
    const N = 80;
    for (let n = 0; n < N; n++)
      juliet.says(`<message to="${c.bare}" type="chat" id="m${n}"><body>${n}</body></message>`);
    const again = another(c);
    await arrives(again, server, door);
    c.wire.cut();
    again.sendsRaw(authenticate("PLAIN", plainData(again), `<resume xmlns='${NS_SM}' previd='${id}' h='1'/>`));
    const done = await succeeds(again);
    expect(childOf(done, "resumed", NS_SM)).toBeDefined();
    await juliet.settled();
    again.managed = true;
    await again.settled();
    const ids = again.waiting.filter((e) => e.name === "message").map((e) => e.attrs["id"]);
    expect(ids).toEqual(Array.from({ length: N }, (_, n) => `m${n}`));
    await juliet.receivesNothing();
  },
);

story(
  "XEP-0198 §5: one who was blocked while he was away is blocked after resumption",
  { juliet: 1 },
  async ({ juliet, actor, server, door, another }) => {
    const c = await (await actor("romeo")).logsIn(server.target(door));
    await c.comesOnline();
    await c.managesStream();
    await c.breaks();
    const d = await another(c).logsIn(server.target(door), "other");
    d.says(`<iq type="set" id="b"><block xmlns="urn:xmpp:blocking"><item jid="${juliet.bare}"/></block></iq>`);
    await d.skipsTo((e) => e.name === "iq" && e.attrs["type"] === "result");
    juliet.says(`<message to="${c.full}" type="chat" id="m"><body>Hi</body></message>`);
    await juliet.hears(`<message type="error" id="m"/>`);
    const again = another(c);
    await again.connects(server.target(door));
    await again.opens();
    await again.authenticates();
    again.sendsRaw(`<resume xmlns='${NS_SM}' previd='${c.resumeId}' h='0'/>`);
    await again.skipsTo((e) => e.name === "resumed");
    again.managed = true;
    await again.settled();
    // The push that it has missed is there; no message.
    expect(again.waiting.map((e) => e.name)).toEqual(["iq"]);
    juliet.says(`<message to="${c.full}" type="chat" id="m"><body>Hi</body></message>`);
    await juliet.hears(`<message type="error" id="m"/>`);
  },
);
