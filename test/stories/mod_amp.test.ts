// XEP-0079: what a sender is told about the delivery of a message by its rules.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, show, type XElement } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";
import type { Changes } from "../support/story-server.ts";

const NS = "http://jabber.org/protocol/amp";
type Rule = [condition: string, value: string, action: string];
const suite = covering("amp_big_SUITE");

const rule = ([condition, value, action]: Rule): string =>
  `<rule condition="${condition}" value="${value}" action="${action}"/>`;
const amp = (to: string, body: string, ...rules: Rule[]): string =>
  `<message to="${to}" type="chat" id="amp-1"><body>${body}</body><amp xmlns="${NS}">${rules.map(rule).join("")}</amp></message>`;

const rulesIn = (list: XElement) =>
  childrenOf(list).map(({ attrs }) => [attrs["condition"], attrs["value"], attrs["action"]]);

/** The sender is told, by the server, that a rule was met; nothing of the message comes back with it. */
async function notified(sender: Client, to: string, met: Rule): Promise<void> {
  await sender.hears(
    `<message from="${sender.domain}" to="${sender.full}" id="amp-1"><amp xmlns="${NS}" status="notify" from="${sender.full}" to="${to}">${rule(met)}</amp></message>`,
  );
}
/** The sender is told that a rule has kept the message. */
async function failed(sender: Client, to: string, met: Rule): Promise<void> {
  const e = await sender.hears(`<message from="${sender.domain}" to="${sender.full}" id="amp-1" type="error"/>`);
  const status = childOf(e, "amp", NS)!;
  expect(status.attrs).toMatchObject({ status: "error", from: sender.full, to });
  expect(rulesIn(status)).toEqual([met]);
  const error = childOf(e, "error")!;
  expect(error.attrs).toMatchObject({ code: "500", type: "modify" });
  expect(childOf(error, "undefined-condition", "urn:ietf:params:xml:ns:xmpp-stanzas")).toBeDefined();
  expect(rulesIn(childOf(error, "failed-rules", `${NS}#errors`)!)).toEqual([met]);
}
/** The sender is told that rules cannot be followed. */
async function refused(sender: Client, fault: string, condition: string, code: string, rules: Rule[]): Promise<void> {
  const e = await sender.hears(`<message from="${sender.domain}" to="${sender.full}" id="amp-1" type="error"/>`);
  const thin = childOf(e, "amp", NS)!;
  expect(Object.keys(thin.attrs).filter((name) => name !== "xmlns")).toEqual([]);
  const error = childOf(e, "error")!;
  expect(error.attrs).toMatchObject({ code, type: "modify" });
  expect(childOf(error, condition, "urn:ietf:params:xml:ns:xmpp-stanzas")).toBeDefined();
  for (const list of [thin, childOf(error, fault, NS)!]) {
    expect(rulesIn(list)).toEqual(rules);
  }
}
const unavailable = (sender: Client) =>
  sender.hears(
    `<message type="error" id="amp-1"><error code="503" type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
  );
const bodiesOf = async (c: Client): Promise<(string | XElement)[]> =>
  (await c.settles()).filter((e) => e.name === "message").map((e) => childOf(e, "body")!.children[0]);

describe("what is announced, and what is refused", () => {
  const { story } = stage({ modules: { mod_amp: {}, mod_offline: null, mod_offline_stub: {} } });

  story(
    "XEP-0079 §2.1.1: support is announced, with actions and conditions, and as a stream feature (§8)",
    { alice: 1 },
    async ({ alice }) => {
      const info = async (node: string) => {
        alice.says(
          `<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"${node}/></iq>`,
        );
        return show(await alice.receives`<iq type="result" id="d"/>`);
      };
      expect(await info("")).toContain(`<feature var="${NS}"/>`);
      const all = await info(` node="${NS}"`);
      for (const what of [
        "",
        "?action=notify",
        "?action=error",
        "?action=drop",
        "?condition=deliver",
        "?condition=match-resource",
      ]) {
        expect(all).toContain(`<feature var="${NS}${what}"/>`);
      }
      expect(all).not.toContain("alert");
      expect(all).not.toContain("expire-at");
      expect(childOf(alice.features!, "amp", "http://jabber.org/features/amp")).toBeDefined();
    },
    suite("initial_service_discovery_test", "actions_and_conditions_discovery_test"),
  );

  story(
    "XEP-0079 §6: rules that cannot be followed are named, and the message goes no further",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const alert: Rule = ["deliver", "direct", "alert"];
      alice.says(amp(bob.full, "A paradoxical payload!", alert));
      await refused(alice, "unsupported-actions", "bad-request", "400", [alert]);
      const expire: Rule = ["expire-at", "2020-06-06T12:20:20Z", "notify"];
      alice.says(amp(bob.full, "Never fade away!", ["deliver", "direct", "notify"], expire));
      await refused(alice, "unsupported-conditions", "bad-request", "400", [expire]);
      const broken: Rule[] = [
        ["broken", "rule", "spec"],
        ["also_broken", "rule", "spec"],
      ];
      alice.says(amp(bob.full, "Break all the rules!", ...broken));
      await refused(alice, "invalid-rules", "not-acceptable", "405", broken);
      const value: Rule = ["deliver", "perhaps", "notify"];
      alice.says(amp(bob.full, "Maybe", value));
      await refused(alice, "invalid-rules", "not-acceptable", "405", [value]);
      await bob.receivesNothing();
    },
    suite("unsupported_actions_test", "unsupported_conditions_test", "unacceptable_rules_test"),
  );

  story("what is no set of rules is passed on", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    alice.says(`<message to="${bob.full}" type="chat"><body>1</body><amp xmlns="${NS}"/></message>`);
    alice.says(
      `<message to="${bob.full}" type="chat"><body>2</body><amp xmlns="${NS}" status="notify">${rule(["broken", "r", "s"])}</amp></message>`,
    );
    await bob.receives`<message><body>1</body></message>`;
    await bob.receives`<message><body>2</body></message>`;
    await alice.receivesNothing();
  });
});

