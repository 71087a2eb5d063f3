import { describe, expect, test } from "vitest";
import { isOwnHost } from "../../../../transports/http/own-host.ts";

describe("a door on a loopback address", () => {
  test.each([
    ["localhost", true],
    ["LocalHost:5551", true],
    ["localhost.", true],
    ["mim.localhost:5551", true],
    ["127.0.0.1:5551", true],
    ["127.8.0.1", true],
    ["[::1]:5551", true],
    ["[0:0:0:0:0:0:0:1]", false],
    ["evil.example", false],
    ["evil.example:5551", false],
    ["127.0.0.1.evil.example", false],
    ["localhost.evil.example", false],
    ["127.evil.example", false],
    ["10.0.0.7", false],
    ["", false],
    [":5551", false],
    ["localhost@evil.example", false],
    ["[localhost]", false],
  ])("is called %j: %s", (host, own) => expect(isOwnHost(host, { ip: "127.0.0.1", host: "_" })).toBe(own));
});

describe("other doors", () => {
  test.each([
    ["10.0.0.7", "10.0.0.7", undefined, true],
    ["10.0.0.8", "10.0.0.7", undefined, false],
    ["10.0.0.8", "0.0.0.0", undefined, true],
    ["[2001:db8::7]:5551", "2001:db8:0::7", undefined, true],
    ["[2001:db8::8]", "2001:db8::7", undefined, false],
    ["[2001:db8::8]", "::", undefined, true],
    ["mim.example:5551", "0.0.0.0", "MIM.example", true],
    ["evil.example", "0.0.0.0", "mim.example", false],
    ["_", "0.0.0.0", "_", false],
  ])("are called %j on %s with host %s: %s", (header, ip, host, own) =>
    expect(isOwnHost(header, { ip, host })).toBe(own),
  );
});
