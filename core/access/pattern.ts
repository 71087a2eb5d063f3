// One entry of an access class, compiled: what a JID must be like.
import { globToRegExp } from "./glob.ts";

/** The parts of a JID that rules look at; an empty or missing `local` or `resource` is "". */
export interface AccessJid {
  readonly local?: string;
  readonly domain: string;
  readonly resource?: string;
}

/** `acl.*[]`: every condition given must hold; `match` is `current_domain` unless said otherwise. */
export interface AclEntry {
  readonly match?: "all" | "none" | "current_domain" | "any_hosted_domain";
  readonly user?: string;
  readonly user_regexp?: string;
  readonly user_glob?: string;
  readonly server?: string;
  readonly server_regexp?: string;
  readonly server_glob?: string;
  readonly resource?: string;
  readonly resource_regexp?: string;
  readonly resource_glob?: string;
}

type Test = (text: string) => boolean;

const PARTS = ["user", "server", "resource"] as const;

/** An entry of `acl`; every condition must hold. */
export class Pattern {
  readonly #match: NonNullable<AclEntry["match"]>;
  readonly #user: readonly Test[];
  readonly #server: readonly Test[];
  readonly #resource: readonly Test[];

  /** @throws Error naming `key` and the value when a regular expression cannot be read */
  constructor(entry: AclEntry, key: string) {
    this.#match = entry.match ?? "current_domain";
    [this.#user, this.#server, this.#resource] = PARTS.map((part) => tests(entry, part, key)) as [
      Test[],
      Test[],
      Test[],
    ];
  }

  matches(jid: AccessJid | undefined, domain: string | undefined, isHosted: (domain: string) => boolean): boolean {
    if (this.#match === "none") return false;
    if (jid === undefined) return this.#match === "all" && this.#isFree();
    if (this.#match === "current_domain" && jid.domain !== domain) return false;
    if (this.#match === "any_hosted_domain" && !isHosted(jid.domain)) return false;
    return (
      holds(this.#user, jid.local ?? "") && holds(this.#server, jid.domain) && holds(this.#resource, jid.resource ?? "")
    );
  }

  #isFree(): boolean {
    return this.#user.length + this.#server.length + this.#resource.length === 0;
  }
}

function holds(conditions: readonly Test[], text: string): boolean {
  for (const condition of conditions) if (!condition(text)) return false;
  return true;
}

function tests(entry: AclEntry, part: (typeof PARTS)[number], key: string): Test[] {
  const conditions: Test[] = [];
  const exact = entry[part];
  if (exact !== undefined) conditions.push((text) => text === exact);
  const glob = entry[`${part}_glob`];
  if (glob !== undefined) conditions.push(tester(globToRegExp(glob)));
  const source = entry[`${part}_regexp`];
  if (source !== undefined) conditions.push(tester(compile(source, `${key}.${part}_regexp`)));
  return conditions;
}

function tester(expression: RegExp): Test {
  return (text) => expression.test(text);
}

/** The operator's regular expression. MongooseIM reads PCRE; what JavaScript reads otherwise is refused, not guessed. */
function compile(source: string, key: string): RegExp {
  try {
    return new RegExp(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : "";
    throw new Error(`Cannot use "${source}" as ${key}: not a regular expression (${reason})`);
  }
}
