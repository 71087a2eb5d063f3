// The framer: what it lets through, what it refuses and with which stream error (RFC 6120 §4.9.3, §11).

import { describe, expect, test } from "vitest";
import { Framer, ScanPool, viewElement, viewText } from "../../../../core/xml/framer.ts";
import { DEFAULT_LIMITS, FrameError } from "../../../../core/xml/scan.ts";
import { first, HEADER, inStream, Notes, verdict } from "./frames.ts";

describe("a stream header", () => {
  test.each([
    HEADER,
    `<?xml version='1.0'?>${HEADER}`,
    `<?xml version="1.0" encoding="utf-8" standalone='no' ?>\r\n${HEADER}`,
    `<?xml\n\tversion = '1.1'?>${HEADER}`,
    ` \n<?xml version='1.0'?>${HEADER}`,
    "<stream xmlns='http://etherx.jabber.org/streams'>",
  ])("is taken: %s", (text) => {
    const notes = new Notes().feed(text);
    expect([notes.outcome, notes.headers.length]).toEqual(["", 1]);
  });

  test("is a view with the header's attributes", () => {
    const [header] = new Notes().feed(`<stream:stream from='a@b' id='"' xml:lang="de" ${HEADER.slice(15)}`).headers;
    expect([header.name, header.ns]).toEqual(["stream", "http://etherx.jabber.org/streams"]);
    expect([header.toText, header.fromText, header.id, header.lang]).toEqual(["example.com", "a@b", '"', "de"]);
    expect([header.attr("version"), header.attr("xmlns"), header.attr("nothing")]).toEqual([
      "1.0",
      "jabber:client",
      undefined,
    ]);
    expect([header.childCount, header.innerXml]).toEqual([0, ""]);
  });

  test.each([
    ["RFC 6120 §11.6: another encoding", "<?xml version='1.0' encoding='latin1'?>", "unsupported-encoding"],
    ["an XML declaration of no version", "<?xml encoding='utf-8'?>", "not-well-formed"],
    ["an XML declaration of version 2", "<?xml version='2.0'?>", "not-well-formed"],
    ["an XML declaration with a no-break space", "<?xml\u00a0version='1.0'?>", "restricted-xml"],
    ["a standalone that is neither yes nor no", "<?xml version='1.0' standalone='maybe'?>", "not-well-formed"],
    ["two XML declarations", "<?xml version='1.0'?><?xml version='1.0'?>", "restricted-xml"],
    ["a processing instruction", "<?php version='1.0'?>", "restricted-xml"],
    ["a processing instruction after the declaration", "<?xml version='1.0'?><?a?>", "restricted-xml"],
    ["a comment", "<!-- hello -->", "restricted-xml"],
    ["a document type", "<!DOCTYPE stream>", "restricted-xml"],
    ["text", "GET / HTTP/1.1\r\n", "not-well-formed"],
    ["a byte order mark", "\ufeff", "not-well-formed"],
    ["a TLS hello", "\u0016\u0003\u0001", "not-well-formed"],
    ["an end tag", "</stream:stream>", "not-well-formed"],
  ])("does not follow %s", (_, before, condition) => {
    expect(verdict(before + HEADER)).toBe(condition);
  });

  test("that uses a prefix must bind it", () => {
    expect(verdict("<stream:stream to='example.com'>")).toBe("bad-namespace-prefix");
  });

  test("that closes itself ends the stream", () => {
    const notes = new Notes().feed("<s/>");
    expect([notes.headers.length, notes.outcome]).toEqual([1, "end"]);
  });
});

