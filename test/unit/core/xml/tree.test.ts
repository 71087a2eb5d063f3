// Trees of elements, beside those of @xmpp/xml's own parser.
import { type Element, Parser } from "@xmpp/xml";
import { expect, test } from "vitest";
import { checkElement } from "../../../../core/xml/framer.ts";
import { FrameError, Scan } from "../../../../core/xml/scan.ts";
import { parseElement } from "../../../../core/xml/tree.ts";
import { mutate, stream } from "../../../fuzz/grammar.ts";
import { Random } from "../../../fuzz/random.ts";

/** What the library makes of it. */
function peer(text: string): Element {
  const parser = new Parser();
  const tops: Element[] = [];
  parser.on("start", (top) => tops.push(top));
  parser.on("element", (child) => tops[0].append(child));
  parser.on("error", (error) => {
    throw error;
  });
  parser.write(text);
  return tops[0];
}

const plain = (element: Element): unknown => [
  element.name,
  { ...element.attrs },
  element.children.map((child) => (typeof child === "string" ? child : plain(child))),
];

const parentsOf = (element: Element): boolean =>
  element.children.every((child) => typeof child === "string" || (child.parent === element && parentsOf(child)));

test.each([
  "<a/>",
  "<a />",
  "<a></a >",
  "<a b='1' c = \"2\"\n d='&amp;&#x41;&#66;'/>",
  "<a>text &lt;b&gt; <b/>more<c> </c></a>",
  "<a b='>' c='/>' d='<'/>".replace("'<'", "'&lt;'"),
  "<a b='\"' c=\"'\"><b xmlns='x'/></a>",
  "<x:a xmlns:x='y' x:b='z'><x:c/></x:a>",
  "<żółw ó='馬'>🐢</żółw>",
])("%s", (text) => {
  const tree = parseElement(text);
  expect(plain(tree)).toEqual(plain(peer(text)));
  expect(parentsOf(tree)).toBe(true);
  expect(tree.parent).toBeNull();
});

test("what the library alone knows", () => {
  expect(plain(parseElement("<a>1<![CDATA[<&]]>2</a>"))).toEqual(["a", {}, ["1<&2"]]);
});

test.each(["__proto__", "constructor", "toString", "hasOwnProperty", "name"])("what is called %s", (name) => {
  const tree = parseElement(`<${name} ${name}='x'><${name}/></${name}>`);
  expect(plain(tree)).toEqual(plain(peer(`<${name} ${name}='x'><${name}/></${name}>`)));
  expect(Object.getPrototypeOf(tree.attrs)).toBe(Object.prototype);
});

test("references to characters at the bounds of what XML has", () => {
  expect(plain(parseElement("<a>&#9;&#xD7FF;&#xE000;&#xFFFD;&#x10000;&#x10FFFF;</a>"))).toEqual([
    "a",
    {},
    ["\t\uD7FF\uE000\uFFFD\u{10000}\u{10FFFF}"],
  ]);
});

test("space around the element", () => {
  expect(plain(parseElement(" \n<a> </a>\n"))).toEqual(["a", {}, [" "]]);
});

test.each([
  ...["", " ", "text", "text<a/>", "<a/>text", "<a/><b/>", "<a>", "<a><b></a></b>", "</a>", "<a></b>", "<a", "<a b"],
  ...["<a b=", "<a b='", "<a b='c'", "<a b='c", "<a/", "<a/b>", "<a b/>", "<a ='b'/>", "<", "<a>text", "<a><b/>"],
  ...["<></>", "<a><></></a>", "<a b=c/>", "<a b=c' d='e'/>", "<a b=c d='e' f='g'/>", "<a>b & c</a>", "<a b='&c;'/>"],
  ...["<a>&#0;</a>", "<a b='&#x1F;'/>", "<a>&#xD83D;</a>", "<a>&#xFFFE;</a>", "<a>&#x110000;</a>"],
])("no element: %s", (text) => {
  expect(() => parseElement(text)).toThrow();
});

test("of whatever a stream may bring, what the framer lets pass", () => {
  const random = new Random(20261126);
  const scan = new Scan();
  let compared = 0;
  for (let round = 0; round < 4000; round++) {
    const made = stream(random);
    const text = made.slice(made.indexOf(">", made.indexOf("<stream:stream")) + 1).replace(/<\/stream:stream\s*>$/, "");
    const bytes = random.once(3) ? mutate(random, Buffer.from(text)) : Buffer.from(text);
    try {
      checkElement(bytes, scan);
    } catch (error) {
      if (error instanceof FrameError) continue;
      throw error;
    }
    const wellFormed = bytes.toString();
    // Text in pieces is the library's own affair.
    if (wellFormed.includes("<!")) continue;
    compared++;
    const tree = parseElement(wellFormed);
    expect(plain(tree)).toEqual(plain(peer(wellFormed)));
    expect(parentsOf(tree)).toBe(true);
  }
  expect(compared).toBeGreaterThan(300);
});
