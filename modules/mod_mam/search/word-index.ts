// What an index of words is, whichever database keeps it.

import type { SqlValue } from "../../../core/storage/db.ts";

/** A table of archived messages, by its owner's column. */
export interface ArchiveTable {
  readonly table: "mam_message" | "mam_muc_message";
  readonly owner: "user_id" | "room_id";
}
export const USERS: ArchiveTable = { table: "mam_message", owner: "user_id" };
export const ROOMS: ArchiveTable = { table: "mam_muc_message", owner: "room_id" };

/** A condition with its parameters, for a WHERE. */
export interface Condition {
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

/** An index of words as one kind of database has it. */
export interface WordIndex {
  /** Makes what is missing. Resolves to whether the index has all rows. */
  create(): Promise<boolean>;
  /** Indexes some of the rows that were there before the index was; resolves to whether that was the last of them. */
  fill?(): Promise<boolean>;
  /** A condition that rows with all of these words of this owner fulfil, by the columns `id` of the table. */
  candidates(owner: number, words: readonly string[], id: string): Condition;
}

/** A word as an index has it: with its archive's owner before it. */
export const ownWord = (owner: number, word: string): string => `u${owner}x${word}`;