describe("the end of a stream", () => {
  test.each(["</stream:stream>", "</stream:stream \n>", " </stream:stream>"])("is %j", (text) => {
    expect(inStream(text)).toBe("end");
  });

  test.each(["</stream>", "</stream:streams>", "</stream:stream/>", "</ stream:stream>", "</stream:strea>", "</>"])(
    "is not %s",
    (text) => {
      expect(inStream(text)).toBe("not-well-formed");
    },
  );

  test("is the end of reading: what follows is not looked at", () => {
    const notes = new Notes().feed(HEADER, "</stream:stream><<<", "<<<");
    expect([notes.outcome, notes.what, notes.framer.buffered]).toEqual(["end", "", 0]);
  });

  test("after an error nothing is read either", () => {
    const notes = new Notes().feed(HEADER, "<a></b>", "<message/>");
    expect([notes.outcome, notes.elements.length]).toEqual(["not-well-formed", 0]);
  });
});

describe("inside a stream", () => {
  test.each([
    ["an empty element", "<a/>"],
    ["an empty element with white space", "<a \r\n\t/>"],
    ["an end tag with white space", "<a></a \n>"],
    ["both quotes", `<a b='"' c="'"/>`],
    ["'>' and '/>' in an attribute", "<a b='>' c='/>'>></a>"],
    ["white space round '='", "<a b\n=\t'1'/>"],
    ["the five entities (XML 1.0 §4.6)", "<a b='&lt;&gt;&amp;&quot;&apos;'>&lt;&gt;&amp;&quot;&apos;</a>"],
    ["character references", "<a b='&#9;&#xA;'>&#13;&#x20;&#xD7FF;&#xe000;&#65533;&#x10FFFF;</a>"],
    ["CDATA", "<a><![CDATA[<b>&nothing;]] ]]]]><![CDATA[]]></a>"],
    ["brackets", "<a>]] ]> ]]&gt;</a>"],
    ["names beyond ASCII", "<\u00e9l\u00e9ment \u0436='1' _='2'><a\u00b7\u0300/><\u{10400}/></\u00e9l\u00e9ment>"],
    ["characters of every length", "<a>\u007f\u0080\u07ff\u0800\ud7ff\ue000\ufffd\u{10000}\u{1fffe}\u{10ffff}</a>"],
    ["white space between stanzas", " \n<a/>\r\n\t<b/> "],
    ["a declared prefix", "<p:a xmlns:p='u' p:b='1'><p:c/></p:a>"],
    ["a prefix declared after its use", "<p:a p:b='1' xmlns:p='u'/>"],
    ["a prefix of the stream header", "<stream:error stream:a='1'/>"],
    ["no default namespace", "<a xmlns=''/>"],
    ["the xml prefix", "<a xml:lang='en' xml:id='x'><xml:b/></a>"],
    ["the xml prefix bound to its own (Namespaces §3)", "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>"],
    ["prefixes that begin like xmlns", "<a xmlnsx='1' xmln:b='2' xmlns:xmln='u' xmlns:xmlnsx='u'/>"],
    ["one local name in two namespaces", "<a xmlns:p='u' xmlns:q='v' p:b='1' q:b='2' b='3'/>"],
  ])("%s may stand", (_, text) => {
    expect(inStream(text)).toBe("ok");
  });

  test.each([
    ["comments", "<!-- -->"],
    ["comments in a stanza", "<a><!-- --></a>"],
    ["processing instructions", "<?a b?>"],
    ["processing instructions in a stanza", "<a><?a?></a>"],
    ["a second XML declaration", "<?xml version='1.0'?>"],
    ["document types", "<!DOCTYPE a>"],
    ["document types in a stanza", "<a><!DOCTYPE a></a>"],
    ["entities other than the five", "<a>&nbsp;</a>"],
    ["such entities in attributes", "<a b='&nbsp;'/>"],
  ])("RFC 6120 §11.1: %s are restricted", (_, text) => {
    expect(inStream(text)).toBe("restricted-xml");
  });

  test.each(["text", "&#32;", "\u00a0", "]]>", "<a/>x"])(
    "RFC 6120 §4.9.3.1: %j between stanzas is a bad format",
    (text) => {
      expect(inStream(text)).toBe("bad-format");
    },
  );

  test.each([
    ["an end tag of another element", "<a></b>"],
    ["an end tag of the outer element first", "<a><b></a></b>"],
    ["an end tag that is longer", "<a></ab>"],
    ["an end tag that is shorter", "<ab></a>"],
    ["an end tag in other letters", "<a></A>"],
    ["an end tag with attributes", "<a></a b='1'>"],
    ["an end tag that closes itself", "<a></a/>"],
    ["an end tag with a space in front", "<a></ a>"],
    ["a tag with a space in front", "< a/>"],
    ["a tag without a name", "<>"],
    ["a slash inside a tag", "<a / >"],
    ["a name that starts with a digit", "<1a/>"],
    ["a name that starts with a combining mark", "<\u0300a/>"],
    ["a name with a multiplication sign", "<a\u00d7/>"],
    ["a name with two colons", "<stream:a:b/>"],
    ["a name that starts with a colon", "<:a/>"],
    ["a name that ends with a colon", "<stream:/>"],
    ["a local part that starts with a digit", "<stream:1/>"],
    ["a prefix that starts with a digit", "<a xmlns:1='u'/>"],
    ["an attribute without a value", "<a b/>"],
    ["an attribute without quotes", "<a b=1/>"],
    ["an attribute without a name", "<a ='1'/>"],
    ["attributes without white space between", "<a b='1'c='2'/>"],
    ["an attribute twice", "<a b='1' b='2'/>"],
    ["an attribute twice, by namespace", "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>"],
    ["an attribute twice, by a namespace in references", "<a xmlns:p='u' xmlns:q='&#117;' p:b='1' q:b='2'/>"],
    ["'<' in an attribute", "<a b='<'/>"],
    ["']]>' in text", "<a>]]></a>"],
    ["a control character", "<a>\u0001</a>"],
    ["a NUL", "<a>\0</a>"],
    ["a control character in an attribute", "<a b='\u001f'/>"],
    ["a control character in CDATA", "<a><![CDATA[\b]]></a>"],
    ["U+FFFE", "<a>\ufffe</a>"],
    ["U+FFFF in an attribute", "<a b='\uffff'/>"],
    ["a lone '&'", "<a>& </a>"],
    ["a reference without its end", "<a>&lt</a>"],
    ["an empty reference", "<a>&;</a>"],
    ["a reference to NUL", "<a>&#0;</a>"],
    ["a reference to a surrogate", "<a>&#xD800;</a>"],
    ["a reference beyond Unicode", "<a>&#x110000;</a>"],
    ["a reference to U+FFFE", "<a>&#xFFFE;</a>"],
    ["a reference without digits", "<a>&#;</a>"],
    ["a hexadecimal reference with a capital X", "<a>&#X41;</a>"],
    ["a decimal reference with letters", "<a>&#4f;</a>"],
    ["CDATA between stanzas", "<![CDATA[ ]]>"],
    ["CDATA in small letters", "<a><![cdata[]]></a>"],
    ["half a comment", "<a><!- -></a>"],
    ["an empty binding of a prefix (Namespaces §5)", "<a xmlns:p=''/>"],
    ["xml bound to another namespace (Namespaces §3)", "<a xmlns:xml='u'/>"],
    ["another prefix bound to xml's namespace", "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>"],
    ["the same in references", "<a xmlns:p='http:&#47;/www.w3.org/XML/1998/namespace'/>"],
    ["xml's namespace as the default one", "<a xmlns='http://www.w3.org/XML/1998/namespace'/>"],
    ["xmlns bound", "<a xmlns:xmlns='u'/>"],
    ["a prefix bound to xmlns's namespace", "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>"],
    ["the same in references, as the default", "<a xmlns='http://www.w3.org/2000/xmlns&#x2F;'/>"],
  ])("%s is not well-formed", (_, text) => {
    expect(inStream(text)).toBe("not-well-formed");
  });

  test.each([
    ["a stray continuation byte", [0x80]],
    ["a byte that no character has", [0xff]],
    ["an overlong '/'", [0xc0, 0xaf]],
    ["an overlong three-byte form", [0xe0, 0x9f, 0xbf]],
    ["an overlong four-byte form", [0xf0, 0x8f, 0xbf, 0xbf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["what is beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
    ["a character that is cut short", [0xe2, 0x82, 0x20]],
  ])("%s is not UTF-8, in text, attributes, CDATA and names", (_, bytes) => {
    for (const [before, after] of [
      ["<a>", "</a>"],
      ["<a b='", "'/>"],
      ["<a><![CDATA[", "]]></a>"],
      ["<a", "/>"],
      ["<a b", "='1'/>"],
    ]) {
      expect(inStream(Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]))).toBe(
        "not-well-formed",
      );
    }
  });

  test.each([
    ["an element", "<p:a/>"],
    ["a child", "<a><p:b/></a>"],
    ["an attribute", "<a p:b='1'/>"],
    ["a sibling of the element that declares it", "<a><b xmlns:p='u'/><p:c/></a>"],
    ["the parent of the element that declares it", "<p:a><b xmlns:p='u'/></p:a>"],
    ["an element in the xmlns prefix", "<xmlns:a/>"],
    ["a prefix that is another one with a byte order mark", "<a xmlns:p='u'><\ufeffp:b/></a>"],
    ["the same of the stream header", "<\ufeffstream:b/>"],
  ])("RFC 6120 §4.9.3.2: an unbound prefix of %s is a bad namespace prefix", (_, text) => {
    expect(inStream(text)).toBe("bad-namespace-prefix");
  });

  test("a declaration of one stanza does not reach the next", () => {
    expect(inStream("<a xmlns:p='u'/><p:b/>")).toBe("bad-namespace-prefix");
  });
});

describe("limits", () => {
  const pieces = (text: string, limits: object): string[] =>
    [1, 7, 10_000].map((size) => {
      const notes = new Notes(limits).feed("<s>");
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; at += size) notes.feed(bytes.subarray(at, at + size));
      return notes.outcome || "ok";
    });

  // What is just within the limit, and just over it.
  test.each([
    ["size", { size: 20 }, "<a>4567890123456</a>", "<a>45678901234567</a>"],
    ["depth", { depth: 3 }, "<a><b><c/></b></a>", "<a><b><c><d/></c></b></a>"],
    ["attributes", { attributes: 2 }, "<a b='1' c='2'/>", "<a b='1' c='2' d='3'/>"],
    ["tag", { tag: 200 }, `<a b='${"x".repeat(191)}'/>`, `<a b='${"x".repeat(192)}'/>`],
    ["end tag", { tag: 200 }, `<a></a${" ".repeat(196)}>`, `<a></a${" ".repeat(197)}>`],
    ["elements", { elements: 3 }, "<a><b/><c/></a><a><b/><c/></a>", "<a><b/><c/><d/></a>"],
  ])("of %s hold however the bytes arrive", (_, limits, within, over) => {
    expect(pieces(within, limits)).toEqual(["ok", "ok", "ok"]);
    expect(pieces(over, limits)).toEqual(["policy-violation", "policy-violation", "policy-violation"]);
  });

  test("hold for an element that has not ended", () => {
    expect(inStream(`<a>${"x".repeat(100)}`, { size: 90 })).toBe("policy-violation");
  });

  test("hold for a header", () => {
    const header = `<s a='${"x".repeat(300)}'>`;
    expect(verdict(header, { tag: 300 })).toBe("policy-violation");
    expect(new Notes({ tag: 300 }).feed(header.slice(0, 301)).outcome).toBe("policy-violation");
    expect(verdict(header, { tag: header.length })).toBe("ok");
  });

  test("hold for a stanza whose prefixes are written out", () => {
    const text = `<a xmlns:p='${"u".repeat(50)}'>${"<p:b/>".repeat(20)}</a>`;
    expect(inStream(text, { size: 10_000 })).toBe("ok");
    expect(inStream(text, { size: 1000 })).toBe("policy-violation");
  });

  test("may be changed while the stream goes on", () => {
    const notes = new Notes({ size: 10 }).feed(HEADER);
    notes.framer.limits = DEFAULT_LIMITS;
    expect(notes.feed(`<a>${"x".repeat(100)}</a>`).elements.length).toBe(1);
  });
});

