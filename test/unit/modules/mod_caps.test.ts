import { describe, expect, test } from "vitest";
import { capabilityHash, formOf, type Info, infoOf, UnhashableError, verification } from "../../../core/disco/caps.ts";
import type { Element } from "../../../core/stanza.ts";
import { viewText } from "../../../core/xml/framer.ts";
import { Markup } from "../../../core/xml/markup.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import { advertised } from "../../../modules/mod_caps/advertised.ts";
import { KnownHashes } from "../../../modules/mod_caps/cache.ts";

const query = (inside: string): Element =>
  parseElement(`<query xmlns='http://jabber.org/protocol/disco#info'>${inside}</query>`);
const field = (name: string, type: string, ...values: string[]) =>
  `<field var='${name}'${type && ` type='${type}'`}>${values.map((v) => `<value>${v}</value>`).join("")}</field>`;
const form = (...fields: string[]) => `<x xmlns='jabber:x:data' type='result'>${fields.join("")}</x>`;
const FEATURES = ["caps", "disco#info", "disco#items", "muc"].map(
  (f) => `<feature var='http://jabber.org/protocol/${f}'/>`,
);
const SOFTWARE = form(
  field("FORM_TYPE", "hidden", "urn:xmpp:dataforms:softwareinfo"),
  field("ip_version", "", "ipv4", "ipv6"),
  field("os", "", "Mac"),
  field("os_version", "", "10.5.1"),
  field("software", "", "Psi"),
  field("software_version", "", "0.11"),
);
const PSI = `<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/><identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>`;

