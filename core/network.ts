// Addresses as limits count them.

import ipaddr from "ipaddr.js";

/**
 * What counts as one address: an IPv4 address, also one mapped into IPv6, or the /64 of an IPv6 address, of which
 * whoever has one has all.
 */
export function networkOf(address: string): string {
  // The usual case needs no parser.
  if (!address.includes(":")) return address;
  if (!ipaddr.isValid(address)) return address;
  const ip = ipaddr.process(address);
  if (ip instanceof ipaddr.IPv6)
    return `${ip.parts
      .slice(0, 4)
      .map((part) => part.toString(16))
      .join(":")}::/64`;
  return ip.toString();
}