describe("match-resource", () => {
  const { story } = stage({ modules: { mod_amp: {} } });

  story(
    "any, to a resource",
    { alice: 1, bob: 3 },
    async ({ alice, bob: [bob] }) => {
      alice.says(amp(bob.full, "hot-dogs", ["match-resource", "any", "notify"]));
      await notified(alice, bob.full, ["match-resource", "any", "notify"]);
      await bob.receives`<message><body>hot-dogs</body></message>`;
    },
    suite("notify_match_resource_any_test"),
  );

  story(
    "exact, to a resource that is there",
    { alice: 1, bob: 3 },
    async ({ alice, bob: [, , bob] }) => {
      alice.says(amp(bob.full, "battery", ["match-resource", "other", "error"], ["match-resource", "exact", "notify"]));
      await notified(alice, bob.full, ["match-resource", "exact", "notify"]);
      await bob.receives`<message><body>battery</body></message>`;
    },
    suite("notify_match_resource_exact_test"),
  );

  story(
    "other, to a resource that is not there",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const absent = `${bob.bare}/blahblahblah_resource`;
      alice.says(amp(absent, "another name", ["match-resource", "other", "notify"]));
      await notified(alice, absent, ["match-resource", "other", "notify"]);
      await bob.receives`<message><body>another name</body></message>`;
    },
    suite("notify_match_resource_other_test"),
  );

  story(
    "other, to the account",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      alice.says(amp(bob.bare, "another name", ["match-resource", "other", "notify"]));
      await notified(alice, bob.bare, ["match-resource", "other", "notify"]);
      await bob.receives`<message><body>another name</body></message>`;
    },
    suite("notify_match_resource_other_bare_test"),
  );

  story("error and drop keep the message", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    alice.says(amp(`${bob.bare}/elsewhere`, "e", ["match-resource", "other", "error"]));
    await failed(alice, `${bob.bare}/elsewhere`, ["match-resource", "other", "error"]);
    alice.says(amp(`${bob.bare}/elsewhere`, "d", ["match-resource", "other", "drop"]));
    await alice.receivesNothing();
    await bob.receivesNothing();
  });

  story("XEP-0079 §3.3.3: not applied per hop", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    alice.says(
      `<message to="${bob.full}" type="chat"><body>b</body><amp xmlns="${NS}" per-hop="true">${rule(["match-resource", "any", "error"])}</amp></message>`,
    );
    await bob.receives`<message><body>b</body></message>`;
    await alice.receivesNothing();
  });
});

