// Log-ins in one step, against the limits that hold for all log-ins.
import { describe, expect } from "vitest";
import { askFor, failure, NONE, proves, tokenIn } from "../support/fast.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import {
  arrives,
  authenticate,
  authenticates,
  bind,
  NS_BIND2,
  NS_SM,
  offer,
  plainData,
  SECURE_DOORS,
  UUID,
  userAgent,
} from "../support/sasl2.ts";
import { stage } from "../support/story.ts";

const SM = `<enable xmlns='${NS_SM}' resume='true'/>`;
const smId = (success: XElement): string =>
  childOf(childOf(success, "bound", NS_BIND2)!, "enabled", NS_SM)!.attrs["id"];

describe("max_user_sessions", () => {
  const { story } = stage({
    ...SECURE_DOORS,
    access: { max_user_sessions: [{ acl: "all", value: 2 }] },
    modules: { mod_fast_auth_token: {} },
  });

  story(
    "the oldest session gives way; what it has not acknowledged goes to the others once, and it cannot be resumed",
    { juliet: 1 },
    async ({ juliet, actor, another, server, door }) => {
      const one = await arrives(await actor("romeo"), server, door);
      const id = smId(await authenticates(one, bind(SM)));
      one.managed = true;
      one.says("<presence/>");
      await one.skipsTo((e) => e.name === "presence");
      juliet.says(`<message to="${one.bare}" type="chat" id="m"><body>Hi</body></message>`);
      await one.hears(`<message id="m"/>`);
      const two = await arrives(another(one), server, door);
      await authenticates(two, bind());
      two.says("<presence/>");
      await two.skipsTo((e) => e.name === "presence");
      const three = await arrives(another(one), server, door);
      await authenticates(three, bind());
      await one.skipsTo((e) => e.name === "error");
      await two.skipsTo((e) => e.name === "message" && e.attrs["id"] === "m");
      expect((await two.settles()).filter((e) => e.name === "message")).toEqual([]);
      expect(await three.settles()).toEqual([]);
      const again = await arrives(another(one), server, door);
      again.sendsRaw(
        authenticate("PLAIN", plainData(again), `<resume xmlns='${NS_SM}' previd='${id}' h='1'/>${bind()}`),
      );
      const success = await again.next();
      expect(childOf(success, "failed", NS_SM)).toBeDefined();
      expect(childOf(success, "bound", NS_BIND2)).toBeDefined();
      again.tally.assertions++;
    },
  );

  story("a client that comes again by its id takes the place of its own session, not of another", {}, async (scene) => {
    const { actor, another, server, door } = scene;
    const phone = await arrives(await actor("romeo"), server, door);
    await authenticates(phone, bind("", "phone") + userAgent(UUID));
    const laptop = await arrives(another(phone), server, door);
    await authenticates(laptop, bind("", "laptop") + userAgent("aaaaaaaa-4d72-4749-b3d3-740edbf87770"));
    const again = await arrives(another(phone), server, door);
    await authenticates(again, bind("", "phone") + userAgent(UUID));
    await phone.skipsTo((e) => e.name === "error");
    await laptop.receivesNothing();
    // The same id at another account is another client.
    const other = await arrives(await actor("juliet"), server, door);
    await authenticates(other, bind("", "phone") + userAgent(UUID));
    await again.receivesNothing();
  });
});

describe("who may not log in here", () => {
  const { story } = stage({
    listen: {
      ...(SECURE_DOORS["listen"] as object),
      c2s: ["starttls_required", "tls"].flatMap((mode, n) => [
        ...(n === 0 ? [{ port: 0, ip_address: "127.0.0.1", access: "nobody" }] : []),
        { port: 0, ip_address: "127.0.0.1", access: "nobody", tls: { mode, verify_mode: "none" } },
      ]) as never,
    },
    access: { nobody: [{ acl: "all", value: "deny" }] },
    modules: { mod_fast_auth_token: {} },
  });

  story(
    "is refused in one step too, has no session, and his token is no way around it",
    {},
    async (scene) => {
      const { actor, server, door } = scene;
      const c = await arrives(await actor("romeo"), server, door);
      c.sendsRaw(authenticate("PLAIN", plainData(c), bind() + askFor(NONE[0]) + userAgent(UUID)));
      await c.hears(failure("not-authorized", "<text>No session is allowed</text>"));
      expect(server.node.sessions.count).toBe(0);
      // Without a session asked for inline there is a token; it opens none either.
      const d = await arrives(scene.another(c), server, door);
      const token = tokenIn(await authenticates(d, askFor(NONE[0]) + userAgent(UUID)));
      if (token !== undefined) {
        const e = await proves(c, scene, { token, mechanism: NONE[0] });
        await e.hears(failure("not-authorized", "<text>No session is allowed</text>"));
      }
      expect(server.node.sessions.count).toBe(0);
    },
    { door: "tcp" },
  );
});

describe("anonymous users", () => {
  const { story } = stage({
    ...SECURE_DOORS,
    auth: { methods: ["anonymous"], anonymous: { protocol: "both" }, internal: null, password: null },
    modules: { mod_fast_auth_token: {} },
  });

  story("log in and bind in one step, get no token, and leave nothing", {}, async ({ stranger, server, door }) => {
    const c = await arrives(stranger("x"), server, door);
    const names = childrenOf(offer(c)!).filter((e) => e.name === "mechanism");
    expect(names.map((e) => e.children.join(""))).toContain("ANONYMOUS");
    c.sendsRaw(authenticate("ANONYMOUS", "", bind(SM) + askFor(NONE[0]) + userAgent(UUID)));
    const success = await c.next();
    expect(tokenIn(success)).toBeUndefined();
    expect(childOf(success, "bound", NS_BIND2)).toBeDefined();
    const rows = await server.node.db("rdbms").query("SELECT username FROM fast_auth_token");
    expect(rows).toEqual([]);
    c.tally.assertions++;
  });
});
