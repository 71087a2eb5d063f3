// What the server reads from an X.509 certificate (RFC 5280): names, validity, and its hash for channel binding.
import { createHash } from "node:crypto";
import type { Der } from "./der.ts";
import { contextTag, oidText, readAll, readTime, TAG } from "./der.ts";

/** The names and facts of one certificate. */
export interface Certificate {
  readonly der: Uint8Array;
  /** The common name of the subject, "" without one. */
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  /** JIDs: otherName id-on-xmppAddr (RFC 6120 §13.7.1.4). */
  readonly xmppAddrs: readonly string[];
  /** Service names: otherName id-on-dnsSRV (RFC 4985), as `_xmpp-client.example.org`. */
  readonly srvNames: readonly string[];
  readonly emails: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SHA-256 of the certificate in lower-case hexadecimal digits. */
  readonly fingerprint: string;
}

/** A client's certificate with what verification said of it. */
export interface ClientCertificate extends Omit<Certificate, "der" | "srvNames" | "notBefore" | "notAfter"> {
  /** Valid under the listener's verify_mode: chain, dates, revocation. */
  readonly authorized: boolean;
  /** Why it is not: OpenSSL's name, as `CERT_HAS_EXPIRED`. */
  readonly reason?: string;
}

const OID_SUBJECT_ALT_NAME = "2.5.29.17";
const OID_COMMON_NAME = "2.5.4.3";
export const OID_XMPP_ADDR = "1.3.6.1.5.5.7.8.5";
const OID_DNS_SRV = "1.3.6.1.5.5.7.8.7";

const EMAIL = contextTag(1, false);
const DNS = contextTag(2, false);
const OTHER = contextTag(0, true);

/** Digest by signature algorithm, for those where it is not SHA-256. */
const SIGNATURE_HASH: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.12": "sha384", // sha384WithRSAEncryption
  "1.2.840.113549.1.1.13": "sha512", // sha512WithRSAEncryption
  "1.2.840.113549.1.1.14": "sha224", // sha224WithRSAEncryption
  "1.2.840.10045.4.3.1": "sha224", // ecdsa-with-SHA224
  "1.2.840.10045.4.3.3": "sha384", // ecdsa-with-SHA384
  "1.2.840.10045.4.3.4": "sha512", // ecdsa-with-SHA512
};
/** Signatures without a digest of their own (Ed25519, Ed448): RFC 5929 defines no binding for them. */
const NO_HASH = new Set(["1.3.101.112", "1.3.101.113"]);
const OID_RSA_PSS = "1.2.840.113549.1.1.10";
const PSS_HASH: Readonly<Record<string, string>> = {
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
  "2.16.840.1.101.3.4.2.4": "sha224",
};

/**
 * Reads a certificate.
 * @throws Error when the bytes are not a certificate
 */
export function readCertificate(der: Uint8Array): Certificate {
  const { fields } = outer(der);
  const [, , , validity, subject] = fields;
  if (validity === undefined || subject === undefined) throw new Error("Not a certificate");
  const [notBefore, notAfter] = readAll(validity.contents);
  if (notBefore === undefined || notAfter === undefined) throw new Error("Not a certificate");
  return {
    der,
    commonName: commonName(subject),
    ...alternativeNames(fields),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    fingerprint: createHash("sha256").update(der).digest("hex"),
  };
}

/**
 * The data of the channel binding tls-server-end-point (RFC 5929 §4.1): the certificate hashed with the digest of its
 * own signature, SHA-256 in place of MD5 and SHA-1. Undefined for signatures that have no digest.
 */
export function endpointHash(der: Uint8Array): Uint8Array | undefined {
  const [algorithm, parameters] = readAll(outer(der).algorithm.contents);
  const oid = algorithm === undefined ? "" : oidText(algorithm.contents);
  if (NO_HASH.has(oid)) return undefined;
  const digest = oid === OID_RSA_PSS ? pssDigest(parameters) : SIGNATURE_HASH[oid];
  return createHash(digest ?? "sha256")
    .update(der)
    .digest();
}

