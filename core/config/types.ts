// The vocabulary of option types: what a module's own zod schema is made of.
//
// Every helper carries the phrase that ends a problem line ("Cannot use "0" as modules.mod_x.y: <phrase>"), so that a
// wrong value is always answered with what would be right. Plain zod types (z.boolean(), z.string()) work as well:
// issues.ts has phrases for them.
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { parseJid, prepareDomain, prepareLocal } from "../jid.ts";

/** What a schema says about itself beyond its type; read by notes.ts when a key is explicitly set. */
export interface Notes {
  /** Why the option does nothing here; setting it gives one warning. */
  inert?: string;
  /** Values that an inert option may have without a warning: they say what happens here anyway. */
  heeded?: readonly string[];
  /** Values that MongooseIM has and this build has not, and what to use instead. */
  absent?: { readonly values: readonly string[]; readonly instead: string };
  /** The value names an entry of this section. */
  ref?: "access" | "shaper" | "acl";
  /** The value names a file that must exist. */
  file?: boolean;
  /** The value is never printed. */
  secret?: boolean;
  /** MongooseIM has no such option, or no such table. */
  own?: boolean;
  /** Keys the table knows although this schema was built without them (they are absent from the file). */
  known?: readonly string[];
}

/** Attaches notes to a schema; they survive `.optional()`, `.default()` and `.describe()`. */
export function note<T extends z.ZodType>(schema: T, notes: Notes): T {
  return schema.meta({ ...schema.meta(), ...notes });
}

/** The notes that were attached to exactly this schema. */
export function notesOf(schema: z.ZodType): Notes {
  return (schema.meta() ?? {}) as Notes;
}

/** Marks an option that is accepted for compatibility and does nothing: setting it gives one warning with the reason. */
export function inert<T extends z.ZodType>(schema: T, reason: string): T {
  return note(schema, { inert: reason });
}

/** Marks values of MongooseIM that are not in this build: a file with one of them is refused, with what to use instead. */
export function withoutYet<T extends z.ZodType>(schema: T, instead: string, ...values: readonly string[]): T {
  return note(schema, { absent: { values, instead } });
}

/** Marks an option (or a whole table) that MongooseIM does not have. */
export function own<T extends z.ZodType>(schema: T): T {
  return note(schema, { own: true });
}

/** Marks an option whose value must not appear in messages. */
export function secret<T extends z.ZodType>(schema: T): T {
  return note(schema, { secret: true });
}

/**
 * Adds a rule between the keys of a table. It is checked even when other keys of the table are wrong, so that all
 * problems are reported at once: `test` must bear missing and mistyped values.
 * @param at the key the problem is about, relative to the table
 */
export function rule<T extends z.ZodType>(
  schema: T,
  test: (table: Partial<z.output<T>>) => boolean,
  phrase: string | ((table: Partial<z.output<T>>) => string),
  ...at: string[]
): T {
  return schema.refine((value) => test(value as Partial<z.output<T>>), {
    error: typeof phrase === "string" ? phrase : (issue) => phrase(issue.input as Partial<z.output<T>>),
    path: at,
    when: (payload) => typeof payload.value === "object" && payload.value !== null,
  });
}

const whole = (min: number, error: string) => z.int({ error }).min(min, { error });
const orInfinity = (min: number, error: string) =>
  z.union([whole(min, error), z.literal("infinity").transform(() => Number.POSITIVE_INFINITY)], { error });

/** A whole number of at least 1. */
export const positive = () => whole(1, "it must be a whole number above 0");

/** A whole number of at least 0. */
export const nonNegative = () => whole(0, "it must be a whole number, 0 or more");

/** A whole number of at least 1, or "infinity", which parses to `Infinity`. */
export const positiveOrInfinity = () => orInfinity(1, 'it must be a whole number above 0, or "infinity"');

/** A whole number of at least 0, or "infinity", which parses to `Infinity`. */
export const nonNegativeOrInfinity = () => orInfinity(0, 'it must be a whole number, 0 or more, or "infinity"');

/** Text of at least one character. */
export const nonEmpty = () => matching((text) => text !== "", "it must be text that is not empty");

/** A TCP port. 0 is accepted as MongooseIM accepts it: the system then picks a free one. */
export function port() {
  const error = "a port is 1 to 65535";
  return whole(0, error).max(65535, { error });
}

/** A TCP port of a server to connect to. */
export function remotePort() {
  const error = "a port is 1 to 65535";
  return whole(1, error).max(65535, { error });
}

/** A whole number from 1 to `most`. */
export function upTo(most: number) {
  const error = `it must be a whole number from 1 to ${most}`;
  return whole(1, error).max(most, { error });
}

/** A whole number from 1 to `most`, or "infinity", which parses to `Infinity`. */
export const upToOrInfinity = (most: number) => {
  const error = `it must be a whole number from 1 to ${most}, or "infinity"`;
  return z.union(
    [whole(1, error).max(most, { error }), z.literal("infinity").transform(() => Number.POSITIVE_INFINITY)],
    {
      error,
    },
  );
};

/** One of the given words. */
export function enumOf<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words, { error: `it must be ${listed(words)}` });
}

/** A list without duplicates. */
export function uniqueList<T extends z.ZodType>(item: T) {
  return z.array(item).refine(distinct, { error: "the list must not name anything twice", when: isList });
}

/** A list with at least one entry and without duplicates. */
export function uniqueNonEmptyList<T extends z.ZodType>(item: T) {
  return uniqueList(item).min(1, { error: "the list must have at least one entry" });
}