/** Each is told with one rule of each value, and with all three. */
const rulesFor = (action: string): Rule[][] => {
  const [direct, stored, none] = ["direct", "stored", "none"].map((value): Rule => ["deliver", value, action]);
  return [[direct], [stored], [none], [direct, stored, none]];
};
const has = (rules: readonly Rule[], value: string): boolean => rules.some((r) => r[1] === value);

for (const storage of ["none", "offline"] as const) {
  const there = storage === "offline";
  describe(`deliver, ${there ? "with" : "without"} offline storage`, () => {
    const modules: Changes = there ? { mod_amp: {} } : { mod_amp: {}, mod_offline: null, mod_offline_stub: {} };
    const { story } = stage({ modules });

    for (const rules of rulesFor("notify")) {
      const title = (what: string): string => `notify, ${rules.map((r) => r[1]).join(" or ")}: ${what}`;

      story(
        title("to a client that is there"),
        { alice: 1, bob: 1 },
        async ({ alice, bob }) => {
          for (const to of [bob.full, bob.bare]) {
            alice.says(amp(to, "I want to be sure you get this!", ...rules));
            await bob.receives`<message><body>I want to be sure you get this!</body></message>`;
            if (has(rules, "direct")) await notified(alice, to, ["deliver", "direct", "notify"]);
            await alice.receivesNothing();
          }
        },
        suite("notify_deliver_to_online_user_test", "notify_deliver_to_online_user_bare_jid_test"),
      );

      story(
        title("to a client whose connection is broken"),
        { alice: 1, bob: 1 },
        async ({ alice, bob }) => {
          await bob.managesStream();
          await bob.breaks();
          alice.says(amp(bob.full, "Recipient connection breaks", ...rules));
          if (has(rules, "none")) await notified(alice, bob.full, ["deliver", "none", "notify"]);
          await alice.receivesNothing();
        },
        suite("notify_deliver_to_online_user_broken_connection_test"),
      );

      story(
        title("to who is not there"),
        { alice: 1, bob: 0 },
        async ({ alice, bob }) => {
          const end = there ? "stored" : "none";
          alice.says(amp(bob.bare, "A message in a bottle...", ...rules));
          if (has(rules, end)) await notified(alice, bob.bare, ["deliver", end, "notify"]);
          await alice.receivesNothing();
          const his = await bob.comes();
          his.sends`<presence/>`;
          expect(await bodiesOf(his)).toEqual(there ? ["A message in a bottle..."] : []);
          // It was told once, and is not told again when the stored message is delivered.
          await alice.receivesNothing();
        },
        suite("notify_deliver_to_offline_user_test"),
      );

      story(
        title("to who does not exist"),
        { alice: 1 },
        async ({ alice, stranger }) => {
          const to = stranger().bare;
          alice.says(amp(to, "A message in a bottle...", ...rules));
          if (has(rules, "none")) await notified(alice, to, ["deliver", "none", "notify"]);
          await unavailable(alice);
          await alice.receivesNothing();
        },
        suite("notify_deliver_to_stranger_test"),
      );

      story(
        title("to a domain that nobody serves"),
        { alice: 1 },
        async ({ alice }) => {
          alice.says(amp("stranger@unknown.domain", "Msg to unknown domain", ...rules));
          if (has(rules, "none")) await notified(alice, "stranger@unknown.domain", ["deliver", "none", "notify"]);
          await alice.receives`<message type="error" id="amp-1"><error code="404" type="cancel"><remote-server-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
          await alice.receivesNothing();
        },
        suite("notify_deliver_to_unknown_domain_test"),
      );
    }

    for (const action of ["error", "drop"]) {
      for (const rules of rulesFor(action)) {
        const title = (what: string): string => `${action}, ${rules.map((r) => r[1]).join(" or ")}: ${what}`;
        const kept = async (sender: Client, to: string, value: string): Promise<void> => {
          if (action === "error") await failed(sender, to, ["deliver", value, action]);
        };

        story(
          title("to a client that is there"),
          { alice: 1, bob: 1 },
          async ({ alice, bob }) => {
            alice.says(amp(bob.full, "It might not come", ...rules));
            if (has(rules, "direct")) await kept(alice, bob.full, "direct");
            else await bob.receives`<message><body>It might not come</body></message>`;
            await alice.receivesNothing();
            await bob.receivesNothing();
          },
          suite(`${action}_deliver_to_online_user_test`),
        );

        story(
          title("to who is not there"),
          { alice: 1, bob: 0 },
          async ({ alice, bob }) => {
            const end = there ? "stored" : "none";
            alice.says(amp(bob.bare, "A message in a bottle...", ...rules));
            if (has(rules, end)) await kept(alice, bob.bare, end);
            await alice.receivesNothing();
            const his = await bob.comes();
            his.sends`<presence/>`;
            expect(await bodiesOf(his)).toEqual(there && !has(rules, end) ? ["A message in a bottle..."] : []);
          },
          suite(`${action}_deliver_to_offline_user_test`),
        );

        story(
          title("to who does not exist"),
          { alice: 1 },
          async ({ alice, stranger }) => {
            const to = stranger().bare;
            alice.says(amp(to, "This cannot succeed", ...rules));
            if (has(rules, "none")) await kept(alice, to, "none");
            else await unavailable(alice);
            await alice.receivesNothing();
          },
          suite(`${action}_deliver_to_stranger_test`),
        );
      }
    }

    story(
      "of several rules the one that is met applies",
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        alice.says(
          amp(
            bob.bare,
            "One of yours",
            ["deliver", "none", "error"],
            ["deliver", "stored", "error"],
            ["deliver", "direct", "notify"],
          ),
        );
        await bob.receives`<message><body>One of yours</body></message>`;
        await notified(alice, bob.bare, ["deliver", "direct", "notify"]);
        await alice.receivesNothing();
      },
      suite("last_rule_applies_test"),
    );
  });
}

describe("with other features", () => {
  const { story } = stage({ modules: { mod_amp: {}, mod_csi: { buffer_max: 5 } } });

  story(
    "XEP-0352: what waits for an inactive client is delivered when it is written",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await bob.managesStream(false);
      bob.sendsRaw(`<inactive xmlns="urn:xmpp:csi:0"/>`);
      await bob.receivesNothing();
      alice.says(amp(bob.full, "Wake up", ["deliver", "direct", "notify"]));
      await alice.receivesNothing();
      bob.sendsRaw(`<active xmlns="urn:xmpp:csi:0"/>`);
      await bob.receives`<message><body>Wake up</body></message>`;
      await notified(alice, bob.full, ["deliver", "direct", "notify"]);
    },
  );

  story("XEP-0334: what is not to be stored is not delivered", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    alice.says(
      amp(bob.bare, "Now or never", ["deliver", "stored", "notify"], ["deliver", "none", "notify"]).replace(
        "</message>",
        `<no-store xmlns="urn:xmpp:hints"/></message>`,
      ),
    );
    await notified(alice, bob.bare, ["deliver", "none", "notify"]);
    await unavailable(alice);
  });

  story("XEP-0280: a copy is no delivery of its own", { alice: 1, bob: 2 }, async ({ alice, bob: [laptop, phone] }) => {
    await phone.enables("carbons");
    alice.says(amp(laptop.full, "Once", ["deliver", "direct", "notify"]));
    await laptop.receives`<message><body>Once</body></message>`;
    await phone.receives`<message from="${laptop.bare}"/>`;
    await notified(alice, laptop.full, ["deliver", "direct", "notify"]);
    await alice.receivesNothing();
  });
});

describe("contacts_only", () => {
  const { story } = stage({ modules: { mod_amp: { contacts_only: true } } });

  story(
    "XEP-0079 §9: rules about somebody whose presence one may not see are not accepted, there or not",
    { alice: 1, bob: 1, carol: 0 },
    async ({ alice, bob, carol, stranger, befriend }) => {
      const met: Rule = ["deliver", "direct", "notify"];
      for (const to of [bob.full, bob.bare, carol.bare, stranger().bare]) {
        alice.says(amp(to, "Are you there?", met));
        await refused(alice, "invalid-rules", "not-acceptable", "405", [met]);
      }
      await bob.receivesNothing();
      await befriend(alice, bob);
      alice.says(amp(bob.full, "Are you there?", met));
      await bob.receives`<message><body>Are you there?</body></message>`;
      await notified(alice, bob.full, met);
    },
  );
});
