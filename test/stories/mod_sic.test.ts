// XEP-0279: a client asks where it comes from.
import { expect } from "vitest";
import { childOf, show, textOf } from "../support/match.ts";
import { stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_sic: {} } });

for (const to of ["", `to="localhost"`]) {
  story(
    `XEP-0279 §2: the server tells a client its address and port (${to === "" ? "no address" : to})`,
    { alice: 1 },
    async ({ alice }) => {
      alice.says(`<iq type="get" id="s" ${to}><address xmlns="urn:xmpp:sic:1"/></iq>`);
      const answer = await alice.receives`<iq type="result" id="s"/>`;
      const address = childOf(answer, "address", "urn:xmpp:sic:1")!;
      expect(textOf(childOf(address, "ip", "urn:xmpp:sic:1")!)).toBe("127.0.0.1");
      expect(Number(textOf(childOf(address, "port", "urn:xmpp:sic:1")!))).toBeGreaterThan(0);
    },
    { covers: ["sic_SUITE:user_sic"] },
  );
}

story(
  "XEP-0279 §5: the address of somebody else is not told",
  { alice: 1, bob: 1 },
  async ({ alice, bob }) => {
    for (const to of [bob.bare]) {
      alice.says(`<iq type="get" id="s" to="${to}"><address xmlns="urn:xmpp:sic:1"/></iq>`);
      await alice.receives`<iq type="error" id="s"><error type="auth"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
    }
  },
  { covers: ["sic_SUITE:forbidden_user_sic"] },
);

story("another element of the namespace is a bad request", { alice: 1 }, async ({ alice }) => {
  alice.sends`<iq type="get" id="s"><ip xmlns="urn:xmpp:sic:1"/></iq>`;
  await alice.receives`<iq type="error" id="s"><error type="modify"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
});

story("XEP-0279 §3: the feature is announced", { alice: 1 }, async ({ alice }) => {
  alice.sends`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`;
  const answer = await alice.receives`<iq type="result" id="d"/>`;
  expect(show(answer)).toContain(`<feature var="urn:xmpp:sic:1"/>`);
});
