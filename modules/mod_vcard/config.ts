// Options of mod_vcard. Those of the LDAP back end are here for the files that set them.

import { z } from "zod";
import {
  enumOf,
  iqdisc,
  nonEmpty,
  nonNegativeOrInfinity,
  own,
  poolName,
  positiveOrInfinity,
  subdomainTemplate,
} from "../../core/config/types.ts";

const pairs = <A extends string, B extends string>(a: A, b: B, list: readonly (readonly [string, string])[]) =>
  list.map(([x, y]) => ({ [a]: x, [b]: y }) as Record<A | B, string>);

const SEARCH_FIELDS = [
  ["User", "%u"],
  ["Full Name", "displayName"],
  ["Given Name", "givenName"],
  ["Middle Name", "initials"],
  ["Family Name", "sn"],
  ["Nickname", "%u"],
  ["Birthday", "birthDay"],
  ["Country", "c"],
  ["City", "l"],
  ["Email", "mail"],
  ["Organization Name", "o"],
  ["Organization Unit", "ou"],
] as const;
const SEARCH_REPORTED = [
  ["Full Name", "FN"],
  ["Given Name", "FIRST"],
  ["Middle Name", "MIDDLE"],
  ["Family Name", "LAST"],
  ["Nickname", "NICK"],
  ["Birthday", "BDAY"],
  ["Country", "CTRY"],
  ["City", "LOCALITY"],
  ["Email", "EMAIL"],
  ["Organization Name", "ORGNAME"],
  ["Organization Unit", "ORGUNIT"],
] as const;
/** vCard field, pattern, LDAP attribute. */
const VCARD_MAP = [
  ["NICKNAME", "%u", ""],
  ["FN", "%s", "displayName"],
  ["FAMILY", "%s", "sn"],
  ["GIVEN", "%s", "givenName"],
  ["MIDDLE", "%s", "initials"],
  ["ORGNAME", "%s", "o"],
  ["ORGUNIT", "%s", "ou"],
  ["CTRY", "%s", "c"],
  ["LOCALITY", "%s", "l"],
  ["STREET", "%s", "street"],
  ["REGION", "%s", "st"],
  ["PCODE", "%s", "postalCode"],
  ["TITLE", "%s", "title"],
  ["URL", "%s", "labeleduri"],
  ["DESC", "%s", "description"],
  ["TEL", "%s", "telephoneNumber"],
  ["EMAIL", "%s", "mail"],
  ["BDAY", "%s", "birthDay"],
  ["ROLE", "%s", "employeeType"],
  ["PHOTO", "%s", "jpegPhoto"],
] as const;

const ldap = z.strictObject({
  pool_tag: poolName().default("default").describe("Tag of the outgoing LDAP pool"),
  base: z.string().optional().describe("Base DN; the pool's when left out"),
  filter: z.string().default("").describe("Filter that an entry must match"),
  deref: enumOf("never", "always", "finding", "searching").default("never").describe("When aliases are followed"),
  uids: z
    .array(
      z.strictObject({
        attr: z.string().describe("Attribute with the user name"),
        format: z.string().optional().describe("Pattern of its value; %u stands for the user name"),
      }),
    )
    .default([{ attr: "uid", format: "%u" }])
    .describe("Attributes that hold the user name"),
  vcard_map: z
    .array(
      z.strictObject({
        vcard_field: nonEmpty().describe("Field of the vCard"),
        ldap_pattern: nonEmpty().describe("Its value; %s stands for the attribute"),
        ldap_field: nonEmpty().describe("LDAP attribute"),
      }),
    )
    .default(VCARD_MAP.map(([vcard_field, ldap_pattern, ldap_field]) => ({ vcard_field, ldap_pattern, ldap_field })))
    .describe("How a vCard is made from an entry"),
  search_fields: z
    .array(
      z.strictObject({
        search_field: nonEmpty().describe("Name in the search form"),
        ldap_field: nonEmpty().describe("LDAP attribute"),
      }),
    )
    .default(pairs("search_field", "ldap_field", SEARCH_FIELDS))
    .describe("What can be searched for"),
  search_reported: z
    .array(
      z.strictObject({
        search_field: nonEmpty().describe("Name in the results"),
        vcard_field: nonEmpty().describe("Field of the vCard"),
      }),
    )
    .default(pairs("search_field", "vcard_field", SEARCH_REPORTED))
    .describe("What a search reports"),
  search_operator: enumOf("or", "and").default("and").describe("How several search fields are combined"),
  binary_search_fields: z.array(nonEmpty()).default([]).describe("vCard fields with binary values"),
});

export const config = z.strictObject({
  backend: enumOf("mnesia", "ldap", "rdbms").default("mnesia").describe("Where vCards are kept"),
  host: subdomainTemplate().default("vjud.@HOST@").describe("Domain of the user directory"),
  search: z.boolean().default(true).describe("Whether users can be searched for"),
  matches: nonNegativeOrInfinity().default(30).describe("Most users that a search finds"),
  max_vcard_size: own(positiveOrInfinity().default(262_144).describe("Most bytes of a vCard; a bigger one is refused")),
  ldap: ldap.default(() => ldap.parse({})).describe("Options of the LDAP back end"),
  iqdisc: iqdisc("parallel"),
});