/** A list of tables in which no two have the same `key`. */
export function keyedList<T extends z.ZodType<Record<string, unknown>>>(item: T, key: string) {
  const keyOf = (entry: unknown) => (typeof entry === "object" && entry !== null ? Reflect.get(entry, key) : undefined);
  return z.array(item).refine((items) => distinct(items.map(keyOf).filter((value) => value !== undefined)), {
    error: `two entries must not have the same ${key}`,
    when: isList,
  });
}

/** A host name, ASCII or internationalised, prepared as the domain part of a JID is (RFC 7622 §3.2). */
export const domainName = () => parsed(prepareDomain, "it must be a domain name such as xmpp.example.org");

/** An IPv4 or IPv6 address, in its shortest notation. */
export const ipAddress = () =>
  parsed((text) => ipaddr.parse(text).toString(), "it must be an IPv4 or IPv6 address such as 127.0.0.1");

/** A host name or an IP address. */
export const networkAddress = () =>
  matching((text) => isDomain(text) || ipaddr.isValid(text), "it must be a host name or an IP address");

/** An IP address, or a network such as 127.0.0.0/8. */
export const ipMask = () =>
  matching(
    (text) => ipaddr.isValid(text) || ipaddr.isValidCIDR(text),
    "it must be an IP address or a network such as 10.0.0.0/8",
  );

/** A JID, prepared. */
export const jidText = () => parsed((text) => parseJid(text).text, "it must be a JID such as alice@example.org");

/** The local part of a JID, or a text that is compared with one; prepared (RFC 7622 §3.3). It may be empty. */
export const localPart = () =>
  parsed(
    (text) => (text === "" ? "" : prepareLocal(text)),
    "it must be valid as the user part of a JID: no spaces, none of \" & ' / : < > @",
  );

/** A file that must exist; parseConfig checks that when it is given a way to look. */
export const filename = () =>
  note(
    matching((text) => text !== "", "it must be the name of a file"),
    { file: true },
  );

/** An address such as https://example.org/path. */
export const url = () => matching((text) => /^\S+$/.test(text), "it must be a URL such as https://example.org");

/** The name of a rule of the `access` section, or "all", or "none". */
export const accessRule = () =>
  note(
    matching((text) => text !== "", "it must be the name of an access rule"),
    { ref: "access" },
  );

/** The name of an entry of the `shaper` section, or "none". */
export const shaperName = () =>
  note(
    matching((text) => text !== "", "it must be the name of a shaper"),
    { ref: "shaper" },
  );

/** The tag of an outgoing pool. */
export const poolName = () => matching((text) => text !== "", "it must be the tag of an outgoing pool");

/** The name of an Erlang module, which MongooseIM would load. */
export const erlangModule = () => matching((text) => /^[a-z]\w*$/.test(text), "it must be the name of a module");

/**
 * The name of an Erlang module that an administrator of MongooseIM may have written: accepted, with one warning unless it
 * is one of `heeded`, MongooseIM's own whose behaviour is built in here.
 */
export const foreignModule = (...heeded: readonly string[]) =>
  note(erlangModule(), { inert: "modules written in Erlang cannot be loaded here", heeded });

/** A subdomain such as "conference.@HOST@" (@HOST@ stands for the domain), or one fixed domain name. */
export const subdomainTemplate = () =>
  matching(
    (text) => isDomain(text.replace(/\.@HOST@$/, ".example.org")),
    'it must be a domain name, or a subdomain such as "conference.@HOST@"',
  );

/** An Erlang or syslog severity. */
export const logLevel = () =>
  enumOf("none", "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug", "all");

/** How MongooseIM queues IQ requests; there are no such processes here, so it does nothing. */
export function iqdisc(type: "no_queue" | "one_queue" | "parallel" | "queues") {
  const table = z.strictObject({
    type: enumOf("no_queue", "one_queue", "parallel", "queues").describe("Kind of queue"),
    workers: positive().optional().describe("Queues, with type queues"),
  });
  return inert(table, "IQ requests are handled by the event loop, without queues of their own")
    .default({ type })
    .describe("How IQ requests are queued");
}

/** A string that passes `test`; any other value is answered with `phrase`. */
export function matching(test: (text: string) => boolean, phrase: string) {
  return z.string({ error: phrase }).refine(test, { error: phrase });
}

/** A string that `parse` turns into its prepared form; what it throws on is answered with `phrase`. */
export function parsed<T>(parse: (text: string) => T, phrase: string) {
  return z.string({ error: phrase }).transform((text, ctx) => {
    try {
      return parse(text);
    } catch {
      ctx.issues.push({ code: "custom", input: text, message: phrase });
      return z.NEVER;
    }
  });
}

/** The words as `"a", "b" or "c"`. */
export function listed(words: readonly unknown[]): string {
  const quoted = words.map((word) => (typeof word === "string" ? `"${word}"` : String(word)));
  return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

const isList = (payload: { value: unknown }) => Array.isArray(payload.value);

function distinct(items: readonly unknown[]): boolean {
  return new Set(items.map((item) => JSON.stringify(item))).size === items.length;
}

function isDomain(text: string): boolean {
  try {
    prepareDomain(text);
    return true;
  } catch {
    return false;
  }
}

const MS = { seconds: 1000, minutes: 60_000, hours: 3_600_000, days: 86_400_000 } as const;

/** A length of time as a table of a number and its unit. */
export interface Period {
  value: number;
  unit: keyof typeof MS;
}

/** A period with its default. */
export const period = (value: number, unit: Period["unit"], what: string) =>
  z
    .strictObject({
      value: nonNegative().describe("How many of the unit"),
      unit: enumOf("days", "hours", "minutes", "seconds").describe("Unit of time"),
    })
    .default({ value, unit })
    .describe(what);

export function periodMs({ value, unit }: Period): number {
  return value * MS[unit];
}
