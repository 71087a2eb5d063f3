// A certificate chain with its private key, as read from two files at one moment.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { domainToASCII } from "node:url";
import type { Certificate } from "./certificate.ts";
import { readCertificate, readPem } from "./certificate.ts";
import { fileStamp, readFailure } from "./settings.ts";

/** Where a pair comes from. */
export interface PairSource {
  readonly certfile: string;
  readonly keyfile: string;
  readonly password?: string;
  /** Names of the two options for problem lines: `listen.c2s[1].tls.certfile`; the paths alone without them. */
  readonly key?: string;
}

/** An unchanging pair: a changed file makes a new one. */
export interface Pair {
  readonly source: PairSource;
  readonly stamp: string;
  readonly certificate: Certificate;
  readonly chainPem: string;
  readonly keyPem: string;
  /** The domains it is for, as ASCII in lower case, `*.` for any one label. */
  readonly domains: readonly string[];
}

/** Changes when one of the two files changes. */
export function pairStamp(source: PairSource): string {
  return `${fileStamp(source.certfile)} ${fileStamp(source.keyfile)}`;
}

/**
 * Reads both files.
 * @throws Error that names the file and says what is wrong with it
 */
export function loadPair(source: PairSource): Pair {
  const stamp = pairStamp(source);
  const { certfile, keyfile, password } = source;
  const chainPem = read(certfile, source, "certfile");
  const keyPem = read(keyfile, source, "keyfile");
  const der = readPem(chainPem)[0];
  if (der === undefined) throw problem("use", certfile, source, "certfile", "it holds no PEM certificate");
  let certificate: Certificate;
  try {
    certificate = readCertificate(der);
  } catch {
    throw problem("use", certfile, source, "certfile", "its first certificate cannot be read");
  }
  let matches: boolean;
  try {
    const key = createPrivateKey(password === undefined ? keyPem : { key: keyPem, passphrase: password });
    matches = new X509Certificate(der).checkPrivateKey(key);
  } catch {
    const right = /ENCRYPTED/.test(keyPem)
      ? `it is encrypted and ${password === undefined ? "no password is given" : "the password is wrong"}`
      : "it holds no PEM private key";
    throw problem("use", keyfile, source, "keyfile", right);
  }
  if (!matches) throw problem("use", keyfile, source, "keyfile", `it is not the key of "${certfile}"`);
  return { source, stamp, certificate, chainPem, keyPem, domains: domainsOf(certificate) };
}

/** A domain as certificates have it: A-labels in lower case. */
export function asciiDomain(domain: string): string {
  return domainToASCII(domain) || domain.toLowerCase();
}

/** The wildcard that covers a domain, RFC 6125 §6.4.3: it stands for the whole leftmost label and no more. */
export function wildcardOf(domain: string): string {
  const dot = domain.indexOf(".");
  return dot < 0 ? "" : `*${domain.slice(dot)}`;
}

/**
 * The domains a certificate is for (RFC 6125 §6.4, RFC 6120 §13.7.1.2): DNS names, XMPP addresses and service names,
 * and the common name only if it has none of these.
 */
function domainsOf({ dnsNames, xmppAddrs, srvNames, commonName }: Certificate): string[] {
  const names = new Set(dnsNames);
  for (const address of xmppAddrs) if (!/[@/]/.test(address)) names.add(asciiDomain(address));
  for (const service of srvNames) {
    const domain = /^_xmpp-(?:client|server)\.(.+)$/.exec(service)?.[1];
    if (domain !== undefined) names.add(domain);
  }
  if (names.size === 0 && commonName !== "") names.add(commonName.toLowerCase());
  return [...names];
}

function read(file: string, source: PairSource, option: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw problem("read", file, source, option, readFailure(error));
  }
}

function problem(verb: string, file: string, source: PairSource, option: string, right: string): Error {
  return new Error(
    `Cannot ${verb} "${file}"${source.key === undefined ? "" : ` as ${source.key}.${option}`}: ${right}`,
  );
}
