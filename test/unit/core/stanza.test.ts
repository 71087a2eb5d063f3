// Views on stanzas: what they say about the bytes they stand on.

import { describe, expect, test } from "vitest";
import { parseJid } from "../../../core/jid.ts";
import { IQ, MESSAGE, OTHER, PRESENCE } from "../../../core/stanza.ts";
import { canonicalText } from "../../../core/xml/canonical.ts";
import { viewElement, viewText } from "../../../core/xml/framer.ts";
import { xml } from "../../../core/xml/markup.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import { parseTree, show } from "../../fuzz/tree.ts";
import { first, HEADER } from "./xml/frames.ts";

describe("the kind", () => {
  test.each([
    ["<message/>", MESSAGE],
    ["<presence/>", PRESENCE],
    ["<iq/>", IQ],
    ["<message xmlns='jabber:client'/>", MESSAGE],
    ["<message xmlns='jabber:server'/>", OTHER],
    ["<messages/>", OTHER],
    ["<i/>", OTHER],
    ["<ib/>", OTHER],
    ["<a xmlns='urn:xmpp:sm:3'/>", OTHER],
    ["<iq xmlns='jabber&#58;client'/>", IQ],
    ["<stream:message/>", OTHER],
  ])("of %s is %i", (text, kind) => {
    expect(first(text).kind).toBe(kind);
  });

  test("goes by the namespace that the stream header set", () => {
    expect(first("<message/>", HEADER.replace("jabber:client", "urn:x")).kind).toBe(OTHER);
  });
});

