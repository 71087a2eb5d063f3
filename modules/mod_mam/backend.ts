// What an archive of messages is to mod_mam, whatever keeps it. One backend per kind of archive (users, rooms); the SQL
// family is in sql/. Text search is a capability: a backend that has none leaves `searches` false.

import type { Jid } from "../../core/jid.ts";

/** Whose archive: a user's bare JID, or a room's. */
export interface Owner {
  readonly local: string;
  readonly domain: string;
}

/** A message to keep. */
export interface Archived {
  /** Microseconds since 1970 << 8 | node number. */
  readonly id: bigint;
  readonly owner: Owner;
  /** Who sent it. */
  readonly from: Jid;
  /** The other party. */
  readonly remote: Jid;
  /** Sent by the owner or to him. */
  readonly direction: "in" | "out";
  /** The whole element as text or its UTF-8, `from` and `to` set, without the server's stanza-id. */
  readonly stanza: string | Buffer;
  /** Normalised body for searches; "" without one, or without an index. */
  readonly searchBody: string;
  /** XEP-0359 origin-id, undefined without one. */
  readonly originId: string | undefined;
  readonly groupchat: boolean;
}

/** A message that was found. */
export interface Found {
  readonly id: bigint;
  /** Who sent it: `from` of the forwarded message. */
  readonly from: string;
  /** The element as text, as it was archived (a tombstone after a retraction). */
  readonly stanza: string;
}

/** Which messages, of all of an archive. Everything given must hold. */
export interface Filter {
  /** Lowest and highest id, inclusive: `start` and `end`, as ids. */
  readonly fromId?: bigint;
  readonly toId?: bigint;
  /** Exclusive bounds: `after-id` and `before-id` of the form. */
  readonly afterId?: bigint;
  readonly beforeId?: bigint;
  /** `ids` of the form. */
  readonly ids?: readonly bigint[];
  /** Conversation with a JID: any resource of it when it is bare. */
  readonly with?: Jid;
  /** Words that the body must have, normalised; only for backends that search. */
  readonly words?: readonly string[];
  /** Leaves groupchat messages out of a user's archive (`include-groupchat`). */
  readonly noGroupchat?: boolean;
}

/**
 * Which page of what the filter leaves (XEP-0059). Messages come oldest first in every case.
 * `after`/`before`: those next to an id, exclusive; before: "" of RSM is `{ dir: "before" }` without an id: the last page.
 */
export interface Page {
  readonly dir: "after" | "before";
  readonly id?: bigint;
  /** Number of messages to pass over from the beginning (RSM `index`); then `id` is undefined and dir "after". */
  readonly index?: number;
  /** At most; 0 asks for the count alone. */
  readonly max: number;
  /** Whether total and offset are wanted; they may be missing otherwise. */
  readonly count: boolean;
}

export interface PageFound {
  readonly messages: readonly Found[];
  /** Messages that the filter leaves, over all pages; undefined when not counted. */
  readonly total: number | undefined;
  /** Messages before the first of this page; undefined when not counted. */
  readonly offset: number | undefined;
  /** No message that the filter leaves lies beyond this page in its direction. */
  readonly complete: boolean;
  /** Whether the archive has a message with the page's id; undefined when that was not looked at. */
  readonly edge?: boolean | undefined;
}

/** Where archiving preferences are: one row per JID, "" for the default. A always, N never, R roster. */
export type Behaviour = "A" | "N" | "R";

export interface ArchiveBackend {
  /** Whether `Filter.words` works. */
  readonly searches: boolean;
  /** Keeps a message; resolves when it is durable. Those given in one turn of the event loop are written together. */
  archive(message: Archived): Promise<void>;
  /** Resolves when every message that was given to `archive` before is durable, or has failed. */
  settled(): Promise<void>;
  lookup(owner: Owner, filter: Filter, page: Page): Promise<PageFound>;
  /** The oldest and the newest message (XEP-0313 §4.4): ids; undefined for an empty archive. */
  bounds(owner: Owner): Promise<{ first: bigint; last: bigint } | undefined>;
  /** Which of these ids are in the archive. */
  present(owner: Owner, ids: readonly bigint[]): Promise<Set<bigint>>;
  /** The newest message in one direction with a remote bare JID that has this origin-id. */
  byOriginId(owner: Owner, remote: Jid, direction: "in" | "out", originId: string): Promise<Found | undefined>;
  /** Replaces a message by what is left of it, its search text emptied (XEP-0424 §5). */
  replace(owner: Owner, id: bigint, stanza: string): Promise<void>;
  /**
   * Deletes messages older than an id, of all owners of a domain, as far as it is iterated: gives how many went in each
   * step, at most `limit`; 0 when it has only looked.
   */
  deleteBefore(domain: string, id: bigint, limit: number): AsyncIterable<number>;
  /** Counts what `deleteBefore` would delete. */
  countBefore(domain: string, id: bigint): Promise<number>;
}
