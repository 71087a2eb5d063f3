import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BareJid,
  bareOf,
  FullJid,
  isFull,
  type Jid,
  JidCache,
  JidError,
  makeBare,
  makeJid,
  parseBareJid,
  parseFullJid,
  parseJid,
  prepareDomain,
  prepareLocal,
  prepareResource,
  sameJid,
  tryParseJid,
  withResource,
} from "../../../core/jid.ts";
import { canonicalDomain, opaqueString, usernameCaseMapped } from "../../../core/precis/index.ts";

function parts(jid: Jid): string[] {
  return [jid.local, jid.domain, jid.resource];
}

function reasonOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof JidError) return error.reason;
    throw error;
  }
  return "no error";
}

describe("RFC 7622 §3.5, table 1: JIDs", () => {
  test.each([
    [1, "juliet@example.com", ["juliet", "example.com", ""]],
    [2, "juliet@example.com/foo", ["juliet", "example.com", "foo"]],
    [3, "juliet@example.com/foo bar", ["juliet", "example.com", "foo bar"]],
    [4, "juliet@example.com/foo@bar", ["juliet", "example.com", "foo@bar"]],
    [5, "foo\\20bar@example.com", ["foo\\20bar", "example.com", ""]],
    [6, "fussball@example.com", ["fussball", "example.com", ""]],
    [7, "fu\u00DFball@example.com", ["fu\u00DFball", "example.com", ""]],
    [8, "\u03C0@example.com", ["\u03C0", "example.com", ""]],
    [9, "\u03A3@example.com/foo", ["\u03C3", "example.com", "foo"]],
    [10, "\u03C3@example.com/foo", ["\u03C3", "example.com", "foo"]],
    [11, "\u03C2@example.com/foo", ["\u03C2", "example.com", "foo"]],
    [12, "king@example.com/\u265A", ["king", "example.com", "\u265A"]],
    [13, "example.com", ["", "example.com", ""]],
    [14, "example.com/foobar", ["", "example.com", "foobar"]],
    [15, "a.example.com/b@example.net", ["", "a.example.com", "b@example.net"]],
  ])("%i: %s", (_, text, expected) => {
    expect(parts(parseJid(text))).toEqual(expected);
  });
});

describe("RFC 7622 §3.5, table 2: texts that are no JIDs", () => {
  test.each([
    [16, '"juliet"@example.com', "bad-local"],
    [17, "foo bar@example.com", "bad-local"],
    [19, "@example.com/", "empty-local"],
    [20, "henry\u2163@example.com", "bad-local"],
    [21, "\u265A@example.com", "bad-local"],
    [22, "juliet@", "empty-domain"],
    [23, "/foobar", "empty-domain"],
  ])("%i: %s", (_, text, reason) => {
    expect(reasonOf(() => parseJid(text))).toBe(reason);
  });

  test("18 is a JID after all: erratum 4560 struck it out, OpaqueString allows a leading space", () => {
    expect(parseJid("juliet@example.com/ foo").resource).toBe(" foo");
  });
});

