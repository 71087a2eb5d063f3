import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProxyResult } from "../../../../transports/tcp/proxy.ts";
import { ProxyReader } from "../../../../transports/tcp/proxy.ts";

/** Feeds the pieces one by one until there is an answer. */
function read(...pieces: (string | Uint8Array)[]): ProxyResult {
  const reader = new ProxyReader();
  let result: ProxyResult = "more";
  for (const piece of pieces) {
    result = reader.feed(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
    if (result !== "more") break;
  }
  return result;
}

function shown(result: ProxyResult) {
  return typeof result === "string" ? result : [result.address, result.port, Buffer.from(result.rest).toString()];
}

function v2(command: number, familyAndProtocol: number, body: Uint8Array, length = body.length): Buffer {
  const head = Buffer.from([0x20 | command, familyAndProtocol, length >> 8, length & 255]);
  return Buffer.concat([Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), head, body]);
}

const V4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x14, 0x66]);
const V6 = Buffer.concat([Buffer.from("20010db8000000000000000000000001", "hex"), Buffer.alloc(16), V4.subarray(8)]);
const MAPPED = Buffer.concat([
  Buffer.from("00000000000000000000ffffc0000201", "hex"),
  Buffer.alloc(16),
  V4.subarray(8),
]);

describe("version 1", () => {
  test.each([
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 5222\r\n<stream", ["192.0.2.1", 56324, "<stream"]],
    ["PROXY TCP6 2001:db8:0:0::1 ::1 1 65535\r\n", ["2001:db8::1", 1, ""]],
    ["PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ["192.0.2.1", 1, ""]],
    ["PROXY UNKNOWN\r\nx", [undefined, undefined, "x"]],
    ["PROXY UNKNOWN ffff::1 ::1 1 2\r\nx", [undefined, undefined, "x"]],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 5222", "more"],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 5222\r", "more"],
  ])("%j", (header, result) => {
    expect(shown(read(header))).toEqual(result);
  });

  test.each([
    "PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n",
    "PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
    "PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "<stream:stream to='localhost'>",
    `PROXY UNKNOWN ${"x".repeat(100)}\r\n`,
    `PROXY TCP4 ${"1".repeat(200)}`,
  ])("%j is refused", (header) => {
    expect(read(header)).toBe("bad");
  });
});

describe("version 2", () => {
  test.each<[string, Buffer, unknown]>([
    ["TCP over IPv4", v2(1, 0x11, V4), ["192.0.2.1", 56324, ""]],
    ["TCP over IPv6", v2(1, 0x21, V6), ["2001:db8::1", 56324, ""]],
    ["IPv4 within IPv6", v2(1, 0x21, MAPPED), ["192.0.2.1", 56324, ""]],
    ["extensions after the addresses", v2(1, 0x11, Buffer.concat([V4, Buffer.alloc(100)])), ["192.0.2.1", 56324, ""]],
    ["the client's bytes after it", Buffer.concat([v2(1, 0x11, V4), Buffer.from("<s")]), ["192.0.2.1", 56324, "<s"]],
    ["LOCAL", v2(0, 0x11, V4), [undefined, undefined, ""]],
    ["LOCAL without addresses", v2(0, 0, Buffer.alloc(0)), [undefined, undefined, ""]],
    ["UNSPEC", v2(1, 0, Buffer.alloc(0)), [undefined, undefined, ""]],
    ["a Unix socket", v2(1, 0x31, Buffer.alloc(216)), [undefined, undefined, ""]],
    ["half a header", v2(1, 0x11, V4).subarray(0, 20), "more"],
    ["addresses too short for IPv4", v2(1, 0x11, V4.subarray(0, 11)), "bad"],
    ["addresses too short for IPv6", v2(1, 0x21, V4), "bad"],
    ["a length beyond the bound", v2(1, 0x11, V4, 60_000), "bad"],
    ["an unknown command", v2(2, 0x11, V4), "bad"],
    ["an unknown family", v2(1, 0x41, V4), "bad"],
    ["a version that is not 2", Buffer.from(v2(1, 0x11, V4)).fill(0x31, 12, 13), "bad"],
    ["a TLS ClientHello", Buffer.from([0x16, 3, 1, 0, 5]), "bad"],
  ])("%s", (_what, bytes, result) => {
    expect(shown(read(bytes))).toEqual(result);
  });
});

test("the answer does not depend on how the header is cut into pieces", () => {
  const headers = [
    Buffer.from("PROXY TCP4 192.0.2.1 198.51.100.1 56324 5222\r\n"),
    Buffer.from("PROXY UNKNOWN\r\n"),
    v2(1, 0x11, V4),
    v2(1, 0x21, Buffer.concat([V6, Buffer.alloc(30)])),
    v2(0, 0, Buffer.alloc(0)),
    v2(1, 0x41, V4),
  ];
  for (const header of headers) {
    const whole = shown(read(header));
    expect(shown(read(...Array.from(header, (byte) => new Uint8Array([byte]))))).toEqual(whole);
    for (let cut = 1; cut < header.length; cut++) {
      expect(shown(read(header.subarray(0, cut), header.subarray(cut)))).toEqual(whole);
    }
  }
});

test("random bytes are refused or waited for within bounds, never thrown at", () => {
  const start = fc.constantFrom(
    "",
    "PROXY ",
    "PROXY TCP4 ",
    "PROXY TCP6 ",
    "\r\n\r\n\0\r\nQUIT\n",
    "\r\n\r\n\0\r\nQUIT\n!",
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (prefix, bytes) => {
      const result = read(Buffer.concat([Buffer.from(prefix, "latin1"), bytes]));
      if (result === "more")
        expect(read(Buffer.concat([Buffer.from(prefix, "latin1"), bytes, Buffer.alloc(5000)]))).not.toBe("more");
    }),
  );
});