describe("XEP-0115", () => {
  test("§5.3: the complex example, in whatever order it comes", () => {
    const parts = [PSI, ...FEATURES, SOFTWARE];
    for (const inside of [parts, parts.toReversed()]) {
      expect(verification(infoOf(query(inside.join("")), false))).toBe("q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }
  });

  test.each([
    ["two equal identities", PSI + PSI],
    ["two equal features", FEATURES[0] + FEATURES[0]],
    ["two forms of one kind", SOFTWARE + SOFTWARE],
    ["a form of two kinds", form(field("FORM_TYPE", "hidden", "urn:a", "urn:b"))],
  ])("§5.4: %s make an answer ill-formed", (_what, inside) => {
    expect(() => verification(infoOf(query(inside), false))).toThrow(UnhashableError);
  });

  test.each([
    ["without a type", form(field("a", "", "b"))],
    ["whose type is not hidden", form(field("FORM_TYPE", "text-single", "urn:a"))],
  ])("§5.4: a form %s has no part in the hash", (_what, extra) => {
    const plain = FEATURES.join("");
    expect(verification(infoOf(query(plain + extra), false))).toBe(verification(infoOf(query(plain), false)));
  });

  test("other functions of the registry", () => {
    const info = infoOf(query(FEATURES.join("")), false);
    const hashes = ["sha-1", "sha-224", "sha-256", "sha-384", "sha-512"].map((a) => verification(info, a));
    expect(hashes.map((h) => Buffer.from(h, "base64").length)).toEqual([20, 28, 32, 48, 64]);
  });
});

describe("XEP-0390", () => {
  test("§4.5: the complex example", () => {
    const tkabber = `<identity category='client' name='Tkabber' type='pc' xml:lang='en'/><identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/>`;
    const features = [
      "games:board",
      "http://jabber.org/protocol/activity",
      "http://jabber.org/protocol/activity+notify",
      "http://jabber.org/protocol/bytestreams",
      "http://jabber.org/protocol/chatstates",
      "http://jabber.org/protocol/commands",
      "http://jabber.org/protocol/disco#info",
      "http://jabber.org/protocol/disco#items",
      "http://jabber.org/protocol/evil",
      "http://jabber.org/protocol/feature-neg",
      "http://jabber.org/protocol/geoloc",
      "http://jabber.org/protocol/geoloc+notify",
      "http://jabber.org/protocol/ibb",
      "http://jabber.org/protocol/iqibb",
      "http://jabber.org/protocol/mood",
      "http://jabber.org/protocol/mood+notify",
      "http://jabber.org/protocol/rosterx",
      "http://jabber.org/protocol/si",
      "http://jabber.org/protocol/si/profile/file-transfer",
      "http://jabber.org/protocol/tune",
      "http://www.facebook.com/xmpp/messages",
      "http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify",
      "jabber:iq:avatar",
      "jabber:iq:browse",
      "jabber:iq:dtcp",
      "jabber:iq:filexfer",
      "jabber:iq:ibb",
      "jabber:iq:inband",
      "jabber:iq:jidlink",
      "jabber:iq:last",
      "jabber:iq:oob",
      "jabber:iq:privacy",
      "jabber:iq:roster",
      "jabber:iq:time",
      "jabber:iq:version",
      "jabber:x:data",
      "jabber:x:event",
      "jabber:x:oob",
      "urn:xmpp:avatar:metadata+notify",
      "urn:xmpp:ping",
      "urn:xmpp:receipts",
      "urn:xmpp:time",
    ].map((f) => `<feature var='${f}'/>`);
    const software = form(
      field("FORM_TYPE", "hidden", "urn:xmpp:dataforms:softwareinfo"),
      field("software", "", "Tkabber"),
      field("software_version", "", "0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)"),
      field("os", "", "Windows"),
      field("os_version", "", "XP"),
    );
    const info = infoOf(query(tkabber + features.join("") + software), true);
    expect(capabilityHash(info)).toBe("u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=");
    expect(capabilityHash(info, "sha3-256")).toBe("XpUJzLAc93258sMECZ3FJpebkzuyNXDzRNwQog8eycg=");
  });

  test("§4.1: the language of what is around an identity is its own", () => {
    const lone = "<identity category='client' type='pc' name='A'/>";
    const spoken = "<identity category='client' type='pc' name='A' xml:lang='de'/>";
    expect(infoOf(query(lone), true, "de")).toEqual(infoOf(query(spoken), true));
    expect(infoOf(query(lone), false, "de")).not.toEqual(infoOf(query(spoken), false));
  });

  test.each([
    ["another element", "<bogus xmlns='urn:x'/>"],
    ["a table", form(field("FORM_TYPE", "hidden", "urn:x"), "<reported/>")],
    ["items of a table", form(field("FORM_TYPE", "hidden", "urn:x"), "<item/>")],
    ["a form without a type", form(field("a", "", "b"))],
  ])("§4.1: %s has no hash", (_what, inside) => {
    expect(() => capabilityHash(infoOf(query(inside), true))).toThrow(UnhashableError);
  });
});

describe("what presence says", () => {
  const C1 = "http://jabber.org/protocol/caps";
  const keys = (inside: string, ...versions: ("v1" | "v2")[]) =>
    advertised(viewText(`<presence xmlns='jabber:client'>${inside}</presence>`), versions).map((a) => [a.key, a.node]);
  const one = `<c xmlns='${C1}' hash='sha-1' node='urn:n' ver='AAA='/>`;
  const two = `<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>BBB=</hash><hash xmlns='urn:xmpp:hashes:2' algo='md5'>C</hash><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'> DDD= </hash></c>`;

  test("is read in the order of the versions in use, as far as it can be verified", () => {
    const first = ["v1 sha-1 AAA=", "urn:n#AAA="];
    const second = [
      ["v2 sha3-256 BBB=", "urn:xmpp:caps#sha3-256.BBB="],
      ["v2 sha-256 DDD=", "urn:xmpp:caps#sha-256.DDD="],
    ];
    expect(keys(one + two, "v1", "v2")).toEqual([first, ...second]);
    expect(keys(one + two, "v2", "v1")).toEqual([...second, first]);
    expect(keys(one + two, "v1")).toEqual([first]);
    expect(keys("", "v1", "v2")).toEqual([]);
  });

  test.each([
    ["a version of the old kind", `<c xmlns='${C1}' node='urn:n' ver='1.0' ext='a b'/>`],
    ["no version", `<c xmlns='${C1}' hash='sha-1' node='urn:n'/>`],
    ["no node", `<c xmlns='${C1}' hash='sha-1' ver='A'/>`],
    ["an empty hash", `<c xmlns='${C1}' hash='sha-1' node='urn:n' ver=''/>`],
    ["a hash beyond measure", `<c xmlns='${C1}' hash='sha-1' node='urn:n' ver='${"A".repeat(129)}'/>`],
    ["an unknown function", `<c xmlns='${C1}' hash='crc' node='urn:n' ver='A'/>`],
  ])("%s is nothing to ask about", (_what, inside) => expect(keys(inside, "v1", "v2")).toEqual([]));
});

describe("the hashes that are known", () => {
  test("one set for the same features, whatever hash they have", () => {
    const known = new KnownHashes();
    const set = known.add("v1 sha-1 A", ["b", "a"]);
    expect(known.add("v2 sha-256 B", ["a", "b"])).toBe(set);
    expect(known.get("v2 sha-256 B")).toBe(set);
    expect(known.get("v1 sha-1 C")).toBeUndefined();
    expect([...set]).toEqual(["b", "a"]);
  });

  test("are bounded in number; those in use stay", () => {
    const known = new KnownHashes();
    known.add("used", ["used"]);
    for (let i = 0; i < 12_000; i++) {
      known.add(`h${i}`, [`f${i}`]);
      known.get("used");
    }
    expect(known.size).toBeLessThanOrEqual(10_000);
    expect(known.get("used")).toEqual(new Set(["used"]));
    expect(known.get("h0")).toBeUndefined();
    expect(known.get("h11999")).toEqual(new Set(["f11999"]));
  });

  test("are bounded in size", () => {
    const known = new KnownHashes();
    for (let i = 0; i < 50; i++) known.add(`h${i}`, [`${i}${"x".repeat(1_000_000)}`]);
    expect(known.size).toBeLessThan(20);
    expect(known.get("h49")).toBeDefined();
  });
});

test("a form that the server wrote is read as one that a client sent", () => {
  const info = (forms: Info["forms"]): Info => ({ identities: [], features: [], forms });
  expect(verification(info([formOf(new Markup(SOFTWARE))]))).toBe(verification(infoOf(query(SOFTWARE), false)));
});