describe("a new stream on the same connection", () => {
  test("is read after restart: prefixes of the old one are forgotten", () => {
    const notes = new Notes().feed("<s xmlns:p='u'>", "<p:a/>");
    notes.framer.restart();
    notes.feed("<?xml version='1.0'?><s>", "<p:a/>");
    expect([notes.headers.length, notes.elements.length, notes.outcome]).toEqual([2, 1, "bad-namespace-prefix"]);
  });

  test("may be in the bytes that came with the element before it (RFC 6120 §6.4.6)", () => {
    const notes = new Notes();
    notes.onElement = (s) => {
      if (s.name === "auth") notes.framer.restart();
    };
    notes.feed(HEADER, `<auth/>\n<?xml version='1.0'?>${HEADER}<message/>`);
    expect([notes.headers.length, notes.elements.map((s) => s.name)]).toEqual([2, ["auth", "message"]]);
  });

  test.each([false, true])(
    "RFC 6120 §5.4.3.3: what came in clear behind <starttls/> is not read after restart(false), waiting: %s",
    (wait) => {
      const notes = new Notes();
      notes.onElement = (s) => {
        if (s.name === "starttls") notes.framer.restart(false);
      };
      notes.feed(HEADER);
      notes.wait = wait;
      notes.feed(`<starttls/>${HEADER}<injected/>`);
      notes.wait = false;
      notes.framer.resume();
      expect([notes.headers.length, notes.framer.buffered]).toEqual([1, 0]);
      notes.feed(`${HEADER}<message/>`);
      expect(notes.elements.map((s) => s.name)).toEqual(["starttls", "message"]);
    },
  );

  test("restart(false) drops what waits, also between two reads", () => {
    const notes = new Notes().feed(HEADER);
    notes.wait = true;
    notes.feed("<a/><b/>", "<c/>");
    notes.framer.restart(false);
    notes.wait = false;
    notes.framer.resume();
    notes.feed(`${HEADER}<d/>`);
    expect(notes.elements.map((s) => s.name)).toEqual(["a", "d"]);
  });
});

