// Archives of one domain beside a naive model of them, and what may be done to both: for tests of pages of long archives.
// Time stands still unless it is moved.
import { expect } from "vitest";
import { parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import type { Archived, Filter, Owner, Page, PageFound } from "../../modules/mod_mam/backend.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { ArchiveModel } from "./archive-model.ts";
import { allSteps } from "./steps.ts";

export const START_MS = 1_790_000_000_000;
const FRIEND = parseJid("friend@localhost/pc");
/** Ends of pages that a client may come back to: more than are remembered. */
const ENDS = 12;
const silent = { flushed() {}, dropped() {}, unfit: () => expect.unreachable("it has room for all") };

export const idAt = (ms: number, micros = 0n): bigint => (BigInt(ms) * 1000n + micros) << 8n;

const message = (owner: Owner, id: bigint): Archived => ({
  id,
  owner,
  from: FRIEND,
  remote: FRIEND,
  direction: "in",
  stanza: `<message><body>${id}</body></message>`,
  searchBody: "",
  originId: undefined,
  groupchat: false,
});

/** An id: of a message of the archive, or next to one, or below or above all of them. */
export interface Spot {
  /** Among the ends of the pages that were given, if there were any; among all messages. */
  readonly ends: boolean;
  readonly pick: number;
  readonly near: bigint;
}
export interface Look {
  readonly owner: number;
  readonly server: number;
  readonly low: (Spot & { readonly open: boolean }) | undefined;
  readonly high: (Spot & { readonly open: boolean }) | undefined;
  readonly dir: Page["dir"];
  readonly at: Spot | { readonly index: number } | undefined;
  readonly max: number;
  readonly count: boolean;
}
export type Step = { readonly beside: readonly Look[] } & (
  | { readonly what: "look" }
  | { readonly what: "wait"; readonly ms: number }
  | { readonly what: "archive"; readonly owner: number; readonly server: number; readonly ages: readonly number[] }
  | { readonly what: "replace"; readonly owner: number; readonly pick: number }
  | { readonly what: "delete"; readonly owner: number; readonly spot: Spot; readonly limit: number }
  | { readonly what: "age"; readonly owner: number; readonly spot: Spot; readonly limit: number }
);

export class ArchiveWorld {
  /** Milliseconds since 1970. */
  clock = START_MS;
  readonly servers;
  readonly archives;
  /** Milliseconds within which a message may come before others: it has the time of a slower server. */
  private readonly young: number;

  /**
   * @param dbs a server each, on one database
   * @param domain which no other world has
   */
  constructor(
    dbs: readonly Db[],
    private readonly domain: string,
  ) {
    this.servers = dbs.map((db) => new MamStore(db).sql({ cache_users: true }, silent, () => this.clock));
    this.young = dbs[0].dialect === "sqlite" ? 9_000 : 590_000;
    this.archives = ["alice", "bob", "żółw"].map((local) => ({
      owner: { local, domain },
      model: new ArchiveModel(),
      /** The ends of the pages that were given, the last one first. */
      ends: [] as bigint[],
    }));
  }

  /** Fills archives, one after the other: so many messages, the newest of which is so many milliseconds old. */
  async fill(sizes: readonly { size: number; tail: number; seed: number }[]): Promise<void> {
    for (const [i, { size, tail, seed }] of sizes.entries()) {
      let id = idAt(START_MS - tail);
      const ids: bigint[] = [];
      for (let n = 0, random = seed; n < size; n++) {
        ids.push(id);
        random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
        // Of the same microsecond, of the next one, or of another time.
        const kind = (random >>> 16) % 8;
        id -= kind < 2 ? 1n : kind < 4 ? 256n : BigInt(random) << 4n;
      }
      await this.write(i, 0, ids.toReversed());
    }
  }

  async write(owner: number, server: number, ids: readonly bigint[]): Promise<void> {
    const to = this.archives[owner];
    const messages = ids.map((id) => message(to.owner, id));
    await Promise.all(messages.map((one) => this.servers[server].sql.archive(one)));
    for (const one of messages) await to.model.archive(one);
  }

  /** The ids of an archive, in order. */
  ids(owner: number): bigint[] {
    const { model, owner: local } = this.archives[owner];
    return model.left(local, {}).map(({ id }) => id);
  }

  id(owner: number, { ends, pick, near }: Spot): bigint {
    const given = this.archives[owner].ends;
    if (ends && given.length > 0) return given[pick % given.length] + near;
    const ids = this.ids(owner);
    const at = pick % (ids.length + 2);
    const [low, high] = ids.length === 0 ? [idAt(START_MS), idAt(START_MS)] : [ids[0], ids[ids.length - 1]];
    return at < ids.length ? ids[at] + near : at === ids.length ? low - 1000n : high + 1000n;
  }

  asked({ owner, low, high, dir, at, max, count }: Look): { filter: Filter; page: Page } {
    const filter: Filter = {
      ...(low && { [low.open ? "afterId" : "fromId"]: this.id(owner, low) }),
      ...(high && { [high.open ? "beforeId" : "toId"]: this.id(owner, high) }),
    };
    if (at === undefined) return { filter, page: { dir, max, count } };
    if ("index" in at) return { filter, page: { dir: "after", index: at.index, max, count } };
    return { filter, page: { dir, id: this.id(owner, at), max, count } };
  }

  /** Begins to look something up; resolves to what checks it against the model as that was then. */
  begin(one: Look): Promise<() => Promise<void>> {
    const { filter, page } = this.asked(one);
    const { owner, model, ends } = this.archives[one.owner];
    const rows = [...model.rows];
    return this.servers[one.server].sql.lookup(owner, filter, page).then((found) => async (): Promise<void> => {
      const then = new ArchiveModel();
      then.rows = rows;
      expect(shown(found, page)).toEqual(await wanted(then, owner, filter, page));
      if (found.edge !== undefined) expect(found.edge).toBe(rows.some(({ id }) => id === page.id));
      const { messages } = found;
      if (messages.length === 0) return;
      ends.unshift(messages[0].id, messages[messages.length - 1].id);
      ends.splice(ENDS);
    });
  }

  async check(looks: readonly Look[]): Promise<void> {
    for (const check of await Promise.all(looks.map((one) => this.begin(one)))) await check();
  }

  /** What is looked up meanwhile may be of before or of after; that it changes nothing for later is what counts. */
  async step(step: Step): Promise<void> {
    if (step.what === "look") return this.check(step.beside);
    const meanwhile = step.beside.map((one) => this.begin(one));
    await this.change(step);
    await Promise.all(meanwhile);
    await this.check(step.beside);
  }

  private async change(step: Step): Promise<void> {
    if (step.what === "wait") this.clock += step.ms;
    else if (step.what === "archive") {
      const there = new Set(this.ids(step.owner));
      const ids = step.ages.map((age) => {
        let id = idAt(this.clock - Math.floor((age / 100) * this.young), BigInt(age));
        while (there.has(id)) id++;
        there.add(id);
        return id;
      });
      await this.write(step.owner, step.server, ids);
    } else if (step.what === "replace") {
      const ids = this.ids(step.owner);
      if (ids.length === 0) return;
      const { owner, model } = this.archives[step.owner];
      for (const each of [this.servers[0].sql, model])
        await each.replace(owner, ids[step.pick % ids.length], "<message><gone/></message>");
    } else if (step.what === "delete") await this.delete(0, step.owner, this.id(step.owner, step.spot), step.limit);
    else if (step.what === "age") await this.age(this.id(step.owner, step.spot), step.limit);
  }

  /** Deletes what is below an id, at most so many. */
  async delete(server: number, owner: number, id: bigint, limit: number): Promise<void> {
    const { owner: local, model } = this.archives[owner];
    const number = await this.servers[server].owners.find(local);
    if (number === undefined) return;
    const below = this.ids(owner).filter((each) => each < id);
    const gone = await this.servers[server].sql.deleteOf(number, id, limit);
    expect(gone).toBe(Math.min(limit, below.length));
    model.dropBefore(this.domain, below[limit] ?? id);
  }

  /** Retention: what is below an id goes from all archives, at most so many messages at a time. */
  async age(id: bigint, limit: number): Promise<void> {
    await allSteps(this.servers[0].sql.deleteBefore(this.domain, id, Math.max(40, limit)));
    for (const { model } of this.archives) model.dropBefore(this.domain, id);
  }
}

/** A page without what the contract leaves open: figures that were not asked for, the place of a page beyond the end. */
const shown = ({ messages, total, offset, complete }: PageFound, { count, index }: Page) => ({
  messages,
  total: count ? total : undefined,
  offset: count && (index === undefined || messages.length > 0) ? offset : undefined,
  complete,
});

async function wanted(model: ArchiveModel, owner: Owner, filter: Filter, page: Page) {
  const found = await model.lookup(owner, filter, page);
  const { dir, id } = page;
  // Where there is no message, the place where one would be.
  const before =
    id === undefined
      ? dir === "after"
        ? 0
        : (found.total ?? 0)
      : model.left(owner, filter).filter((row) => (dir === "after" ? row.id <= id : row.id < id)).length;
  return shown({ ...found, offset: found.messages.length > 0 ? found.offset : before }, page);
}