describe("parsing", () => {
  test("a domain may have an underscore, as hosts on private networks do", () => {
    expect(parseJid("juliet@my_host.local").text).toBe("juliet@my_host.local");
  });

  test.each([
    ["JULIET@Example.COM/Balcony", "juliet@example.com/Balcony"],
    ["Example.COM/Balcony", "example.com/Balcony"],
    ["juliet@example.com.", "juliet@example.com"],
    ["juliet@example.com./balcony", "juliet@example.com/balcony"],
    ["example.com//a/@b/", "example.com//a/@b/"],
    ["juliet@192.0.2.1", "juliet@192.0.2.1"],
    ["juliet@[2001:DB8:0:0::1]/x", "juliet@[2001:db8::1]/x"],
    ["juliet@b\u00FCcher.example", "juliet@b\u00FCcher.example"],
    ["juliet@XN--bcher-kva.example", "juliet@b\u00FCcher.example"],
    ["juliet@fa\u00DF.example", "juliet@fa\u00DF.example"],
    ["juliet@B\u0055\u0308CHER.example", "juliet@b\u00FCcher.example"],
    ["juliet@example\u3002com\u3002", "juliet@example.com"],
    ["\uFF2A\uFF35\uFF2C@example.com", "jul@example.com"],
    ["\u0416\u0423\u041A@example.com/\u0416\u3000\u0416", "\u0436\u0443\u043A@example.com/\u0416 \u0416"],
    ["A\u030A@example.com/A\u030A", "\u00E5@example.com/\u00C5"],
  ])("%s is read as %s", (text, canonical) => {
    expect(parseJid(text).text).toBe(canonical);
  });

  test.each([
    ["", "empty-domain"],
    ["@example.com", "empty-local"],
    ["juliet@example.com/", "empty-resource"],
    ["juliet@.", "empty-domain"],
    ["juliet@example..com", "bad-domain"],
    ["juliet@example.com..", "bad-domain"],
    ["juliet@romeo@example.com", "bad-domain"],
    ["juliet@-example.com", "bad-domain"],
    ["juliet@example-.com", "bad-domain"],
    ["juliet@ab--cd.com", "bad-domain"],
    ["juliet@xn--a.example", "bad-domain"],
    ["juliet@\u2764.example", "bad-domain"],
    ["juliet@a\u30FBb.example", "bad-domain"],
    ["juliet@\u05D0b.example", "bad-domain"],
    ["juliet@a\uFF20b.example", "bad-domain"],
    ["juliet@[::1", "bad-domain"],
    ["juliet@[fe80::1%25eth0]", "bad-domain"],
    ["juliet@[::1]:5222", "bad-domain"],
    [`juliet@${"a".repeat(64)}.example`, "long-domain"],
    [`juliet@${"a.".repeat(127)}example`, "long-domain"],
    ["a\uFF20b@example.com", "bad-local"],
    ["a\u00A0b@example.com", "bad-local"],
    ["a&b@example.com", "bad-local"],
    ["a'b@example.com", "bad-local"],
    ["a:b@example.com", "bad-local"],
    ["a<b@example.com", "bad-local"],
    ["a>b@example.com", "bad-local"],
    ["a\u{1F600}@example.com", "bad-local"],
    ["\u05D0b@example.com", "bad-local"],
    ["juliet@example.com/a\u0007b", "bad-resource"],
    ["juliet@example.com/\u{1F468}\u200D\u{1F469}", "bad-resource"],
    ["juliet@example.com/\uD800", "bad-resource"],
  ])("%j is refused: %s", (text, reason) => {
    expect(reasonOf(() => parseJid(text))).toBe(reason);
  });

  test("a part of 1023 bytes is accepted", () => {
    expect(parseJid(`${"a".repeat(1023)}@example.com/${"b".repeat(1023)}`).local).toHaveLength(1023);
  });

  test.each([
    [`${"a".repeat(1024)}@example.com`, "long-local"],
    [`juliet@example.com/${"b".repeat(1024)}`, "long-resource"],
    [`juliet@example.com/${"\u00E9".repeat(512)}`, "long-resource"],
  ])("a part of 1024 bytes is refused", (text, reason) => {
    expect(reasonOf(() => parseJid(text))).toBe(reason);
  });

  test("the length counts after preparation: 1100 characters that compose to fewer bytes are accepted", () => {
    expect(Buffer.byteLength(parseJid(`example.com/${"e\u0301".repeat(500)}`).resource)).toBe(1000);
  });

  test.each([
    ["a".repeat(1 << 20), "long-domain"],
    [`${"\u00E9".repeat(1 << 20)}@example.com`, "long-local"],
    [`juliet@example.com/${"\u200C".repeat(1 << 20)}`, "long-resource"],
    [`juliet@${"\u00FC.".repeat(1 << 19)}`, "long-domain"],
    ["@".repeat(1 << 20), "empty-local"],
  ])("a text of a million characters is refused before work", (text, reason) => {
    const start = performance.now();
    expect(reasonOf(() => parseJid(text))).toBe(reason);
    expect(performance.now() - start).toBeLessThan(50);
  });

  test("the worst text that is not too long costs little", () => {
    const zwnj = "\u0628\u064B\u200C".repeat(341);
    tryParseJid(`${zwnj}@\u05D0.example`); // loads the tables
    const start = performance.now();
    tryParseJid(`${zwnj}@${"\u0300".repeat(1023)}/${"\u30FB".repeat(1023)}`);
    tryParseJid(`juliet@xn--${"\u00E9".repeat(1000)}/${zwnj}`);
    tryParseJid(`juliet@xn--${"a".repeat(1000)}/${zwnj}`);
    expect(performance.now() - start).toBeLessThan(100);
  });
});