describe("the stanza's own attributes", () => {
  const s = first(
    "<message id='a&amp;b' type=\"chat\" from='o&apos;hara@x' to='\u0436@x/&lt;' xml:lang='de' lang='en' n=''/>",
  );

  test("are read without their references", () => {
    expect([s.id, s.type, s.fromText, s.toText, s.lang]).toEqual(["a&b", "chat", "o'hara@x", "\u0436@x/<", "de"]);
  });

  test("are undefined when absent, the type is empty", () => {
    const bare = first("<message/>");
    expect([bare.id, bare.fromText, bare.toText, bare.lang, bare.type]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      "",
    ]);
  });

  test.each([
    ["<message type='chat'/>", "chat"],
    ["<message type='&#99;hat'/>", "chat"],
    ["<message type=''/>", ""],
    ["<message type='shouted'/>", "normal"],
    ["<iq type='shouted'/>", "shouted"],
  ])("RFC 6121 §5.2.2: the type of %s is %j, an unknown one of a message is normal", (text, type) => {
    expect(first(text).type).toBe(type);
  });

  test("by any name are read by attr", () => {
    expect(["id", "xml:lang", "lang", "n", "i", "d", "o"].map((n) => s.attr(n))).toEqual([
      "a&b",
      "de",
      "en",
      "",
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("are not mistaken for what stands inside of values", () => {
    const odd = first(`<iq a="id='1'" b=' to="2" ' id \n=\t'3'>id='4'</iq>`);
    expect([odd.attr("id"), odd.id, odd.attr("to"), odd.toText, odd.attr("a")]).toEqual([
      "3",
      "3",
      undefined,
      undefined,
      "id='1'",
    ]);
  });

  test("in another namespace are not the stanza's", () => {
    const odd = first("<iq xmlns:p='u' p:to='1' p:id='2' p:from='3' p:type='4' p:lang='5'/>");
    expect([odd.toText, odd.id, odd.fromText, odd.type, odd.lang]).toEqual([
      undefined,
      undefined,
      undefined,
      "",
      undefined,
    ]);
  });

  test("named like xml:lang in another prefix are not the language", () => {
    expect(first("<iq xmlns:xmx='u' xmx:lang='1'/>").lang).toBeUndefined();
  });

  test("are compared by what they mean", () => {
    expect([s.toIs("\u0436@x/<"), s.toIs("\u0436@x/&lt;"), s.fromIs("o'hara@x"), s.fromIs("o")]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test("are not taken for another text that has the same bytes", () => {
    // "\u00e9" in UTF-8 is C3 A9, the code points of "\u00c3\u00a9".
    const t = first("<message to='\u00e9@x'/>");
    expect([t.toIs("\u00e9@x"), t.toIs("\u00c3\u00a9@x")]).toEqual([true, false]);
    const amp = first("<message to='u@x/&lt;'/>");
    expect([amp.toIs("u@x/&lt;"), amp.toIs("u@x/<")]).toEqual([false, true]);
  });

  test("that are absent equal nothing", () => {
    const bare = first("<message/>");
    expect([bare.toIs(""), bare.fromIs("")]).toEqual([false, false]);
  });
});

describe("children", () => {
  const s = first(
    "<message xmlns:d='urn:d'><body>one</body>text<body xml:lang='de'>zwei</body><x xmlns='urn:x'><y/></x>" +
      "<d:x d:a='1'/><x xmlns=''/><e:x xmlns:e='urn:e'/><gr\u00f6\u00dfe xmlns='urn:\u00fc'/><z xmlns='a&amp;b'/></message>",
  );

  test("are listed with name and namespace", () => {
    expect(s.children.map((c) => `{${c.ns}}${c.name}`)).toEqual([
      "{jabber:client}body",
      "{jabber:client}body",
      "{urn:x}x",
      "{urn:d}x",
      "{}x",
      "{urn:e}x",
      "{urn:\u00fc}gr\u00f6\u00dfe",
      "{a&b}z",
    ]);
    expect(s.childCount).toBe(8);
  });

  test("are found by name and namespace, the first of several", () => {
    expect([
      s.find("body", "jabber:client"),
      s.find("x", "urn:x"),
      s.find("x", "urn:d"),
      s.find("x", ""),
      s.find("x", "urn:e"),
      s.find("gr\u00f6\u00dfe", "urn:\u00fc"),
      s.find("z", "a&b"),
      s.find(undefined, "urn:d"),
    ]).toEqual([0, 2, 3, 4, 5, 6, 7, 3]);
  });

  test("are not found by half a name, another namespace, or as grandchildren", () => {
    expect([
      s.find("bod", "jabber:client"),
      s.find("bodyx", "jabber:client"),
      s.find("body", "urn:x"),
      s.find("y", "urn:x"),
      s.find("z", "a&amp;b"),
      s.find(undefined, "urn:nothing"),
    ]).toEqual([-1, -1, -1, -1, -1, -1]);
  });

  test("are asked for in the stanza's namespace unless another is named", () => {
    expect([s.has("body"), s.has("x"), s.has("x", "urn:x"), s.hasBody]).toEqual([true, false, true, true]);
  });

  test("come as trees, with their text", () => {
    expect(s.child("x", "urn:x")?.getChild("y", "urn:x")).toBeDefined();
    expect([s.childText("body"), s.childText("subject"), s.kid(1).text()]).toEqual(["one", undefined, "zwei"]);
  });

  test("come as markup that stands alone", () => {
    expect(show(parseTree(s.childXml("x", "urn:d")!.text))).toBe('<{urn:d}x {urn:d}a="1"></>');
    expect(s.childXml("x", "urn:x")?.text).toBe("<x xmlns='urn:x'><y/></x>");
    expect(s.childXml("nothing", "urn:x")).toBeUndefined();
  });

  test("inherit the namespace of a stanza that says its own", () => {
    const whole = viewElement(Buffer.from("<iq xmlns='jabber:client'><query/></iq>"));
    expect([whole.has("query"), whole.kidNs(0)]).toEqual([true, "jabber:client"]);
  });

  test("that were taken out are found no more, the next of their name is", () => {
    const t = first("<message><x xmlns='u' n='1'/><x xmlns='u' n='2'/></message>");
    t.removeChild(0);
    expect([t.find("x", "u"), t.child("x", "u")?.attrs["n"]]).toEqual([1, "2"]);
  });

  test("in more than the arrays had room for are all there", () => {
    const many = first(`<message>${Array.from({ length: 300 }, (_, k) => `<c xmlns='u:${k}'/>`).join("")}</message>`);
    expect([many.childCount, many.find("c", "u:299")]).toEqual([300, 299]);
  });
});

describe("text", () => {
  test.each([
    ["<auth xmlns='urn:x'>AGE=</auth>", "AGE="],
    ["<auth xmlns='urn:x'>&lt;\u00e9&#x1F600;</auth>", "<\u00e9\u{1f600}"],
    ["<auth xmlns='urn:x'/>", ""],
    ["<auth xmlns='urn:x'></auth>", ""],
  ])("of %s is %j", (text, own) => {
    expect(first(text).ownText).toBe(own);
  });

  test("between the tags is repeated as it came", () => {
    expect(first("<iq> <a/>\u00e9&amp;</iq>").innerXml).toBe(" <a/>\u00e9&amp;");
    expect([first("<iq/>").innerXml, first("<iq></iq>").innerXml]).toEqual(["", ""]);
  });

  test("of the whole is the bytes as they came", () => {
    expect(first("<iq \n a = '1' ><b></b ></iq >").text).toBe("<iq \n a = '1' ><b></b ></iq >");
  });
});

describe("a tree", () => {
  test("has everything, CDATA and the text behind it too", () => {
    const tree = first("<message a='1'><body>a<![CDATA[<b>&amp;]]>c</body></message>").element;
    expect([tree.attrs["a"], tree.getChildText("body")]).toEqual(["1", "a<b>&amp;c"]);
  });

  test("is made once", () => {
    const s = first("<message/>");
    expect(s.element).toBe(s.element);
  });

  test("is refused where there is not one element", () => {
    for (const text of ["", "text", "<a>&nbsp;</a>"]) expect(() => parseElement(text)).toThrow();
  });
});

describe("prefixes", () => {
  test("of a stanza are taken off: <c:message> is a message", () => {
    const s = first("<c:message xmlns:c='jabber:client' to='a@b'><c:body>hi</c:body></c:message>");
    expect([s.kind, s.name, s.toText, s.childText("body")]).toEqual([MESSAGE, "message", "a@b", "hi"]);
    expect(s.text).toBe("<message xmlns:c='jabber:client' xmlns='jabber:client' to='a@b'><body>hi</body></message>");
  });

  test("of a stream without a default namespace are taken off", () => {
    const header = "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>";
    const s = first("<c:message><c:body>hi</c:body><plain/></c:message>", header);
    expect([s.kind, s.ns, s.childText("body"), s.kidNs(1)]).toEqual([MESSAGE, "jabber:client", "hi", ""]);
  });

  test("that only the stream header declares are declared where they are used", () => {
    const s = first("<message><x:y x:a='1'><x:z/></x:y></message>", HEADER.replace(">", " xmlns:x='urn:x'>"));
    expect(s.text).toBe("<message xmlns='jabber:client'><y xmlns:x='urn:x' xmlns='urn:x' x:a='1'><z/></y></message>");
  });

  test("that nobody outside declares leave the stanza as it came", () => {
    const text = "<message xmlns:q='v'><p:x xmlns:p='u' p:a='1'><p:y/></p:x></message>";
    expect(first(text).text).toBe(text);
  });

  test("xml: stay", () => {
    const s = first("<message><xml:x/></message>");
    expect([s.text, s.kidNs(0)]).toEqual(["<message><xml:x/></message>", "http://www.w3.org/XML/1998/namespace"]);
  });

  test("white space in a namespace is what it was for a reader before and after", () => {
    const s = first("<message><p:x xmlns:p='a&#10;b\nc\r\nd'/><q xmlns='&#117;'/></message>");
    expect([s.kidNs(0), show(parseTree(s.text))]).toEqual([
      "a\nb c d",
      show(parseTree("<message xmlns='jabber:client'><p:x xmlns:p='a&#10;b\nc\r\nd'/><q xmlns='u'/></message>")),
    ]);
  });

  test("references in a namespace are resolved, those that must stay do", () => {
    const s = first("<message><x xmlns='&#117;:&#x78;'/><y xmlns='a&#38;b'/></message>");
    expect([s.kidNs(0), s.kidNs(1), s.has("x", "u:x"), s.has("y", "a&b")]).toEqual(["u:x", "a&b", true, true]);
    expect(s.text).toBe("<message xmlns='jabber:client'><x xmlns='u:x'/><y xmlns='a&amp;b'/></message>");
  });
});

describe("canonicalText", () => {
  const scope = { defaultNs: "urn:default", prefixes: [["p", "urn:p"] as const, ["q", "urn:q"] as const] };
  const around = (text: string): string => `<w xmlns='urn:default' xmlns:p='urn:p' xmlns:q='urn:q'>${text}</w>`;

  test.each([
    "<a/>",
    "<p:a/>",
    "<p:a><b/><p:c/><q:d/></p:a>",
    "<p:a><q:b><c><p:d/></c></q:b></p:a>",
    "<a p:x='1' q:x='2' x='3'><b p:x='4'><c p:x='5'/></b></a>",
    "<p:a xmlns:p='urn:other' p:x='1'><p:b/><q:c xmlns:q='urn:p' p:y='2' q:z='3'/></p:a>",
    "<p:a xmlns='urn:new'><b/><b xmlns=''><c/></b></p:a>",
    "<p:a xmlns=''><b/><q:c><d/></q:c></p:a>",
    "<a><p:b xmlns='urn:z'><c/><p:d/></p:b></a>",
    "<a xmlns='urn:&#x61;&amp;&lt;'><p:b>&lt;<![CDATA[<p:c>]]>tail ]] ></p:b></a>",
    `<p:a b='/>' c="'>"\n d = '&#10;\n' xml:lang='en' ></p:a >`,
    "<xml:a><b/><p:c/></xml:a>",
    "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'><xml:b><p:c/></xml:b></a>",
  ])("of %s means the same and stands alone", (text) => {
    const out = canonicalText(text, scope, 10_000);
    expect(show(parseTree(out))).toBe(show(parseTree(around(text)).children[0] as never));
  });

  test("makes children that can be copied out one by one", () => {
    const out = viewText(canonicalText("<p:a xmlns:r='urn:r' r:x='0'><q:b r:x='1'/></p:a>", scope, 10_000));
    expect(show(parseTree(out.kidXml(0).text))).toBe('<{urn:q}b {urn:r}x="1"></>');
  });

  test("stops when a repeated declaration makes it too long", () => {
    expect(() => canonicalText(`<a xmlns:r='${"u".repeat(100)}'>${"<r:b/>".repeat(20)}</a>`, scope, 1000)).toThrow(
      "element too big",
    );
  });
});

describe("a copy", () => {
  test("has edits of its own", () => {
    const s = first("<message><a/><b/></message>");
    s.removeChild(0);
    const copy = s.clone();
    copy.removeChild(1);
    copy.append(xml`<c/>`);
    expect([s.removed, s.appended, copy.removed, copy.appended]).toEqual([[0], "", [0, 1], "<c/>"]);
  });

  test("takes a change of sender without keeping the old markup", () => {
    const s = first("<message/>");
    s.lead = " from='old'";
    s.from = parseJid("new@x/r")!;
    expect(s.lead).toBe("");
  });
});

test("writes that fail are told to whoever waits for the whole, and to nobody else", async () => {
  const lost: unknown[] = [];
  const note = (reason: unknown): void => void lost.push(reason);
  process.on("unhandledRejection", note);
  try {
    const stanza = viewText("<message to='juliet@localhost'><body>x</body></message>");
    stanza.wait(Promise.resolve());
    stanza.after(() => Promise.resolve());
    stanza.wait(Promise.reject(new Error("the disk is full")));
    await expect(stanza.commit).rejects.toThrow("the disk is full");
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    process.off("unhandledRejection", note);
  }
  expect(lost).toEqual([]);
});
