// LDAP options that several features share.
import { z } from "zod";
import { enumOf, matching } from "../types.ts";

/** When aliases are followed. */
export const ldapDeref = () =>
  enumOf("never", "always", "finding", "searching").default("never").describe("When LDAP aliases are followed");

/** Attributes that hold the user name. */
export const ldapUids = () =>
  z
    .array(
      z.strictObject({
        attr: z.string().describe("Attribute with the user name"),
        format: z.string().optional().describe("Pattern of its value; %u stands for the user name"),
      }),
    )
    .default([{ attr: "uid", format: "%u" }])
    .describe("Attributes that hold the user name");

/** An LDAP filter (RFC 4515) as far as its parentheses go: balanced, and one whole expression. */
export const ldapFilter = () => matching(isFilter, "it must be an LDAP filter such as (uid=alice)");

function isFilter(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "(") depth++;
    else if (c === ")" && --depth <= 0) return depth === 0 && i === text.length - 1 && text.length > 2;
  }
  return false;
}
