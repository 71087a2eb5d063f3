// The forms in which MongooseIM's tables hold messages and JIDs.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { SaxesParser } from "saxes";
import { describe, expect, test } from "vitest";
import { Atom, encodeTerm, type Term, TermError, Tuple } from "../../../../core/erlang/term.ts";
import { makeJid, parseJid } from "../../../../core/jid.ts";
import { parseElement } from "../../../../core/xml/tree.ts";
import { JID_FORMATS, jidCodec } from "../../../../modules/mod_mam/codecs/jid.ts";
import { MESSAGE_FORMATS, messageCodec } from "../../../../modules/mod_mam/codecs/message.ts";
import { MESSAGES } from "../../../fixtures/erlang/ours.ts";

const FIXTURES = join(import.meta.dirname, "../../../fixtures/erlang");
const table = (file: string): Map<string, string> =>
  new Map(
    readFileSync(join(FIXTURES, file), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t") as [string, string]),
  );

const { decode } = messageCodec("mam_message_xml");
const b = (text: string): Uint8Array => Buffer.from(text);
const hex = (text: string): Uint8Array => Buffer.from(text, "hex");

/** Well-formed, namespaces included; throws otherwise. */
function wellFormed(text: string): string {
  const parser = new SaxesParser({ xmlns: true });
  parser.on("error", (error) => {
    throw error;
  });
  parser.write(text).close();
  return text;
}

describe("messages that MongooseIM wrote", () => {
  const written = table("terms.tsv");
  const text =
    "<message from='alice@localhost/desk' id='a&apos;b&quot;&amp;&lt;&#10;' to='bob@localhost' type='chat' xml:lang='en'>" +
    "<body>one &amp; two &lt;three&gt; ]]&gt; four é😀</body><x xmlns='urn:example:x'><y><z k=''/></y></x></message>";

  test.each(["message, current", "message, current, compressed", "message, old", "message, old, compressed"])(
    "%s",
    (name) => {
      const bytes = hex(written.get(name)!);
      expect([...bytes.subarray(0, 2)]).toEqual([131, name.endsWith("compressed") ? 80 : 104]);
      expect(wellFormed(decode(bytes))).toBe(text);
      expect(parseElement(decode(bytes)).attrs["id"]).toBe("a'b\"&<\n");
    },
  );

  test("text in pieces", () => {
    expect(decode(hex(written.get("message, old, iodata")!))).toBe("<message>a &lt;bcd</message>");
  });

  test("XML, as bytes or as text", () => {
    expect(decode(b(text))).toBe(text);
    expect(decode(new Uint8Array(b(text)))).toBe(text);
    expect(decode(text)).toBe(text);
  });
});

describe("messages that we write", () => {
  const reads = table("reads.tsv");

  test("are read by Erlang", () => {
    expect(reads.get(MESSAGES.plain)).toBe(MESSAGES.plainPrinted);
    const [packed] = [...reads].find(([, printed]) => printed === MESSAGES.compressedPrinted)!;
    expect(packed.startsWith("8350")).toBe(true);
    expect(decode(hex(packed))).toBe(MESSAGES.compressedStanza);
  });

  const FIRST: Readonly<Record<string, number[]>> = {
    mam_message_compressed_eterm: [131, 80],
    mam_message_eterm: [131, 104],
    mam_message_xml: [0x3c],
  };
  test.each(MESSAGE_FORMATS)("%s is what its option says, and read under each", (format) => {
    const stanza = `<message id='1'><body>${"a long body &amp; another ".repeat(9)}</body></message>`;
    const stored = messageCodec(format).encode(stanza);
    expect([...stored.subarray(0, FIRST[format].length)]).toEqual(FIRST[format]);
    for (const other of MESSAGE_FORMATS) expect(messageCodec(other).decode(stored)).toBe(stanza);
  });

  test("a small term stays as it is, and CDATA sections are text", () => {
    const stored = messageCodec("mam_message_compressed_eterm").encode("<m><![CDATA[<&]]>x</m>");
    expect(stored[1]).toBe(104);
    expect(decode(stored)).toBe("<m>&lt;&amp;x</m>");
  });

  test("a line's end means a line feed, however it was sent; a carriage return that was meant stays one", () => {
    for (const format of ["mam_message_eterm", "mam_message_compressed_eterm"] as const) {
      const stored = messageCodec(format).encode("<m>a\r\nb\rc&#13;d<![CDATA[\r\n]]></m>");
      expect(decode(stored)).toBe("<m>a\nb\nc&#13;d\n</m>");
    }
  });

  const name = fc.constantFrom("a", "body", "é-1", "_x.y", "x:a");
  const value = fc.string({ unit: "grapheme", maxLength: 12 });
  const { element } = fc.letrec<{ element: Term }>((tie) => ({
    element: fc
      .record({
        name,
        attributes: fc.dictionary(fc.constantFrom("id", "to", "xmlns", "xml:lang", "p:q"), value),
        children: fc.array(
          fc.oneof(
            { maxDepth: 4 },
            value.map((text) => new Tuple([new Atom("xmlcdata"), b(text)])),
            tie("element"),
          ),
          { maxLength: 4 },
        ),
      })
      .map(({ name: own, attributes, children }) => {
        const pairs = Object.entries(attributes).map(([k, v]) => new Tuple([b(k), b(v)]));
        return new Tuple([new Atom("xmlel"), b(own), pairs, children]);
      }),
  }));

  test("whatever an element's term holds comes out well-formed, and goes in and out again unchanged", () => {
    fc.assert(
      fc.property(element, (term) => {
        const text = wellFormed(decode(encodeTerm(term)));
        expect(decode(messageCodec("mam_message_eterm").encode(text))).toBe(text);
        expect(decode(messageCodec("mam_message_compressed_eterm").encode(text))).toBe(text);
      }),
    );
  });
});

describe("refuses", () => {
  const el = (name: string, attributes: Term = [], children: Term = []): Term =>
    new Tuple([new Atom("xmlel"), b(name), attributes, children]);
  test.each<[string, Uint8Array | string]>([
    ["nothing", b("")],
    ["text that is no XML", "hello"],
    ["bytes that are neither", b("{}")],
    ["another term", encodeTerm([1])],
    ["a record of another kind", encodeTerm(new Tuple([new Atom("xmlcdata"), b("x")]))],
    ["a name with a tag in it", encodeTerm(el("a><b"))],
    ["an attribute's name that is none", encodeTerm(el("a", [new Tuple([b("x y"), b("")])]))],
    ["an attribute that is no pair", encodeTerm(el("a", [b("x")]))],
    ["text that is a number", encodeTerm(el("a", [], [new Tuple([new Atom("xmlcdata"), 1000])]))],
    ["children that are no list", encodeTerm(el("a", [], 7))],
  ])("%s", (_what, stored) => {
    expect(() => decode(stored)).toThrow(TermError);
  });

  test("a text that is far longer than its term", () => {
    const bomb = encodeTerm(el("a", [], [new Tuple([new Atom("xmlcdata"), b("&".repeat(4_000_000))])]), {
      compressed: true,
    });
    expect(bomb.length).toBeLessThan(10_000);
    expect(() => decode(bomb)).toThrow(/of more than 16777216 characters/);
  });

  test("to be held up by many prefixes", () => {
    const declared = Array.from({ length: 60_000 }, (_, i) => new Tuple([b(`xmlns:p${i}`), b("u")]));
    const users = Array.from({ length: 60_000 }, () => el("p1:b"));
    const stored = encodeTerm(el("a", declared, users));
    const begun = process.cpuUsage().user;
    expect(() => decode(stored)).toThrow(/too many attributes/);
    // In microseconds; it took half a minute when each element had a copy of all of them.
    expect(process.cpuUsage().user - begun).toBeLessThan(5_000_000);
  });

  test("to let a prefix hold behind the element that declares it", () => {
    const inner = el("p:b", [new Tuple([b("xmlns:p"), b("u")])]);
    const text = decode(encodeTerm(el("a", [], [inner, el("p:c", [], [el("p:d")])])));
    expect(text).toBe("<a><p:b xmlns:p='u'/><p:c xmlns:p='p'><p:d/></p:c></a>");
  });

  test("to let a prefix that nothing declares, or a character that XML has not, break a reader", () => {
    const text = decode(
      encodeTerm(el("p:a", [new Tuple([b("q:b"), b("\u0000c")])], [new Tuple([new Atom("xmlcdata"), b("\u0001")])])),
    );
    expect(wellFormed(text)).toBe("<p:a q:b='c' xmlns:p='p' xmlns:q='q'/>");
  });
});

describe("JIDs", () => {
  const owner = { local: "alice", domain: "a.org" };

  // The text of a JID, and its form for alice@a.org.
  test.each([
    ["alice@a.org", ""],
    ["alice@a.org/desk", "/desk"],
    ["bob@a.org", "bob"],
    ["bob@a.org/a/b@c:d", "bob/a/b@c:d"],
    ["a.org", ":"],
    ["a.org/res", ":/res"],
    ["bob@b.org", "b.org:bob"],
    ["bob@b.org/x/y", "b.org@bob/x/y"],
    ["b.org", "b.org:"],
    ["b.org/x", "b.org@/x"],
    ["bob@[::1]", "[::1]:bob"],
    ["bob@[::1]/x:y", "[::1]@bob/x:y"],
    ["alice@b.org", "b.org:alice"],
    ["[x@a.org/y]:z", "[x/y]:z"],
    ["[1@a.org", "[1"],
    ["[ab]@a.org/@:", "[ab]/@:"],
  ])("mam_jid_mini: %s is %j", (text, stored) => {
    const codec = jidCodec("mam_jid_mini");
    expect(codec.encode(owner, parseJid(text))).toBe(stored);
    expect(codec.decode(owner, stored)).toBe(text);
  });

  test("mam_jid_mini of an archive without a user", () => {
    const codec = jidCodec("mam_jid_mini");
    const domain = { local: "", domain: "a.org" };
    expect(codec.encode(domain, parseJid("a.org"))).toBe(":");
    expect(codec.decode(domain, "")).toBe("a.org");
    expect(codec.decode(domain, "/x")).toBe("a.org/x");
  });

  test.each(["mam_jid_rfc", "mam_jid_rfc_trust"] as const)("%s is the text", (format) => {
    const codec = jidCodec(format);
    expect(codec.encode(owner, parseJid("Bob@B.org/Desk"))).toBe("bob@b.org/Desk");
    expect(codec.decode(owner, "bob@b.org/Desk")).toBe("bob@b.org/Desk");
  });

  test("mam_jid_rfc prepares what it reads, mam_jid_rfc_trust does not", () => {
    expect(jidCodec("mam_jid_rfc").decode(owner, "Bob@B.org/Desk")).toBe("bob@b.org/Desk");
    expect(jidCodec("mam_jid_rfc_trust").decode(owner, "Bob@B.org/Desk")).toBe("Bob@B.org/Desk");
  });

  test("each format gives back each JID", () => {
    const local = fc.constantFrom("", "alice", "bob", "é", "[", "[a]", "a]");
    const domain = fc.constantFrom("a.org", "b.org", "[2001:db8::1]");
    const resource = fc.option(fc.constantFrom("x", "a/b", "a@b:c/d", ":", "@", "]", "a]:b", "]@x"), {
      nil: undefined,
    });
    fc.assert(
      fc.property(local, domain, resource, fc.constantFrom(...JID_FORMATS), (l, d, r, format) => {
        const jid = makeJid(l, d, r);
        for (const who of [owner, { local: "", domain: "a.org" }, { local: "bob", domain: "[2001:db8::1]" }]) {
          expect(jidCodec(format).decode(who, jidCodec(format).encode(who, jid))).toBe(jid.text);
        }
      }),
      { numRuns: 500 },
    );
  });
});
