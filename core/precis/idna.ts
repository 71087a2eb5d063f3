// Domain names and IP addresses as RFC 7622 §3.2 wants them in a JID: U-labels of IDNA2008 (RFC 5890), lower case.
import { checkClass } from "./classes.ts";
import { PrecisError } from "./error.ts";
import { tr46 } from "./tr46.ts";

const MAPPING = { checkHyphens: true, checkBidi: true, checkJoiners: true, useSTD3ASCIIRules: false } as const;

/**
 * Prepares a domain name (A-labels become U-labels), an IPv4 address, or an IPv6 address in brackets, which gets its
 * one form of RFC 5952. One final dot is dropped. The caller bounds the length.
 * @throws PrecisError with reason "empty", "long" (RFC 1034: 63 octets a label, 253 in all), "label" or those of classes.ts.
 */
export function canonicalDomain(text: string): string {
  if (text.startsWith("[")) return canonicalIpv6(text);
  const name = text.replace(/[.\u3002\uFF0E\uFF61]$/u, "");
  if (name === "") throw new PrecisError("empty", "it is empty");
  const { domain, error } = tr46().toUnicode(name, MAPPING);
  // STD3, but with the underscore: hosts on private networks have it in their names, and MongooseIM serves them.
  if (error || /[\0-,/:-^`{-\x7F]/u.test(domain)) {
    throw new PrecisError("label", "it is no internationalised domain name (IDNA2008)");
  }
  for (const label of domain.split(".")) {
    if (label === "") throw new PrecisError("label", "a label between its dots is empty");
    // UTS #46 lets symbols through that IDNA2008 forbids, and does not look at CONTEXTO.
    if (!/^[\0-\x7F]*$/u.test(label)) checkClass(label, "identifier");
  }
  if (tr46().toASCII(domain, { verifyDNSLength: true }) === null) {
    throw new PrecisError("long", "a label is 63 octets and a domain 253 octets at most");
  }
  return domain;
}

function canonicalIpv6(text: string): string {
  // The look at the characters comes first: a zone or a port is no part of an address here.
  if (/^\[[0-9A-Fa-f:.]{2,45}\]$/u.test(text)) {
    const url = URL.parse(`http://${text}`);
    if (url) return url.hostname;
  }
  throw new PrecisError("label", "it is no IPv6 address in brackets");
}
