// An archive of messages as a list in memory, for tests: nothing in it is clever. Written from the contract
// (modules/mod_mam/backend.ts) alone, so that whatever keeps archives can be held against it.
import { isFull } from "../../core/jid.ts";
import type { ArchiveBackend, Archived, Filter, Found, Owner, Page, PageFound } from "../../modules/mod_mam/backend.ts";

const ascending = (a: { id: bigint }, b: { id: bigint }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const same = (a: Owner, b: Owner): boolean => a.local === b.local && a.domain === b.domain;

export class ArchiveModel implements ArchiveBackend {
  readonly searches = true;
  rows: Archived[] = [];
  /** Whether a text has a word: as a part of it, unless told otherwise. */
  constructor(private readonly has = (text: string, word: string) => text.includes(word)) {}

  async archive(message: Archived): Promise<void> {
    this.rows.push(message);
  }

  async settled(): Promise<void> {}

  private of(owner: Owner): Archived[] {
    return this.rows.filter((row) => same(row.owner, owner)).sort(ascending);
  }

  left(owner: Owner, filter: Filter): Archived[] {
    const { fromId, toId, afterId, beforeId, ids, with: remote, words, noGroupchat } = filter;
    return this.of(owner).filter(
      (row) =>
        (fromId === undefined || row.id >= fromId) &&
        (toId === undefined || row.id <= toId) &&
        (afterId === undefined || row.id > afterId) &&
        (beforeId === undefined || row.id < beforeId) &&
        (ids === undefined || ids.includes(row.id)) &&
        (remote === undefined ||
          (isFull(remote) ? row.remote.text === remote.text : row.remote.bare.text === remote.text)) &&
        (words ?? []).every((word) => this.has(row.searchBody, word)) &&
        !(noGroupchat && row.groupchat),
    );
  }

  async lookup(owner: Owner, filter: Filter, { dir, id, index, max, count }: Page): Promise<PageFound> {
    const all = this.left(owner, filter);
    const beyond = all.filter((row) => id === undefined || (dir === "after" ? row.id > id : row.id < id));
    const start = dir === "after" ? (index ?? 0) : Math.max(0, beyond.length - max);
    const page = beyond.slice(start, dir === "after" ? start + max : undefined);
    const complete = dir === "after" ? start + page.length >= beyond.length : start === 0;
    const first = page[0];
    return {
      messages: max === 0 ? [] : page.map(found),
      total: count ? all.length : undefined,
      offset: count ? (first === undefined ? undefined : all.indexOf(first)) : undefined,
      complete: max === 0 ? all.length === 0 : complete,
    };
  }

  async bounds(owner: Owner): Promise<{ first: bigint; last: bigint } | undefined> {
    const all = this.of(owner);
    return all.length === 0 ? undefined : { first: all[0].id, last: all[all.length - 1].id };
  }

  async present(owner: Owner, ids: readonly bigint[]): Promise<Set<bigint>> {
    return new Set(
      this.of(owner)
        .map((row) => row.id)
        .filter((id) => ids.includes(id)),
    );
  }

  async byOriginId(
    owner: Owner,
    remote: Archived["remote"],
    direction: "in" | "out",
    originId: string,
  ): Promise<Found | undefined> {
    const hit = this.of(owner).findLast(
      (row) => row.remote.bare.text === remote.bare.text && row.direction === direction && row.originId === originId,
    );
    return hit && found(hit);
  }

  async replace(owner: Owner, id: bigint, stanza: string): Promise<void> {
    this.rows = this.rows.map((row) =>
      same(row.owner, owner) && row.id === id ? { ...row, stanza, searchBody: "" } : row,
    );
  }

  async *deleteBefore(domain: string, id: bigint): AsyncGenerator<number> {
    yield this.dropBefore(domain, id);
  }

  /** Deletes what `deleteBefore` deletes; how many that is. */
  dropBefore(domain: string, id: bigint): number {
    const before = this.rows.length;
    this.rows = this.rows.filter((row) => row.owner.domain !== domain || row.id >= id);
    return before - this.rows.length;
  }

  async countBefore(domain: string, id: bigint): Promise<number> {
    return this.rows.filter((row) => row.owner.domain === domain && row.id < id).length;
  }
}

const found = ({ id, from, stanza }: Archived): Found => ({ id, from: from.text, stanza: stanza.toString() });
