// Text that the server writes: escaped where it must be, and read back.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attr, escapeXml, Markup, unescapeXml, xml } from "../../../../core/xml/markup.ts";
import { parseTree } from "../../../fuzz/tree.ts";

describe("escapeXml", () => {
  test.each([
    ["plain", "plain"],
    ["", ""],
    ["<a b=\"c\" d='e'>&amp;", "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;amp;"],
    ["]]>", "]]&gt;"],
    ["\u00e9\u20ac\u{1f600}", "\u00e9\u20ac\u{1f600}"],
    ["a\0b\u0008c\u001fd\ufffee\uffff", "abcde"],
    ["\t\n\r", "\t\n\r"],
    ["a\ud800b\udc00c", "abc"],
    ["\ud83d\ude00\ud83d", "\u{1f600}"],
    ["\udc00\ud800", ""],
  ])("makes %j into %j", (text, escaped) => {
    expect(escapeXml(text)).toBe(escaped);
  });

  test("makes any string into what a parser takes, in text and in attributes of either quote", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const e = escapeXml(text);
        const tree = parseTree(`<a b='${e}' c="${e}">${e}</a>`);
        const plain = text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "");
        const spaced = plain.replace(/\r\n?/g, "\n").replace(/[\t\n]/g, " ");
        expect([tree.attrs.get("{}b"), tree.attrs.get("{}c")]).toEqual([spaced, spaced]);
        expect(tree.children.join("")).toBe(plain.replace(/\r\n?/g, "\n"));
      }),
      { numRuns: 300 },
    );
  });

  test("drops lone surrogates, which UTF-8 cannot carry", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 })), (units) => {
        const e = escapeXml(String.fromCharCode(...units));
        expect(e.isWellFormed()).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("unescapeXml", () => {
  test.each([
    ["&lt;&gt;&amp;&quot;&apos;", "<>&\"'"],
    ["&#65;&#x41;&#x1f600;&#xD7ff;", "AA\u{1f600}\ud7ff"],
    ["&amp;lt;", "&lt;"],
    ["&amp;#65;", "&#65;"],
    ["a;b", "a;b"],
  ])("makes %j into %j", (text, plain) => {
    expect(unescapeXml(text)).toBe(plain);
  });

  test("undoes escapeXml", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        fc.pre(escapeXml(text).length >= text.length);
        expect(unescapeXml(escapeXml(text))).toBe(text);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the xml template", () => {
  test("escapes text, takes numbers and markup, leaves out what is not there", () => {
    const markup = xml`<a b='${"'"}' n='${0}'>${"<"}${new Markup("<c/>")}${[xml`<d/>`, xml`<e/>`]}${false}${null}${undefined}</a>`;
    expect(markup.text).toBe("<a b='&apos;' n='0'>&lt;<c/><d/><e/></a>");
    expect(`${markup}`).toBe(markup.text);
  });

  test("keeps tabs and line ends of an attribute's value; text has them as they are", () => {
    const value = "a\tb\nc\r\nd";
    const markup = xml`<a b='${value}'${attr("c", value)}>${"x\ty\nz"}</a>`;
    expect(markup.text).toBe("<a b='a&#9;b&#10;c&#13;&#10;d' c='a&#9;b&#10;c&#13;&#10;d'>x\ty\nz</a>");
  });

  test("leaves out a list that is empty", () => {
    expect(xml`<a>${[]}</a>`.text).toBe("<a></a>");
  });
});

describe("attr", () => {
  test("is an attribute, or nothing", () => {
    expect(xml`<a${attr("b", "x'y")}${attr("c", 0)}${attr("d", "")}${attr("e", undefined)}/>`.text).toBe(
      "<a b='x&apos;y' c='0' d=''/>",
    );
  });
});
