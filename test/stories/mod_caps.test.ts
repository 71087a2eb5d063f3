// XEP-0115, XEP-0390: the server learns what its clients can do from the hashes in their presence.
import { describe, expect } from "vitest";
import { capabilityHash, verification } from "../../core/disco/caps.ts";
import { parseFullJid } from "../../core/jid.ts";
import { featuresOf } from "../../modules/mod_caps/index.ts";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import { covering, type Scene, stage } from "../support/story.ts";

const NS_INFO = "http://jabber.org/protocol/disco#info";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
type Version = "v1" | "v2";
const covers = covering("disco_and_caps_SUITE");

let made = 0;
/** A feature that no other story has. */
const fresh = (): string => `urn:test:feature:${process.pid}:${++made}`;
const all = (features: readonly string[]) => [NS_INFO, "http://jabber.org/protocol/disco#items", ...features];

/** What a client with these features puts into its presence, and the node it is asked for. */
function caps(version: Version, features: readonly string[]) {
  const info = { identities: [{ category: "client", type: "pc", name: "Psi" }], features: all(features), forms: [] };
  if (version === "v1") {
    const hash = verification(info);
    const c = `<c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="urn:client" ver="${hash}"/>`;
    return { c, node: `urn:client#${hash}` };
  }
  const hash = capabilityHash(info);
  const c = `<c xmlns="urn:xmpp:caps"><hash xmlns="urn:xmpp:hashes:2" algo="sha-256">${hash}</hash></c>`;
  return { c, node: `urn:xmpp:caps#sha-256.${hash}` };
}

const query = (features: readonly string[], more = "") =>
  `<query xmlns="${NS_INFO}">${more}<identity category="client" type="pc" name="Psi"/>${all(features)
    .map((f) => `<feature var="${f}"/>`)
    .join("")}</query>`;
const answers = (c: Client, request: XElement, payload: string, type = "result") =>
  c.says(`<iq type="${type}" id="${request.attrs["id"]}" to="${request.attrs["from"]}">${payload}</iq>`);

async function asked(c: Client, node: string): Promise<XElement> {
  const request = await c.receives`<iq type="get" from="localhost" to="${c.full}"/>`;
  expect(childOf(request, "query", NS_INFO)!.attrs["node"]).toBe(node);
  return request;
}
/** The client sends presence, is asked, and hears its own presence after that. */
async function comesWith(c: Client, { c: element, node }: ReturnType<typeof caps>): Promise<XElement> {
  c.says(`<presence>${element}</presence>`);
  const request = await asked(c, node);
  await c.receives`<presence from="${c.full}">${element}</presence>`;
  return request;
}
/** The client sends presence with features that the server has seen already. */
async function comesKnown(c: Client, { c: element }: ReturnType<typeof caps>): Promise<void> {
  c.says(`<presence>${element}</presence>`);
  await c.receives`<presence from="${c.full}">${element}</presence>`;
}
function knownOf(server: Scene["server"], c: Client): string[] | undefined {
  const session = server.node.session(parseFullJid(c.full));
  const features = session && featuresOf(session);
  return features && [...features];
}
async function enables(server: Scene["server"], c: Client, version: Version, features: readonly string[]) {
  const request = await comesWith(c, caps(version, features));
  answers(c, request, query(features));
  await c.settled();
  expect(knownOf(server, c)).toEqual(all(features));
}