describe("a sink that says wait", () => {
  test("gets the next element after resume, one at a time", () => {
    const notes = new Notes().feed(HEADER);
    notes.wait = true;
    notes.feed("<a/><b/><c/>");
    const seen = [notes.elements.length];
    notes.framer.resume();
    seen.push(notes.elements.length);
    notes.wait = false;
    notes.framer.resume();
    seen.push(notes.elements.length);
    expect(seen).toEqual([1, 2, 3]);
  });

  test("can say so at the header", () => {
    const notes = new Notes();
    notes.wait = true;
    notes.feed(`${HEADER}<a/>`);
    expect(notes.elements.length).toBe(0);
    notes.wait = false;
    notes.framer.resume();
    expect(notes.elements.length).toBe(1);
  });

  test("finds what came meanwhile, in order, though an element was split", () => {
    const notes = new Notes().feed(HEADER);
    notes.wait = true;
    notes.feed("<a/><b>1", "2</b", "><c", "/>");
    expect(notes.framer.buffered).toBe("<b>12</b><c/>".length);
    notes.wait = false;
    notes.framer.resume();
    expect(notes.texts).toEqual(["<a/>", "<b>12</b>", "<c/>"]);
    expect(notes.framer.buffered).toBe(0);
  });

  test("hears of the end, and of what is malformed, only after resume", () => {
    const notes = new Notes().feed(HEADER);
    notes.wait = true;
    notes.feed("<a/></stream:stream>");
    expect(notes.outcome).toBe("");
    notes.framer.resume();
    expect(notes.outcome).toBe("end");
  });

  test("may stop the framer", () => {
    const notes = new Notes().feed(HEADER);
    notes.onElement = () => notes.framer.stop();
    notes.feed("<a/><b/>", "<c/>");
    notes.framer.resume();
    expect([notes.elements.length, notes.outcome, notes.framer.buffered]).toEqual([1, "", 0]);
  });

  test("resume without a wait changes nothing", () => {
    const notes = new Notes().feed(HEADER, "<a");
    notes.framer.resume();
    expect(notes.feed("/>").texts).toEqual(["<a/>"]);
  });

  test("may be replaced by another: a resumed session takes over", () => {
    const [one, two] = [new Notes(), new Notes()];
    one.feed(HEADER, "<a/><b");
    one.framer.sink = two;
    one.feed("/>");
    expect([one.texts, two.texts]).toEqual([["<a/>"], ["<b/>"]]);
  });
});

