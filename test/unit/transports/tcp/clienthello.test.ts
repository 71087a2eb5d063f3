import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HelloResult } from "../../../../transports/tcp/clienthello.ts";
import { ClientHelloReader, MOST_HELLO_BYTES } from "../../../../transports/tcp/clienthello.ts";

/** A value behind its length of `size` bytes. */
function vector(size: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(size);
  length.writeUIntBE(body.length, 0, size);
  return Buffer.concat([length, body]);
}

function extension(type: number, ...data: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, ...data)]);
}

const sni = (name: string, type = 0) => extension(0, vector(2, Buffer.from([type]), vector(2, Buffer.from(name))));
const alpn = (...names: string[]) => extension(16, vector(2, ...names.map((name) => vector(1, Buffer.from(name)))));
const other = extension(43, Buffer.from([2, 3, 4]));

function hello(...extensions: Buffer[]): Buffer {
  const suites = vector(2, Buffer.from([0x13, 0x01]));
  const body = [
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32)),
    suites,
    vector(1, Buffer.alloc(1)),
  ];
  if (extensions.length > 0) body.push(vector(2, ...extensions));
  return Buffer.concat([Buffer.from([1]), vector(3, ...body)]);
}

/** The message in records of at most `size` bytes. */
function records(message: Buffer, size = 16_000): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    parts.push(Buffer.from([0x16, 3, 1]), vector(2, message.subarray(at, at + size)));
  }
  return Buffer.concat(parts);
}

function read(...pieces: Uint8Array[]): HelloResult {
  const reader = new ClientHelloReader();
  let result: HelloResult = "more";
  for (const piece of pieces) {
    result = reader.feed(piece);
    if (result !== "more") break;
  }
  return result;
}

const full = hello(other, sni("A.Example"), alpn("http/1.1", "xmpp-client"));

test.each<[string, Buffer, HelloResult]>([
  ["a name and protocols", records(full), { serverName: "a.example", alpn: ["http/1.1", "xmpp-client"] }],
  ["no extensions at all", records(hello()), { alpn: [] }],
  ["other extensions only", records(hello(other)), { alpn: [] }],
  ["a name of another type", records(hello(sni("a.example", 1))), { alpn: [] }],
  ["a name that is no domain", records(hello(sni("a/../b"))), { alpn: [] }],
  [
    "a message in records of 10 bytes",
    records(full, 10),
    { serverName: "a.example", alpn: ["http/1.1", "xmpp-client"] },
  ],
  ["a message in records of 1 byte", records(hello(sni("a")), 1), { serverName: "a", alpn: [] }],
  ["more bytes after it", Buffer.concat([records(hello(sni("a"))), Buffer.alloc(9)]), { serverName: "a", alpn: [] }],
  ["only the start", records(full).subarray(0, 60), "more"],
  ["XML", Buffer.from("<stream:stream"), "bad"],
  ["an alert", Buffer.from([0x15, 3, 1, 0, 2, 1, 0]), "bad"],
  ["a ServerHello", records(Buffer.concat([Buffer.from([2]), full.subarray(1)])), "bad"],
  ["an empty record", Buffer.from([0x16, 3, 1, 0, 0]), "bad"],
  ["a record that is too long", Buffer.from([0x16, 3, 1, 0xff, 0xff]), "bad"],
  ["another record type in between", Buffer.concat([records(full).subarray(0, 5), full, Buffer.from([0x17])]), "bad"],
  ["an empty message", records(Buffer.from([1, 0, 0, 0])), "bad"],
])("%s", (what, bytes, result) => {
  // In between: the first record says less than the message has.
  if (what === "another record type in between") bytes[4]! -= 1;
  expect(read(bytes)).toEqual(result);
});

describe("lengths that do not fit are refused:", () => {
  const inside = (message: Buffer, at: number, value: number) => {
    const changed = Buffer.from(message);
    changed[at] = value;
    return records(changed);
  };
  test.each([
    ["of the session id", inside(full, 38, 255)],
    ["of the cipher suites", inside(full, 72, 3)],
    ["of the name", inside(hello(sni("abc")), 4 + 2 + 32 + 33 + 4 + 2 + 2 + 4 + 4, 9)],
    ["of a protocol", inside(hello(alpn("abc")), 4 + 2 + 32 + 33 + 4 + 2 + 2 + 4 + 2, 9)],
    ["of the extensions", records(Buffer.concat([hello(other), Buffer.from([0])]).fill(0x30, 3, 4))],
  ])("%s", (_what, bytes) => {
    expect(read(bytes)).toBe("bad");
  });
});

test("the answer does not depend on how it is cut", () => {
  for (const bytes of [records(full), records(full, 20)]) {
    const whole = read(bytes);
    expect(read(...Array.from(bytes, (byte) => new Uint8Array([byte])))).toEqual(whole);
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(whole);
    }
  }
});

test("all that came is kept for the TLS engine", () => {
  const reader = new ClientHelloReader();
  const bytes = Buffer.concat([records(full), Buffer.from("more")]);
  reader.feed(bytes.subarray(0, 50));
  reader.feed(bytes.subarray(50));
  expect(Buffer.from(reader.bytes)).toEqual(bytes);
});

test("a hello beyond the bound is refused, however small its records are", () => {
  const long = hello(extension(21, Buffer.alloc(MOST_HELLO_BYTES)));
  for (const size of [1, 100, 16_000]) expect(read(records(long, size))).toBe("bad");
});

test("random and damaged bytes are refused or waited for within bounds, never thrown at", () => {
  const valid = records(full);
  const damaged = fc
    .tuple(fc.nat(valid.length - 1), fc.nat(255))
    .map(([at, value]) => Buffer.from(valid).fill(value, at, at + 1));
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.concat([Buffer.from([0x16, 3]), bytes]));
  fc.assert(
    fc.property(fc.oneof(damaged, random), (bytes) => {
      const result = read(bytes);
      if (result === "more") expect(read(bytes, Buffer.alloc(MOST_HELLO_BYTES + 1))).not.toBe("more");
    }),
    { numRuns: 1000 },
  );
});