for (const version of ["v1", "v2"] as const) {
  describe(`versions = ["${version}"]`, () => {
    const { story } = stage({ modules: { mod_caps: { versions: [version] } } });
    const quiet = { silent: true } as const;

    story(
      "the server tells its own in this version only, as a feature and with a hash that it answers for",
      { romeo: 1 },
      async ({ romeo }) => {
        const told = childrenOf(romeo.features!).filter((e) => e.name === "c");
        expect(told.map((e) => e.ns)).toEqual([version === "v1" ? "http://jabber.org/protocol/caps" : "urn:xmpp:caps"]);
        const hash = version === "v1" ? told[0].attrs["ver"] : (childOf(told[0], "hash")!.children[0] as string);
        const node = version === "v1" ? `${told[0].attrs["node"]}#${hash}` : `urn:xmpp:caps#sha-256.${hash}`;
        romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="${NS_INFO}" node="${node}"/></iq>`;
        const info = childOf(await romeo.receives`<iq type="result" id="d"/>`, "query", NS_INFO)!;
        expect(info.attrs["node"]).toBe(node);
        expect(childrenOf(info)[0].attrs["name"]).toBe("MongooseIM");
        const features = childrenOf(info).map((e) => e.attrs["var"]);
        const own = ["http://jabber.org/protocol/caps", "urn:xmpp:caps", "urn:xmpp:hash-function-text-names:sha-256"];
        expect(own.map((f) => features.includes(f))).toEqual(
          version === "v1" ? [true, false, false] : [false, true, true],
        );
        const malformed = version === "v1" ? "node123" : "urn:xmpp:caps#sha-256";
        for (const wrong of [malformed, `${node}X`]) {
          romeo.sends`<iq type="get" id="w" to="localhost"><query xmlns="${NS_INFO}" node="${wrong}"/></iq>`;
          await romeo.receives`<iq type="error" id="w" from="localhost"><error type="cancel"><item-not-found xmlns="${NS_STANZAS}"/></error></iq>`;
        }
      },
      covers(
        "caps_feature_is_advertised",
        "user_can_query_server_caps_via_disco",
        "user_cannot_query_server_caps_with_malformed_node",
        "user_cannot_query_server_caps_with_incorrect_hash_value",
        "user_can_query_server_features",
      ),
    );

    story(
      "a client is asked once; the next one with the same hash is not",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, server }) => {
        const features = [fresh()];
        await enables(server, romeo, version, features);
        await comesKnown(juliet, caps(version, features));
        expect(knownOf(server, juliet)).toEqual(all(features));
        await juliet.receivesNothing();
        const sets = [romeo, juliet].map((c) => featuresOf(server.node.session(parseFullJid(c.full))!));
        expect(sets[0]).toBe(sets[1]);
      },
      { ...quiet, ...covers("client_caps_are_requested_and_cached") },
    );

    story(
      "two at the same time with the same hash: one is asked, both are known",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, server }) => {
        const features = [fresh()];
        const request = await comesWith(romeo, caps(version, features));
        await comesKnown(juliet, caps(version, features));
        await juliet.receivesNothing();
        answers(romeo, request, query(features));
        await romeo.settled();
        for (const c of [romeo, juliet]) expect(knownOf(server, c)).toEqual(all(features));
      },
      quiet,
    );

    story(
      "when the one that is asked gives a wrong answer, the other is asked (XEP-0115 §5.4)",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, server }) => {
        const features = [fresh()];
        const given = caps(version, features);
        const request = await comesWith(romeo, given);
        await comesKnown(juliet, given);
        answers(romeo, request, query(["urn:a:lie"]));
        answers(juliet, await asked(juliet, given.node), query(features));
        await juliet.settled();
        expect(knownOf(server, romeo)).toBeUndefined();
        expect(knownOf(server, juliet)).toEqual(all(features));
      },
      quiet,
    );

    story(
      "an unknown hash function is not asked about",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const c =
          version === "v1"
            ? `<c xmlns="http://jabber.org/protocol/caps" hash="hashalg" node="urn:client" ver="hashval"/>`
            : `<c xmlns="urn:xmpp:caps"><hash xmlns="urn:xmpp:hashes:2" algo="hashalg">hashval</hash></c>`;
        await comesKnown(romeo, { c, node: "" });
        await romeo.receivesNothing();
        expect(knownOf(server, romeo)).toBeUndefined();
      },
      { ...quiet, ...covers("client_caps_are_not_requested_for_unknown_alg") },
    );

    story(
      "an error for an answer teaches nothing",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const request = await comesWith(romeo, caps(version, [fresh()]));
        answers(romeo, request, `<error type="cancel"><item-not-found xmlns="${NS_STANZAS}"/></error>`, "error");
        await romeo.settled();
        expect(knownOf(server, romeo)).toBeUndefined();
      },
      { ...quiet, ...covers("client_caps_are_requested_with_error") },
    );

    story(
      "an answer that does not have the hash is dropped; the client may start again",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const features = [fresh()];
        const request = await comesWith(romeo, caps(version, features));
        answers(romeo, request, query([...features, "urn:unexpected"]));
        await romeo.settled();
        expect(knownOf(server, romeo)).toBeUndefined();
        await enables(server, romeo, version, features);
      },
      { ...quiet, ...covers("client_caps_are_requested_with_incorrect_features") },
    );

    story(
      "elements that disco#info does not have: XEP-0115 passes over them, XEP-0390 §4.1 refuses the answer",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const features = [fresh()];
        const request = await comesWith(romeo, caps(version, features));
        answers(romeo, request, query(features, "<bogus/>"));
        await romeo.settled();
        expect(knownOf(server, romeo)).toEqual(version === "v1" ? all(features) : undefined);
      },
      { ...quiet, ...covers("client_caps_are_requested_with_invalid_elements") },
    );

    story(
      "what is known goes with the session; the hash stays known",
      { romeo: 0 },
      async ({ romeo, server }) => {
        const features = [fresh()];
        const first = await romeo.comes("one");
        await enables(server, first, version, features);
        await first.leaves();
        expect(knownOf(server, first)).toBeUndefined();
        const second = await romeo.comes("one");
        await comesKnown(second, caps(version, features));
        expect(knownOf(server, second)).toEqual(all(features));
        await second.receivesNothing();
      },
      { ...quiet, ...covers("client_caps_are_deleted_but_cached_between_sessions") },
    );

    story(
      "unavailable presence, and presence without a hash, take what is known back",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const features = [fresh()];
        await enables(server, romeo, version, features);
        romeo.sends`<presence/>`;
        await romeo.receives`<presence from="${romeo.full}"/>`;
        expect(knownOf(server, romeo)).toBeUndefined();
        await comesKnown(romeo, caps(version, features));
        expect(knownOf(server, romeo)).toEqual(all(features));
        romeo.sends`<presence type="unavailable"/>`;
        await romeo.settled();
        expect(knownOf(server, romeo)).toBeUndefined();
      },
      {
        ...quiet,
        ...covers(
          "client_caps_are_deleted_on_presence_unavailable",
          "client_caps_are_deleted_on_presence_without_caps",
        ),
      },
    );

    story(
      "another hash means other features",
      { romeo: 1 },
      async ({ romeo, server }) => {
        await enables(server, romeo, version, [fresh()]);
        await enables(server, romeo, version, [fresh(), fresh()]);
      },
      { ...quiet, ...covers("client_caps_are_updated") },
    );

    story(
      "every session has its own",
      { romeo: 2 },
      async ({ romeo: [laptop, phone], server }) => {
        const one = [fresh()];
        const two = [fresh()];
        await enables(server, laptop, version, one);
        phone.says(`<presence>${caps(version, two).c}</presence>`);
        answers(phone, await asked(phone, caps(version, two).node), query(two));
        await phone.receives`<presence from="${phone.full}">${caps(version, two).c}</presence>
          <presence from="${laptop.full}">${caps(version, one).c}</presence>`;
        await laptop.receives`<presence from="${phone.full}">${caps(version, two).c}</presence>`;
        await phone.settled();
        expect([knownOf(server, laptop), knownOf(server, phone)]).toEqual([all(one), all(two)]);
        await laptop.leaves();
        expect([knownOf(server, laptop), knownOf(server, phone)]).toEqual([undefined, all(two)]);
      },
      { ...quiet, ...covers("client_caps_can_be_different_per_session") },
    );

    story(
      "directed presence changes nothing",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, server }) => {
        const features = [fresh()];
        await enables(server, romeo, version, features);
        await juliet.comesOnline();
        romeo.sends`<presence to="${juliet.full}"/>`;
        await juliet.receives`<presence from="${romeo.full}"/>`;
        romeo.says(`<presence to="${juliet.full}">${caps(version, [fresh()]).c}</presence>`);
        await juliet.receives`<presence from="${romeo.full}"/>`;
        await romeo.receivesNothing();
        expect(knownOf(server, romeo)).toEqual(all(features));
      },
      { ...quiet, ...covers("client_caps_are_unchanged_by_directed_presence") },
    );

    story(
      "the answer to a question of the past is not taken for the newer hash",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const [one, two] = [[fresh()], [fresh()]];
        const request = await comesWith(romeo, caps(version, one));
        await comesKnown(romeo, caps(version, two));
        answers(romeo, request, query(one));
        answers(romeo, await asked(romeo, caps(version, two).node), query(two));
        await romeo.settled();
        expect(knownOf(server, romeo)).toEqual(all(two));
        await comesKnown(romeo, caps(version, one));
        expect(knownOf(server, romeo)).toEqual(all(one));
      },
      quiet,
    );

    describe("iq_response_timeout", () => {
      const { story } = stage({ modules: { mod_caps: { versions: [version], iq_response_timeout: 100 } } });
      story(
        "an answer that comes too late is none",
        { romeo: 1 },
        async ({ romeo, server }) => {
          const features = [fresh()];
          const request = await comesWith(romeo, caps(version, features));
          await new Promise((resolve) => setTimeout(resolve, 600));
          answers(romeo, request, query(features));
          await romeo.settled();
          expect(knownOf(server, romeo)).toBeUndefined();
        },
        { ...quiet, slow: true, ...covers("client_caps_are_requested_with_timeout") },
      );
    });
  });
}

describe("both versions", () => {
  const { story } = stage({ modules: { mod_caps: { versions: ["v2", "v1"] } } });
  story(
    "both are told in the order of the option, and a client that gives both is asked about the first",
    { romeo: 1 },
    async ({ romeo, server }) => {
      expect(
        childrenOf(romeo.features!)
          .filter((e) => e.name === "c")
          .map((e) => e.ns),
      ).toEqual(["urn:xmpp:caps", "http://jabber.org/protocol/caps"]);
      const features = [fresh()];
      const [one, two] = [caps("v1", features), caps("v2", features)];
      romeo.says(`<presence>${one.c}${two.c}</presence>`);
      answers(romeo, await asked(romeo, two.node), query(features));
      await romeo.receives`<presence from="${romeo.full}"/>`;
      await romeo.receivesNothing();
      expect(knownOf(server, romeo)).toEqual(all(features));
    },
    { silent: true },
  );
});