describe("errors", () => {
  test("a message names the part, the text and the character", () => {
    expect(() => parseJid("foo bar@example.com")).toThrow(
      'Cannot use "foo bar" as the localpart of a JID: U+0020 is not allowed',
    );
  });

  test("a message quotes no more than 80 characters", () => {
    expect(() => prepareLocal("a b".repeat(300))).toThrow(/^.{1,160}$/);
  });

  test("tryParseJid gives undefined", () => {
    expect(tryParseJid("@")).toBeUndefined();
  });
});

describe("bare and full", () => {
  const juliet = parseBareJid("juliet@example.com");
  const balcony = parseFullJid("juliet@example.com/balcony");

  test("a full JID has a bare one", () => expect(sameJid(balcony.bare, juliet)).toBe(true));
  test("a bare JID is its own bare JID", () => expect(juliet.bare).toBe(juliet));
  test("bareOf takes both", () =>
    expect([bareOf(juliet).text, bareOf(balcony).text]).toEqual([juliet.text, juliet.text]));
  test("isFull tells them apart", () => expect([isFull(juliet), isFull(balcony)]).toEqual([false, true]));
  test("a string of a JID is its text", () => expect(`${balcony}`).toBe("juliet@example.com/balcony"));
  test("parseBareJid refuses a resource", () => {
    expect(reasonOf(() => parseBareJid("juliet@example.com/x"))).toBe("not-bare");
  });
  test("parseFullJid refuses a bare JID", () => {
    expect(reasonOf(() => parseFullJid("juliet@example.com"))).toBe("not-full");
  });
  test("withResource prepares the resource", () => {
    expect(withResource(juliet, "a\u00A0b").text).toBe("juliet@example.com/a b");
  });
  test("withResource refuses an empty resource", () => {
    expect(reasonOf(() => withResource(juliet, ""))).toBe("empty-resource");
  });
  test("makeJid prepares each part", () =>
    expect(makeJid("Juliet", "Example.COM.", "B").text).toBe("juliet@example.com/B"));
  test("makeJid without a resource is bare", () => expect(makeJid("juliet", "example.com")).toBeInstanceOf(BareJid));
  test("makeBare with an empty localpart is a domain", () =>
    expect(makeBare("", "example.com").text).toBe("example.com"));
});

// A text with its parts near the rules: letters, the special ASCII characters, scripts with rules of their own.
const piece = fc.constantFrom(
  ...[
    "a",
    "B",
    "9",
    "-",
    ".",
    "_",
    " ",
    "@",
    "/",
    ":",
    "&",
    "\\",
    "xn--",
    "[",
    "]",
    "\u00DF",
    "\u0130",
    "\u03A3",
    "\u0391",
  ],
  ...["\u0301", "\u05D0", "\u0628", "\u0660", "\u06F0", "\u200C", "\u200D", "\u094D", "\u30FB", "\u3042", "\uFF21"],
  ...[
    "\uFF20",
    "\uFF76\uFF9E",
    "\u3000",
    "\u3002",
    "\u2163",
    "\u265A",
    "\u{1F600}",
    "\uD800",
    "\u1E9E",
    "\u0345",
    "\u212A",
  ],
);
const nearJid = fc
  .array(piece, { maxLength: 12 })
  .map((pieces) => pieces.join(""))
  .chain((text) => fc.constantFrom(text, `${text}@example.com`, `a@${text}`, `a@b/${text}`));
const anyText = fc.oneof(nearJid, fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));
const asciiText = fc.string({
  unit: fc.constantFrom(...Array.from({ length: 128 }, (_, i) => String.fromCharCode(i))),
});

