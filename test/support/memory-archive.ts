// An archive in memory, with the plainest code that does what the contract says: what others are compared with.
import type { Jid } from "../../core/jid.ts";
import type { ArchiveBackend, Archived, Filter, Found, Owner, Page, PageFound } from "../../modules/mod_mam/backend.ts";

export class MemoryArchive implements ArchiveBackend {
  readonly searches = true;
  /** Look-ups so far, as they were asked. */
  readonly asked: { filter: Filter; page: Page }[] = [];
  /** Refuses everything, as a database that is away. */
  failing = false;
  private readonly messages: Archived[] = [];

  async archive(message: Archived): Promise<void> {
    this.check();
    this.messages.push(message);
    this.messages.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  async lookup(owner: Owner, filter: Filter, page: Page): Promise<PageFound> {
    this.check();
    this.asked.push({ filter, page });
    const all = this.of(owner).filter((message) => matches(message, filter));
    const { dir, id, index = 0, max } = page;
    let start = index;
    if (dir === "after" && id !== undefined) start = all.filter((m) => m.id <= id).length;
    if (dir === "before") {
      const end = id === undefined ? all.length : all.filter((m) => m.id < id).length;
      start = Math.max(0, end - max);
      return result(all, start, end, start === 0);
    }
    return result(all, start, start + max, start + max >= all.length);
  }

  async bounds(owner: Owner): Promise<{ first: bigint; last: bigint } | undefined> {
    this.check();
    const all = this.of(owner);
    return all.length === 0 ? undefined : { first: all[0].id, last: all[all.length - 1].id };
  }

  async present(owner: Owner, ids: readonly bigint[]): Promise<Set<bigint>> {
    this.check();
    const there = new Set(this.of(owner).map((m) => m.id));
    return new Set(ids.filter((id) => there.has(id)));
  }

  async byOriginId(owner: Owner, remote: Jid, direction: "in" | "out", originId: string): Promise<Found | undefined> {
    const found = this.of(owner).findLast(
      (m) => m.originId === originId && m.direction === direction && m.remote.bare.text === remote.bare.text,
    );
    return found && shown(found);
  }

  async replace(owner: Owner, id: bigint, stanza: string): Promise<void> {
    const at = this.messages.findIndex((m) => m.id === id && sameOwner(m.owner, owner));
    if (at >= 0) this.messages[at] = { ...this.messages[at], stanza, searchBody: "" };
  }

  async *deleteBefore(domain: string, id: bigint): AsyncGenerator<number> {
    for (let i = 0; i < this.messages.length; ) {
      if (this.messages[i].owner.domain === domain && this.messages[i].id < id) {
        this.messages.splice(i, 1);
        yield 1;
      } else i++;
    }
  }

  async countBefore(domain: string, id: bigint): Promise<number> {
    return this.messages.filter((m) => m.owner.domain === domain && m.id < id).length;
  }

  private of(owner: Owner): Archived[] {
    return this.messages.filter((m) => sameOwner(m.owner, owner));
  }

  private check(): void {
    if (this.failing) throw new Error("the archive is away");
  }
}

const sameOwner = (a: Owner, b: Owner): boolean => a.local === b.local && a.domain === b.domain;

const shown = ({ id, from, stanza }: Archived): Found => ({ id, from: from.text, stanza: stanza.toString() });

function result(all: readonly Archived[], start: number, end: number, complete: boolean): PageFound {
  return { messages: all.slice(start, end).map(shown), total: all.length, offset: start, complete };
}

function matches(message: Archived, filter: Filter): boolean {
  const { id, remote } = message;
  const { fromId, toId, afterId, beforeId, ids, with: wanted, words, noGroupchat } = filter;
  if (fromId !== undefined && id < fromId) return false;
  if (toId !== undefined && id > toId) return false;
  if (afterId !== undefined && id <= afterId) return false;
  if (beforeId !== undefined && id >= beforeId) return false;
  if (ids !== undefined && !ids.includes(id)) return false;
  if (wanted !== undefined && (wanted.resource === "" ? remote.bare.text : remote.text) !== wanted.text) return false;
  if (words?.some((word) => !message.searchBody.includes(word))) return false;
  return !(noGroupchat && message.groupchat);
}