describe("bytes", () => {
  test("of a stanza stay as they were while others are read", () => {
    const notes = new Notes().feed(HEADER);
    const stanzas = Array.from({ length: 50 }, (_, k) => `<message id='${k}'>${"x".repeat(k * 13)}</message>`);
    const bytes = Buffer.from(stanzas.join(""));
    for (let at = 0; at < bytes.length; at += 101) notes.feed(bytes.subarray(at, at + 101));
    expect(notes.texts).toEqual(stanzas);
  });

  test("are given back to nobody: a framer between stanzas holds none", () => {
    const notes = new Notes().feed(HEADER, "<a", "/>", "  ");
    expect(notes.framer.buffered).toBe(0);
  });

  test("scanners are borrowed, and clean when they are lent again", () => {
    const pool = new ScanPool();
    const notes = [new Notes(), new Notes()];
    const framers = notes.map((n) => new Framer(n, pool, DEFAULT_LIMITS));
    for (const f of framers) f.feed(Buffer.from(HEADER));
    framers[0].feed(Buffer.from("<a to='x' xmlns:p='u'><p:b/><c>"));
    framers[1].feed(Buffer.from("<d><e>"));
    framers[0].feed(Buffer.from("</c></a>"));
    framers[1].feed(Buffer.from("</e></d>"));
    expect(notes[0].elements[0].children.map((c) => `{${c.ns}}${c.name}`)).toEqual(["{u}b", "{jabber:client}c"]);
    expect(notes[1].elements[0].children.map((c) => c.name)).toEqual(["e"]);
    expect([notes[1].elements[0].toText, notes[1].elements[0].ns]).toEqual([undefined, "jabber:client"]);
  });
});

