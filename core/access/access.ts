// Access rules: what a user gets for a named rule, by the access classes (acl) that the user is in.
import type { AccessJid, AclEntry } from "./pattern.ts";
import { Pattern } from "./pattern.ts";

export type { AccessJid, AclEntry } from "./pattern.ts";

/** `access.*[]`. */
export interface AccessClause {
  readonly acl: string;
  readonly value: string | number;
}

/** The section `acl`: access classes by name, each the union of its entries. */
export type AclConfig = Readonly<Record<string, readonly AclEntry[]>>;
/** The section `access`: rules by name. */
export type AccessConfig = Readonly<Record<string, readonly AccessClause[]>>;

interface Rule {
  readonly clauses: readonly { readonly class: readonly Pattern[]; readonly value: string | number }[];
}

/** The rules of a host type (as core/config merged them with the node's), or of the node, ready to be asked. */
export class Access {
  readonly #rules = new Map<string, Rule>();
  readonly #isHosted: (domain: string) => boolean;

  /**
   * @param isHosted whether a domain is served here: for `any_hosted_domain`
   * @throws Error naming the key and the value when a regular expression cannot be read
   */
  constructor(acl: AclConfig, access: AccessConfig, isHosted: (domain: string) => boolean) {
    this.#isHosted = isHosted;
    const classes = new Map<string, readonly Pattern[]>();
    for (const [name, entries] of Object.entries(acl)) {
      classes.set(
        name,
        entries.map((entry, i) => new Pattern(entry, `acl.${name}[${i + 1}]`)),
      );
    }
    // The two names that mean the same in every configuration.
    classes.set("all", [new Pattern({ match: "all" }, "acl.all")]);
    classes.set("none", []);
    for (const [name, clauses] of Object.entries(access)) {
      // A class that is not defined matches nobody.
      this.#rules.set(name, { clauses: clauses.map((it) => ({ class: classes.get(it.acl) ?? [], value: it.value })) });
    }
  }

  /**
   * The value of the first clause of `rule` whose class `jid` is in, "deny" when there is none; "all" and "none" are
   * rules that always allow and always deny.
   * @param jid the user, or undefined before it is known: only classes that match everyone hold then
   * @param domain the domain that asks, for `current_domain`; the user's own where there is no other
   * @param otherwise the value when the rule is not defined
   */
  match(
    rule: string,
    jid: AccessJid | undefined,
    domain: string | undefined = jid?.domain,
    otherwise: string | number = "deny",
  ): string | number {
    if (rule === "all") return "allow";
    if (rule === "none") return "deny";
    const found = this.#rules.get(rule);
    if (found === undefined) return otherwise;
    for (const clause of found.clauses) {
      for (const pattern of clause.class) {
        if (pattern.matches(jid, domain, this.#isHosted)) return clause.value;
      }
    }
    return "deny";
  }

  /** Whether `rule` says "allow": see `match`. */
  allows(rule: string, jid: AccessJid | undefined, domain?: string): boolean {
    return this.match(rule, jid, domain) === "allow";
  }

  /** The number that `rule` gives, as for `max_user_sessions`; `otherwise` when it gives none. */
  limit(rule: string, jid: AccessJid | undefined, domain: string | undefined, otherwise: number): number {
    const value = this.match(rule, jid, domain, otherwise);
    return typeof value === "number" ? value : otherwise;
  }
}