/** The client's certificate as the engine wants it; undefined when it cannot be read. */
export function readClientCertificate(der: Uint8Array, reason: string | undefined): ClientCertificate | undefined {
  try {
    const { commonName, dnsNames, xmppAddrs, emails, fingerprint } = readCertificate(der);
    const facts = { commonName, dnsNames, xmppAddrs, emails, fingerprint };
    return reason === undefined ? { authorized: true, ...facts } : { authorized: false, reason, ...facts };
  } catch {
    return undefined;
  }
}

/** The certificates of a PEM file in their order, as DER. */
export function readPem(pem: string): Uint8Array[] {
  const blocks = pem.matchAll(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([^-]*)-----END/g);
  return [...blocks].map((block) => Buffer.from(block[1]!, "base64"));
}

/** The fields of the signed part, version [0] left out if it is there, and the algorithm of the signature. */
function outer(der: Uint8Array): { readonly fields: readonly Der[]; readonly algorithm: Der } {
  const [certificate] = readAll(der);
  const [signed, algorithm] = certificate?.tag === TAG.sequence ? readAll(certificate.contents) : [];
  if (signed?.tag !== TAG.sequence || algorithm?.tag !== TAG.sequence) throw new Error("Not a certificate");
  const fields = readAll(signed.contents);
  return { fields: fields[0]?.tag === contextTag(0, true) ? fields.slice(1) : fields, algorithm };
}

function commonName(subject: Der): string {
  let name = "";
  for (const set of readAll(subject.contents)) {
    for (const attribute of readAll(set.contents)) {
      const [type, value] = readAll(attribute.contents);
      if (type !== undefined && value !== undefined && oidText(type.contents) === OID_COMMON_NAME) name = text(value);
    }
  }
  return name;
}

function alternativeNames(fields: readonly Der[]) {
  const names = {
    dnsNames: [] as string[],
    xmppAddrs: [] as string[],
    srvNames: [] as string[],
    emails: [] as string[],
  };
  const extensions = fields.find(({ tag }) => tag === contextTag(3, true));
  for (const extension of extensions === undefined ? [] : readAll(readAll(extensions.contents)[0]?.contents ?? NONE)) {
    const parts = readAll(extension.contents);
    const value = parts.at(-1);
    if (parts[0] === undefined || value === undefined || oidText(parts[0].contents) !== OID_SUBJECT_ALT_NAME) continue;
    for (const name of readAll(readAll(value.contents)[0]?.contents ?? NONE)) {
      if (name.tag === DNS) names.dnsNames.push(text(name).toLowerCase());
      else if (name.tag === EMAIL) names.emails.push(text(name));
      else if (name.tag === OTHER) {
        const [type, wrapped] = readAll(name.contents);
        const inner = wrapped === undefined ? undefined : readAll(wrapped.contents)[0];
        if (type === undefined || inner === undefined) continue;
        const oid = oidText(type.contents);
        if (oid === OID_XMPP_ADDR) names.xmppAddrs.push(text(inner));
        else if (oid === OID_DNS_SRV) names.srvNames.push(text(inner).toLowerCase());
      }
    }
  }
  return names;
}

const NONE = new Uint8Array();
const BMP_STRING = 0x1e;

function text({ tag, contents }: Der): string {
  const bytes = Buffer.from(contents);
  if (tag === BMP_STRING) return bytes.swap16().toString("utf16le");
  return bytes.toString("utf8");
}

function pssDigest(parameters: Der | undefined): string | undefined {
  const hash = parameters === undefined ? undefined : readAll(parameters.contents)[0];
  if (hash?.tag !== contextTag(0, true)) return undefined;
  const algorithm = readAll(readAll(hash.contents)[0]?.contents ?? NONE)[0];
  return algorithm === undefined ? undefined : PSS_HASH[oidText(algorithm.contents)];
}
