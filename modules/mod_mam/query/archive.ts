// What is asked: an archive as the asking side of this feature sees it, of users or of rooms.

import type { BareJid, Jid } from "../../../core/jid.ts";
import type { AccessRules, Counter, Server } from "../../../core/module.ts";
import type { ArchiveBackend } from "../backend.ts";
import type { Preferences } from "../prefs/index.ts";
import type { Shapers } from "./shapers.ts";

export const NS_MAM = "urn:xmpp:mam:2";
/** The version before, whose clients are answered in it: the same but for the fields of `#extended`. */
export const NS_MAM1 = "urn:xmpp:mam:1";
export const NAMESPACES = [NS_MAM, NS_MAM1] as const;

/** What is counted of requests, by what it says in the names of MongooseIM's metrics. */
export interface AskedCounters {
  readonly lookup: Counter;
  /** Look-ups that do not count the whole result. */
  readonly simple: Counter;
  /** Messages that a look-up gave. */
  readonly size: Counter;
  /** Microseconds that a look-up took. */
  readonly time: Counter;
  readonly getPrefs: Counter;
  readonly setPrefs: Counter;
  /** Requests that were refused. */
  readonly droppedIq: Counter;
}

export interface AskedArchive {
  readonly backend: ArchiveBackend;
  /** Undefined: nobody may set his preferences. */
  readonly prefs: Preferences | undefined;
  /** The words of a text that is searched for, normalised; undefined: this archive is not searched. */
  readonly words: ((text: string) => string[]) | undefined;
  /** `default_result_limit`, `max_result_limit`, `enforce_simple_queries`. */
  readonly limits: { readonly default: number; readonly most: number; readonly simple: boolean };
  /** Who may ask for what when no access rule says it, beside rights that come with the owner's address. */
  mayAsk(from: Jid, owner: BareJid): boolean;
  readonly access: AccessRules;
  /** Undefined where `shaper` and `access` bound nothing. */
  readonly shapers: Shapers;
  readonly counters: AskedCounters;
  readonly server: Server;
  /** Tells of a look-up that failed. */
  failed(error: unknown, owner: BareJid): void;
}
