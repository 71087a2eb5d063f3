// The writer: what came in goes out as it was, less what was replaced. What it writes is read by saxes.

import { describe, expect, test } from "vitest";
import type { Stanza } from "../../../../core/stanza.ts";
import { viewElement } from "../../../../core/xml/framer.ts";
import { xml } from "../../../../core/xml/markup.ts";
import { encode, Scratch } from "../../../../core/xml/writer.ts";
import { parseTree, show } from "../../../fuzz/tree.ts";
import { first } from "./frames.ts";

const scratch = new Scratch();
const LEAD = " from='s@x/r'";

function write(s: Stanza, lead = LEAD, to = "", xmlns = false): string {
  const n = encode(scratch, s, lead, to, xmlns);
  const text = scratch.bytes.utf8Slice(0, n);
  parseTree(text, xmlns ? "" : "jabber:client");
  return text;
}

describe("addresses", () => {
  // RFC 6120 §8.1: the server stamps the sender; attributes may stand in any order.
  test.each([
    ["<iq/>", "<iq from='s@x/r'/>", "<iq from='s@x/r' to='t@y'/>"],
    ["<iq></iq>", "<iq from='s@x/r'></iq>", "<iq from='s@x/r' to='t@y'></iq>"],
    ["<iq from='a'/>", "<iq from='s@x/r'/>", "<iq from='s@x/r' to='t@y'/>"],
    ["<iq to='b'/>", "<iq from='s@x/r' to='b'/>", "<iq from='s@x/r' to='t@y'/>"],
    ["<iq from='a' to='b'/>", "<iq from='s@x/r' to='b'/>", "<iq from='s@x/r' to='t@y'/>"],
    ["<iq to='b' from='a'/>", "<iq from='s@x/r' to='b'/>", "<iq from='s@x/r' to='t@y'/>"],
    [
      "<iq id='1' to='b' type='get' from='a' xml:lang='en'><c/></iq>",
      "<iq from='s@x/r' id='1' to='b' type='get' xml:lang='en'><c/></iq>",
      "<iq from='s@x/r' to='t@y' id='1' type='get' xml:lang='en'><c/></iq>",
    ],
    [
      `<iq\n\tfrom = "a'>" id='1'\r\nto\n=\n"b" >x</iq >`,
      `<iq from='s@x/r' id='1'\r\nto\n=\n"b" >x</iq >`,
      "<iq from='s@x/r' to='t@y' id='1' >x</iq >",
    ],
    ["<iq from=''/>", "<iq from='s@x/r'/>", "<iq from='s@x/r' to='t@y'/>"],
    [
      "<iq tO='1' From='2' xtoo='3'/>",
      "<iq from='s@x/r' tO='1' From='2' xtoo='3'/>",
      "<iq from='s@x/r' to='t@y' tO='1' From='2' xtoo='3'/>",
    ],
  ])("of %s are replaced", (text, withLead, withBoth) => {
    expect(write(first(text))).toBe(withLead);
    expect(write(first(text), LEAD, " to='t@y'")).toBe(withBoth);
  });

  test("beyond ASCII are written in UTF-8", () => {
    expect(write(first("<iq/>"), " from='\u0436@x/\u{1f600}'", " to='\u00e9@y'")).toBe(
      "<iq from='\u0436@x/\u{1f600}' to='\u00e9@y'/>",
    );
  });

  test("in another namespace stay", () => {
    const text = "<iq xmlns:p='u' p:from='a' p:to='b'/>";
    expect(write(first(text), LEAD, " to='t@y'")).toBe("<iq from='s@x/r' to='t@y' xmlns:p='u' p:from='a' p:to='b'/>");
  });

  test("that nobody gives leave the claimed sender out", () => {
    expect(write(first("<iq from='a'/>"), "")).toBe("<iq/>");
  });
});

