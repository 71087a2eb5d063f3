// The certificate that a server makes for itself at its first start, so that TLS works before anybody has bought one.
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { domainToASCII } from "node:url";
import { OID_XMPP_ADDR } from "./certificate.ts";
import { contextTag, TAG, write, writeOid, writeTime } from "./der.ts";

const DAY_MS = 86_400_000;
const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/**
 * An ECDSA P-256 certificate signed by itself for `domains`: each as DNS name and as XMPP address (RFC 6120
 * §13.7.1.2.1), the first as common name.
 * @param now milliseconds since 1970; validity begins a day earlier, for peers whose clock is behind
 */
export function selfSigned(domains: readonly [string, ...string[]], now: number, days = 3650): KeyPair {
  const pair = generateKeyPairSync("ec", {
    namedCurve: "prime256v1",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const algorithm = write(TAG.sequence, writeOid(OID.ecdsaWithSha256));
  const name = distinguishedName(domains[0]);
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40; // positive and of full length
  const signed = write(
    TAG.sequence,
    write(contextTag(0, true), integer(2)), // X.509 version 3
    write(TAG.integer, serial),
    algorithm,
    name,
    write(TAG.sequence, writeTime(new Date(now - DAY_MS)), writeTime(new Date(now + days * DAY_MS))),
    name,
    pair.publicKey,
    write(contextTag(3, true), extensions(domains)),
  );
  const signature = sign("sha256", signed, createPrivateKey(pair.privateKey));
  return { certificate: toPem(write(TAG.sequence, signed, algorithm, bitString(signature))), key: pair.privateKey };
}

// No keyUsage: with digitalSignature alone the TLS library does not take the certificate for self-signed, looks for its
// issuer at each handshake, and every connection costs 0.8 KB more.
function extensions(domains: readonly string[]): Buffer {
  const names = domains.flatMap((domain) => [
    write(contextTag(2, false), Buffer.from(domainToASCII(domain) || domain)),
    write(contextTag(0, true), writeOid(OID_XMPP_ADDR), write(contextTag(0, true), utf8(domain))),
  ]);
  return write(
    TAG.sequence,
    extension(OID.basicConstraints, true, write(TAG.sequence)),
    extension(OID.extendedKeyUsage, false, write(TAG.sequence, writeOid(OID.serverAuth), writeOid(OID.clientAuth))),
    extension(OID.subjectAltName, false, write(TAG.sequence, ...names)),
  );
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [write(TAG.boolean, Buffer.from([0xff]))] : [];
  return write(TAG.sequence, writeOid(oid), ...flag, write(TAG.octetString, value));
}

function distinguishedName(commonName: string): Buffer {
  // RFC 5280 bounds a common name to 64 characters; the whole name is in the alternative names anyway.
  const attribute = write(TAG.sequence, writeOid(OID.commonName), utf8(commonName.slice(0, 64)));
  return write(TAG.sequence, write(TAG.set, attribute));
}

function utf8(text: string): Buffer {
  return write(TAG.utf8String, Buffer.from(text));
}

function integer(value: number): Buffer {
  return write(TAG.integer, Buffer.from([value]));
}

function bitString(bytes: Uint8Array): Buffer {
  return write(TAG.bitString, Buffer.from([0]), bytes);
}

function toPem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
