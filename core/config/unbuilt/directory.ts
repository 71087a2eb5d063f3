// modules.mod_shared_roster_ldap: rosters made of the groups of a directory.
import { z } from "zod";
import { poolName, positive } from "../types.ts";
import { ldapDeref } from "./ldap.ts";

export const mod_shared_roster_ldap = () =>
  z
    .strictObject({
      pool_tag: poolName().default("default").describe("Tag of the ldap pool"),
      base: z.string().optional().describe("DN under which everything is"),
      deref: ldapDeref(),
      groupattr: z.string().default("cn").describe("Attribute with the name of a group"),
      groupdesc: z.string().optional().describe("Attribute with its title; that with the name when not set"),
      userdesc: z.string().default("cn").describe("Attribute with a user's title"),
      useruid: z.string().default("cn").describe("Attribute with a user's name"),
      memberattr: z.string().default("memberUid").describe("Attribute with the members of a group"),
      memberattr_format: z.string().default("%u").describe("Pattern of a member; %u stands for the user name"),
      memberattr_format_re: z.string().default("").describe("The same as a regular expression"),
      auth_check: z.boolean().default(true).describe("Leave out members that have no account"),
      user_cache_validity: positive().default(300).describe("Seconds for which users are kept ready"),
      group_cache_validity: positive().default(300).describe("Seconds for which groups are kept ready"),
      user_cache_size: positive().default(1000).describe("Users kept ready"),
      group_cache_size: positive().default(1000).describe("Groups kept ready"),
      rfilter: z.string().default("").describe("LDAP filter for the groups of a roster"),
      gfilter: z.string().default("").describe("LDAP filter for one group"),
      ufilter: z.string().default("").describe("LDAP filter for users"),
      filter: z.string().default("").describe("LDAP filter added to all"),
    })
    .transform((options) => ({ ...options, groupdesc: options.groupdesc ?? options.groupattr }));
