// Against DNS rebinding: a web site that makes its own name point here would be asked by browsers, with its name as
// the Host, as if it were us. A door that asks for no credentials answers to names that nobody else can have.

import { isIP } from "node:net";

/** Where a door is, as far as its Host can be told. */
export interface OwnAddress {
  /** The address that the listener is bound to. */
  readonly ip: string;
  /** The handler's `host` option; any when absent or "_". */
  readonly host?: string;
}

/** Whether a Host header (RFC 9110 §7.2) names this machine, the listener's address or the configured host. */
export function isOwnHost(header: string, { ip, host }: OwnAddress): boolean {
  const name = nameOf(header);
  if (name === undefined) return false;
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (host !== undefined && host !== "_" && name === host.toLowerCase()) return true;
  if (isIP(name) === 0) return false;
  if (name === "::1" || (isIP(name) === 4 && name.startsWith("127."))) return true;
  // Bound to all addresses, any of them is ours; and no site can be called by an address that is not its own.
  return ip === "0.0.0.0" || ip === "::" || canonical(ip) === canonical(name);
}

/** The host without port, brackets and final dot; undefined for what is no host. */
function nameOf(header: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d*)?$/i.exec(header) ?? [];
  return (bracketed ?? plain)?.toLowerCase().replace(/\.$/, "");
}

/** An IPv6 address in one form, so that 0:0::1 is ::1. */
const canonical = (ip: string): string => (isIP(ip) === 6 ? new URL(`http://[${ip}]`).hostname : ip);
