import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { endpointHash, readCertificate, readClientCertificate, readPem } from "../../../../core/tls/certificate.ts";
import { oidText, readAll, readTime, TAG, write, writeOid, writeTime } from "../../../../core/tls/der.ts";
import { selfSigned } from "../../../../core/tls/selfsigned.ts";

const dir = mkdtempSync(join(tmpdir(), "cert-"));

/** A certificate made by openssl, as DER. */
function openssl(subject: string, names: string, ...options: string[]): Uint8Array {
  const key = options.includes("-newkey") ? [] : ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const out = ["-nodes", "-keyout", join(dir, "key.pem"), "-out", join(dir, "cert.pem")];
  const extension = names === "" ? [] : ["-addext", `subjectAltName=${names}`];
  execFileSync("openssl", ["req", "-x509", ...key, ...out, "-subj", subject, ...extension, ...options], {
    stdio: "ignore",
  });
  return readPem(readFileSync(join(dir, "cert.pem"), "utf8"))[0]!;
}

describe("a certificate", () => {
  test("is read with its names of every kind", () => {
    const xmpp = "otherName:1.3.6.1.5.5.7.8.5;UTF8:romeo@montague.lit";
    const srv = "otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-client.Montague.lit";
    const der = openssl("/O=House/CN=Romeo", `${xmpp},DNS:Montague.LIT,DNS:*.montague.lit,email:r@montague.lit,${srv}`);
    expect(readCertificate(der)).toMatchObject({
      commonName: "Romeo",
      xmppAddrs: ["romeo@montague.lit"],
      dnsNames: ["montague.lit", "*.montague.lit"],
      emails: ["r@montague.lit"],
      srvNames: ["_xmpp-client.montague.lit"],
    });
  });

  test("has the dates and the fingerprint that node:crypto finds", () => {
    const der = openssl("/CN=x", "", "-days", "40");
    const other = new X509Certificate(der);
    const { notBefore, notAfter, fingerprint } = readCertificate(der);
    expect([notBefore, notAfter]).toEqual([new Date(other.validFrom), new Date(other.validTo)]);
    expect(fingerprint).toBe(other.fingerprint256.replaceAll(":", "").toLowerCase());
  });

  test("without alternative names has none", () => {
    expect(readCertificate(openssl("/CN=x", ""))).toMatchObject({ dnsNames: [], xmppAddrs: [], emails: [] });
  });

  test("given by a client says whether and why it is not trusted", () => {
    const der = openssl("/CN=x", "");
    expect(readClientCertificate(der, undefined)).toMatchObject({ authorized: true, commonName: "x" });
    expect(readClientCertificate(der, "CERT_REVOKED")).toMatchObject({ authorized: false, reason: "CERT_REVOKED" });
  });

  test("that is none is refused, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => readCertificate(bytes)).toThrow();
        expect(readClientCertificate(bytes, undefined)).toBeUndefined();
      }),
    );
  });

  test("damaged in one byte is read or refused, never more", () => {
    const der = readPem(selfSigned(["localhost"], 0).certificate)[0]!;
    for (let i = 0; i < der.length; i++) {
      const damaged = Uint8Array.from(der);
      damaged[i]! ^= 0xff;
      try {
        readCertificate(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
  });
});

test.each([
  ["RSA with SHA-256", "sha256", ["-newkey", "rsa:2048", "-sha256"]],
  ["RSA with SHA-1, which RFC 5929 raises to SHA-256", "sha256", ["-newkey", "rsa:2048", "-sha1"]],
  ["RSA with SHA-384", "sha384", ["-newkey", "rsa:2048", "-sha384"]],
  ["RSA-PSS with SHA-512", "sha512", ["-newkey", "rsa:2048", "-sha512", "-sigopt", "rsa_padding_mode:pss"]],
  ["ECDSA with SHA-512", "sha512", ["-sha512"]],
])("tls-server-end-point of %s is the hash by %s", (_what, digest, options) => {
  const der = openssl("/CN=x", "", ...options);
  expect(Buffer.from(endpointHash(der)!)).toEqual(createHash(digest).update(der).digest());
});

test("tls-server-end-point is not defined for Ed25519", () => {
  expect(endpointHash(openssl("/CN=x", "", "-newkey", "ed25519"))).toBeUndefined();
});

describe("a self-signed certificate", () => {
  const now = Date.parse("2026-11-22T00:00:00Z");
  const made = selfSigned(["localhost", "żółw.example"], now);

  test("is taken by openssl, strictly read, for its domain", () => {
    const file = join(dir, "self.pem");
    writeFileSync(file, made.certificate);
    const check = ["verify", "-x509_strict", "-verify_hostname", "localhost", "-CAfile", file, file];
    expect(String(execFileSync("openssl", check))).toContain("OK");
  });

  test("names each domain as DNS name and as XMPP address", () => {
    expect(readCertificate(readPem(made.certificate)[0]!)).toMatchObject({
      commonName: "localhost",
      dnsNames: ["localhost", "xn--w-uga1v8h.example"],
      xmppAddrs: ["localhost", "żółw.example"],
    });
  });

  test("begins a day early and lasts", () => {
    const { notBefore, notAfter } = readCertificate(readPem(made.certificate)[0]!);
    expect(notBefore.toISOString()).toBe("2026-11-21T00:00:00.000Z");
    expect(notAfter.getTime() - now).toBe(3650 * 86_400_000);
  });

  test("has a common name within its bound even for a long domain", () => {
    const long = `${"a".repeat(60)}.example`;
    const { commonName, dnsNames } = readCertificate(readPem(selfSigned([long], now).certificate)[0]!);
    expect([commonName.length, dnsNames]).toEqual([64, [long]]);
  });
});

describe("DER", () => {
  test("values of any length are read as they were written", () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const [value] = readAll(write(TAG.octetString, new Uint8Array(length).fill(7)));
      expect(value!.contents.length).toBe(length);
    }
  });

  test.each(["1.2.840.113549.1.1.11", "2.5.29.17", "1.3.6.1.5.5.7.8.5", "2.999.3"])(
    "the identifier %s survives",
    (oid) => {
      expect(oidText(readAll(writeOid(oid))[0]!.contents)).toBe(oid);
    },
  );

  test.each(["1999-12-31T23:59:59.000Z", "2049-01-01T00:00:00.000Z", "2050-01-01T00:00:00.000Z"])(
    "the time %s survives",
    (time) => {
      expect(readTime(readAll(writeTime(new Date(time)))[0]!).toISOString()).toBe(time);
    },
  );
});