describe("properties", () => {
  test("parsing a canonical text again changes nothing", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const jid = tryParseJid(text);
        fc.pre(jid !== undefined);
        expect(parts(parseJid(jid.text))).toEqual(parts(jid));
      }),
      { numRuns: 3000 },
    );
  });

  test("nothing but JidError is thrown", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(reasonOf(() => parseJid(text))).toMatch(/^(no error|(empty|long|bad)-(local|domain|resource))$/);
      }),
      { numRuns: 3000 },
    );
  });

  test("the short way through ASCII agrees with the profiles", () => {
    const outcome = (act: () => string) => {
      try {
        return act();
      } catch {
        return undefined;
      }
    };
    const localByProfile = (text: string) => {
      const name = usernameCaseMapped(text);
      if (/["&'/:<>@]/.test(name)) throw new Error("excluded by RFC 7622 §3.3.1");
      return name;
    };
    fc.assert(
      fc.property(fc.oneof(asciiText, fc.stringMatching(/^[A-Za-z0-9.-]{1,12}$/)), (text) => {
        expect(outcome(() => prepareLocal(text))).toBe(outcome(() => localByProfile(text)));
        expect(outcome(() => prepareDomain(text))).toBe(outcome(() => canonicalDomain(text)));
        expect(outcome(() => prepareResource(text))).toBe(outcome(() => opaqueString(text)));
      }),
      { numRuns: 5000 },
    );
  });

  test("a JID read whole equals one made of its prepared parts", () => {
    const label = fc
      .stringMatching(/^[A-Za-z0-9]([A-Za-z0-9-]{0,5}[A-Za-z0-9])?$/)
      .filter((l) => l.slice(2, 4) !== "--");
    const domain = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
    const local = fc.stringMatching(/^[A-Za-z0-9!#$%()*+,.=?[\]^_`{|}~-]{1,8}$/);
    const resource = fc.stringMatching(/^[ -~]{1,8}$/);
    fc.assert(
      fc.property(fc.option(local, { nil: "" }), domain, fc.option(resource, { nil: undefined }), (l, d, r) => {
        const text = `${l === "" ? "" : `${l}@`}${d}${r === undefined ? "" : `/${r}`}`;
        const [read, made] = [parseJid(text), makeJid(l, d, r)];
        expect([...parts(read), read.text]).toEqual([...parts(made), made.text]);
        expect([read.bare.text, read.bare.domain]).toEqual([made.bare.text, made.bare.domain]);
      }),
    );
  });
});

describe("JidCache", () => {
  test("gives the same object for the same text", () => {
    const cache = new JidCache(10);
    expect(cache.parse("juliet@example.com/x")).toBe(cache.parse("juliet@example.com/x"));
  });

  test("reads what parseJid reads", () => {
    expect(parts(new JidCache(10).parse("JULIET@Example.com/X")!)).toEqual(["juliet", "example.com", "X"]);
  });

  test("gives undefined for a text that is no JID and keeps nothing", () => {
    const cache = new JidCache(10);
    expect([cache.parse("@"), cache.size]).toEqual([undefined, 0]);
  });

  test("never holds more than its bound", () => {
    const cache = new JidCache(100);
    for (let i = 0; i < 1000; i++) cache.parse(`u${i}@d${i}.example`);
    expect(cache.size).toBeLessThanOrEqual(100);
  });

  test("keeps what is used while others come and go", () => {
    const cache = new JidCache(20);
    const kept = cache.parse("juliet@example.com");
    for (let i = 0; i < 1000; i++) {
      cache.parse(`u${i}@example.com`);
      expect(cache.parse("juliet@example.com")).toBe(kept);
    }
  });

  test("forgets what is not used", () => {
    const cache = new JidCache(20);
    const first = cache.parse("juliet@example.com");
    for (let i = 0; i < 100; i++) cache.parse(`u${i}@example.com`);
    expect(cache.parse("juliet@example.com")).not.toBe(first);
  });

  test("a full JID shares the bare JID that is kept", () => {
    const cache = new JidCache(10);
    const bare = cache.parse("juliet@example.com");
    expect(cache.parse("Juliet@example.com/x")?.bare).toBe(bare);
  });

  test("parses but does not keep a long text", () => {
    const cache = new JidCache(10);
    expect(cache.parse(`juliet@example.com/${"x".repeat(500)}`)).toBeInstanceOf(FullJid);
    expect(cache.size).toBe(0);
  });
});