describe("viewElement", () => {
  const fails = (text: string): string => {
    try {
      viewElement(Buffer.from(text), undefined, { ...DEFAULT_LIMITS, size: 100 });
    } catch (error) {
      if (error instanceof FrameError) return error.condition;
      throw error;
    }
    return "ok";
  };

  test.each([
    ["<message xmlns='jabber:client'/>", "ok"],
    ["<a/> \n", "ok"],
    [" <a/>", "not-well-formed"],
    ["", "not-well-formed"],
    ["<a>", "not-well-formed"],
    ["<a", "not-well-formed"],
    ["<a/><b/>", "not-well-formed"],
    ["<a/>x", "not-well-formed"],
    ["</a>", "not-well-formed"],
    ["<?xml version='1.0'?><a/>", "restricted-xml"],
    ["<!-- --><a/>", "restricted-xml"],
    ["<p:a/>", "bad-namespace-prefix"],
    [`<a>${"x".repeat(100)}</a>`, "policy-violation"],
  ])("%j is %s", (text, condition) => {
    expect(fails(text)).toBe(condition);
  });

  test("RFC 7395 §3.3.2: an element says its namespace itself", () => {
    const s = viewElement(
      Buffer.from("<iq xmlns='jabber:client' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"),
    );
    expect([s.kind, s.id, s.has("ping", "urn:xmpp:ping")]).toEqual([3, "1", true]);
  });

  test("viewText takes what the server wrote, as if it stood in a client's stream", () => {
    expect(viewText("<message><body>\u00e9</body></message>").childText("body")).toBe("\u00e9");
  });
});

test("a stanza is found in the stream whatever is around it", () => {
  expect(first(" \n<message/>").text).toBe("<message/>");
});
