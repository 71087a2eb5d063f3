// RFC 6120 §7: resource binding, and the session request of RFC 3921.
import { describe, expect } from "vitest";
import { childOf } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind";
const NS_SESSION = "urn:ietf:params:xml:ns:xmpp-session";

const { story } = stage();

story(
  "RFC 6120 §7.6: without a resource the server makes one, another each time",
  { romeo: 0 },
  async ({ romeo }) => {
    const a = await romeo.comes();
    const b = await romeo.comes();
    expect(a.full).toMatch(new RegExp(`^${romeo.bare}/.{8,}$`));
    expect(a.resource).not.toBe(b.resource);
  },
  { covers: ["connect_SUITE:bind_server_generated_resource"] },
);

story("RFC 6120 §7.7: the resource that is asked for is given", { romeo: 0 }, async ({ romeo }) => {
  expect((await romeo.comes("orchard")).full).toBe(`${romeo.bare}/orchard`);
});

story("RFC 7622 §3.4: a resource keeps its case and its spaces", { romeo: 0 }, async ({ romeo }) => {
  expect((await romeo.comes("The Orchard ☾")).full).toBe(`${romeo.bare}/The Orchard ☾`);
});

story("RFC 6120 §7.6: an empty resource is as good as none", { romeo: 0 }, async ({ romeo }) => {
  expect((await romeo.comes("")).resource).not.toBe("");
});

for (const [what, resource] of [
  ["one too long", "x".repeat(1024)],
  ["one with a control character", "a&#x85;b"],
]) {
  story(
    `RFC 6120 §7.7.2.1: ${what} is a bad-request, and another can be tried`,
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      await c.authenticates();
      c.says(`<iq type="set" id="b"><bind xmlns="${NS_BIND}"><resource>${resource}</resource></bind></iq>`);
      await c.hears(
        `<iq type="error" id="b"><error type="modify"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
      );
      await c.binds("better");
    },
    { covers: ["mim_c2s_SUITE:invalid_resource_fails_to_log"] },
  );
}

for (const resource of ["balcony", "with:colon"]) {
  story(
    `RFC 6120 §7.7.2.2: a second "${resource}" replaces the first, whose stream ends with a conflict`,
    { romeo: 0, juliet: 1 },
    async ({ romeo, juliet }) => {
      const old = await romeo.comes(resource);
      const young = await romeo.comes(resource);
      await old.receivesStreamError("conflict");
      expect(young.full).toBe(`${romeo.bare}/${resource}`);
      juliet.sends`<message to="${young.full}"><body>Who are you now?</body></message>`;
      await young.receives`<message from="${juliet.full}"><body>Who are you now?</body></message>`;
    },
    {
      covers: [
        resource === "balcony"
          ? "connect_SUITE:same_resource_replaces_session"
          : "connect_SUITE:same_resource_replaces_session_with_colon",
        "connect_SUITE:clean_close_of_replaced_session",
      ],
    },
  );
}

story(
  "RFC 6120 §7.7.2.2: contacts see one session go and the other come",
  { romeo: 0, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    const old = await romeo.comes("balcony");
    await old.comesOnline();
    await befriend(old, juliet);
    const young = await romeo.comes("balcony");
    await old.receivesStreamError("conflict");
    await juliet.receives`<presence type="unavailable" from="${young.full}"/>`;
    young.sends`<presence><show>away</show></presence>`;
    await juliet.receives`<presence from="${young.full}" type="{none}"><show>away</show></presence>`;
  },
);

story("RFC 6120 §7.1: binding is not possible twice", { romeo: 1 }, async ({ romeo }) => {
  romeo.sends`<iq type="set" id="b2"><bind xmlns="${NS_BIND}"><resource>second</resource></bind></iq>`;
  await romeo.receives`<iq type="error" id="b2"/>`;
  romeo.sends`<message to="${romeo.full}" id="still"/>`;
  await romeo.receives`<message from="${romeo.full}" id="still"/>`;
});

story("RFC 6120 §7.6: binding needs authentication first", {}, async ({ stranger, server, door }) => {
  const c = await stranger().connects(server.target(door));
  await c.opens();
  c.says(`<iq type="set" id="b"><bind xmlns="${NS_BIND}"/></iq>`);
  await c.receivesStreamError("not-authorized");
});

story(
  "RFC 6121 §1.4: the session request of old clients is offered as optional, and answered with a result",
  { romeo: 1 },
  async ({ romeo }) => {
    const session = childOf(romeo.features!, "session", NS_SESSION);
    expect(session && childOf(session, "optional", NS_SESSION)).toBeDefined();
    romeo.sends`<iq type="set" id="s"><session xmlns="${NS_SESSION}"/></iq>`;
    await romeo.receives`<iq type="result" id="s"/>`;
  },
  { covers: ["mim_c2s_SUITE:verify_session_establishment_is_announced"] },
);

story("RFC 6121 §1.4: old clients address it to the server, which is the same", { romeo: 1 }, async ({ romeo }) => {
  romeo.sends`<iq type="set" id="s" to="localhost"><session xmlns="${NS_SESSION}"/></iq>`;
  await romeo.receives`<iq type="result" id="s"/>`;
});

describe("backwards_compatible_session = false", () => {
  const { story } = stage({
    listen: {
      c2s: [{ port: 0, ip_address: "127.0.0.1", backwards_compatible_session: false }],
      http: [
        {
          port: 0,
          ip_address: "127.0.0.1",
          handlers: {
            mongoose_websocket_handler: [{ host: "_", path: "/ws-xmpp", backwards_compatible_session: false }],
          },
        },
      ],
    },
  });

  story(
    "the session request is not offered",
    { romeo: 1 },
    async ({ romeo }) => {
      expect(childOf(romeo.features!, "session")).toBeUndefined();
      romeo.sends`<iq type="set" id="s"><session xmlns="${NS_SESSION}"/></iq>`;
      await romeo.receives`<iq type="error" id="s"/>`;
    },
    { covers: ["mim_c2s_SUITE:verify_session_establishment_is_not_announced"] },
  );
});