describe("children", () => {
  const three = "<message to='b'>1<a/>2<b>x</b>3<c></c>4</message>";

  test("are appended before the end tag", () => {
    const s = first("<message to='b'><body>hi</body></message >");
    s.append(xml`<x xmlns='u'>${"<"}</x>`);
    s.append(xml`<y xmlns='u'/>`);
    expect(write(s)).toBe("<message from='s@x/r' to='b'><body>hi</body><x xmlns='u'>&lt;</x><y xmlns='u'/></message>");
  });

  test.each(["<presence/>", "<presence />", "<presence to='b' />", "<presence from='a'/>", "<presence\n/>"])(
    "are appended to %s, which closed itself",
    (text) => {
      const s = first(text);
      s.append(xml`<x xmlns='u'/>`);
      const tree = parseTree(write(s), "jabber:client");
      expect(tree.children.map((c) => show(c as never))).toEqual(["<{u}x></>"]);
      expect(tree.attrs.get("{}from")).toBe("s@x/r");
    },
  );

  test.each([
    [[0], "12<b>x</b>3<c></c>4"],
    [[1], "1<a/>23<c></c>4"],
    [[2, 0], "12<b>x</b>34"],
    [[0, 1, 2], "1234"],
  ])("number %j are left out", (removed, inside) => {
    const s = first(three);
    for (const k of removed) s.removeChild(k);
    expect(write(s)).toBe(`<message from='s@x/r' to='b'>${inside}</message>`);
  });

  test("are left out and appended at once, the addresses replaced", () => {
    const s = first("<message id='1' to='b' from='a'><a/><b/></message>");
    s.removeChild(0);
    s.append(xml`<c/>`);
    expect(write(s, LEAD, " to='t@y'")).toBe("<message from='s@x/r' to='t@y' id='1'><b/><c/></message>");
  });

  test.each(["]]<a/>>", "]<a/>]>", "]]<a/><a/>>", "]<a/>]<a/>>", "<![CDATA[]]><a/>>", "x]]<a/>"])(
    "that are left out of %j do not make ']]>' of the text around them",
    (inside) => {
      const s = first(`<message>${inside}</message>`);
      for (let k = 0; k < s.childCount; k++) s.removeChild(k);
      const tree = parseTree(write(s), "jabber:client");
      const text = inside.replaceAll("<a/>", "").replace("<![CDATA[]]>", "");
      expect(tree.children.join("")).toBe(text);
    },
  );
});

describe("RFC 7395 §3.3.2: a message of its own", () => {
  test("says the namespace that the stream said before", () => {
    expect(write(first("<iq to='b'/>"), LEAD, "", true)).toBe("<iq from='s@x/r' xmlns='jabber:client' to='b'/>");
  });

  test("says it once", () => {
    expect(write(first("<iq xmlns='jabber:client'/>"), LEAD, "", true)).toBe(
      "<iq from='s@x/r' xmlns='jabber:client'/>",
    );
  });

  test("says it when a prefix was taken off", () => {
    const s = first("<c:iq xmlns:c='jabber:client'><c:a/></c:iq>");
    expect(show(parseTree(write(s, LEAD, "", true)))).toBe(
      '<{jabber:client}iq {}from="s@x/r"><{jabber:client}a></></>',
    );
  });
});

test("room is made for stanzas larger than the scratch, whatever is added", () => {
  const small = new Scratch();
  const name = `n${"a".repeat(10_000)}`;
  const s = viewElement(Buffer.from(`<${name} xmlns='u'/>`));
  s.append(xml`<x>${"\u20ac".repeat(90_000)}</x>`);
  const n = encode(small, s, LEAD, " to='\u20ac'", false);
  const tree = parseTree(small.bytes.utf8Slice(0, n));
  expect([tree.name, tree.attrs.get("{}to")]).toEqual([`{u}${name}`, "\u20ac"]);
  expect((tree.children[0] as { children: string[] }).children.join("").length).toBe(90_000);
});

test("the stanza itself is not changed by being written", () => {
  const s = first("<message to='b'><a/></message>");
  write(s, LEAD, " to='t'");
  expect([s.text, s.toText, write(s)]).toEqual([
    "<message to='b'><a/></message>",
    "b",
    "<message from='s@x/r' to='b'><a/></message>",
  ]);
});
