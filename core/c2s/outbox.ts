// What a session's client has sent and what waits for a write to become durable (an archive's), in order. The stream
// reads on meanwhile: one commit carries the messages of many, and a sender is not held to one message a commit. What
// has not left counts as not handled, so that the `h` of XEP-0198 never acknowledges what a crash could lose; nor does
// what has left and lags, since it is being stored for somebody who is not there.

import { StanzaError } from "../errors.ts";
import type { HostType, MaybePromise } from "../module.ts";
import { MESSAGE, type Stanza } from "../stanza.ts";
import type { Arrivals, Line, Turn } from "./arrivals.ts";

/** Stanzas that may wait; past it the stream is not read. */
const MAX_WAITING = 512;
/** Bytes of theirs that may. */
const MAX_BYTES = 1024 * 1024;
/** Stanzas that have left and are still held on to. */
const MAX_LEFT = 64;

/** What an outbox needs of its session. */
export interface OutboxOwner {
  /** Whose turn it is among the sessions. */
  readonly arrivals: Arrivals;
  /** Sends a stanza on its way; the host type is that of its addressee, undefined for somewhere else. */
  deliver(stanza: Stanza, host: HostType | undefined): MaybePromise<void>;
  /** Tells the client that its stanza came to nothing. */
  refuse(stanza: Stanza, error: unknown): void;
  /** So many stanzas of the client are handled. */
  handled(count: number): void;
  /** Everything that came before the client's last <r/> is handled. */
  answer(): void;
}

export class Outbox implements Line {
  // An entry for each stanza: itself, where it goes, whether it goes anywhere, its turn among those of other sessions, and
  // how many of the client's stanzas are handled when it has left.
  private readonly stanzas: Stanza[] = [];
  private readonly hosts: (HostType | undefined)[] = [];
  private readonly leaves: boolean[] = [];
  private readonly turns: (Turn | undefined)[] = [];
  private readonly counts: number[] = [];
  /** The first that has not left. */
  private head = 0;
  /** The first that is not handled: it has not left, or lags; or what it had left behind does. */
  private first = 0;
  /** Bytes of what is not handled. */
  private bytes = 0;
  /** Something is not handled. */
  private running = false;
  /** Something leaves, or waits to. */
  private leaving = false;
  /** The first lags, and its end is waited for. */
  private lagging = false;
  /** The write that was decided last, and how. */
  private settled: Promise<unknown> | undefined = undefined;
  private lost = false;
  private empty: { promise: Promise<void>; resolve: () => void } | undefined = undefined;
  /** Who waits until a stanza has left. */
  private marks: Map<Stanza, PromiseWithResolvers<void>> | undefined = undefined;
  /** Of the client's stanzas, those that were counted in and those that were counted out. */
  private came = 0;
  private left = 0;
  /** What `came` was when the client asked; and when it asked again. */
  private askedAt = -1;
  private askedNext = -1;
  /** The write that the first waits for, its own or one before it for the same account. */
  waitsFor: Promise<unknown> | undefined = undefined;
  private readonly durable = (): void => this.decided(false);
  private readonly failed = (): void => this.decided(true);
  private readonly again = (): void => this.next();
  private readonly onward = (): void => this.goOn();
  private readonly arrived = (): void => this.caughtUp();

  constructor(private readonly owner: OutboxOwner) {}

  /** Something waits: what comes now has to wait behind it. */
  get busy(): boolean {
    return this.running;
  }

  /** So much waits that no more should come. */
  get full(): boolean {
    return this.stanzas.length - this.first > MAX_WAITING || this.bytes > MAX_BYTES;
  }

  /** Resolves when nothing waits; undefined when nothing does. */
  get drained(): Promise<void> | undefined {
    if (!this.running) return undefined;
    this.empty ??= Promise.withResolvers<void>();
    return this.empty.promise;
  }

  /** Resolves when what waits now is handled, whatever comes behind it; undefined when nothing waits. */
  get passed(): Promise<void> | undefined {
    const last = this.stanzas.at(-1);
    if (!this.running || last === undefined) return undefined;
    this.marks ??= new Map();
    const mark = this.marks.get(last) ?? Promise.withResolvers<void>();
    this.marks.set(last, mark);
    return mark.promise;
  }

  /** Takes a stanza for later: after everything that waits, and after its own write. */
  put(stanza: Stanza, host: HostType | undefined): void {
    this.push(stanza, host, true);
  }

  /**
   * Counts a stanza of the client that has been dealt with as handled, when everything before it and its own write is.
   */
  count(stanza: Stanza): void {
    const waits = stanza.commit !== undefined || stanza.lag !== undefined;
    if (waits && this.stanzas.at(-1) !== stanza) this.push(stanza, undefined, false);
    if (!this.running) {
      this.owner.handled(1);
      return;
    }
    this.came++;
    this.counts[this.counts.length - 1]++;
  }

  /** The client asks how much is handled; true when it is answered later. */
  ask(): boolean {
    if (!this.running) return false;
    if (this.askedAt < 0) this.askedAt = this.came;
    else this.askedNext = this.came;
    return true;
  }

  private push(stanza: Stanza, host: HostType | undefined, leaves: boolean): void {
    this.stanzas.push(stanza);
    this.hosts.push(host);
    this.leaves.push(leaves);
    const takesTurn = leaves && stanza.kind === MESSAGE;
    this.turns.push(takesTurn ? this.owner.arrivals.take(this, stanza.to.bare.text) : undefined);
    this.counts.push(0);
    this.bytes += stanza.end - stanza.start;
    this.running = true;
    if (!this.leaving) this.next();
  }

  private decided(lost: boolean): void {
    this.settled = this.stanzas[this.head].commit;
    this.lost = lost;
    this.next();
  }

  private next(): void {
    this.waitsFor = undefined;
    this.leaving = true;
    while (this.head < this.stanzas.length) {
      const stanza = this.stanzas[this.head];
      const { commit } = stanza;
      if (commit !== undefined && commit !== this.settled) {
        this.waitsFor = commit;
        commit.then(this.durable, this.failed);
        return;
      }
      const turn = this.turns[this.head];
      const before = turn?.waitsFor;
      if (before !== undefined) {
        this.waitsFor = before;
        before.then(this.again, this.again);
        return;
      }
      const done = this.leaves[this.head] ? this.send(stanza, commit !== undefined && this.lost) : undefined;
      // What others have sent goes on when this is on its way, however long that is.
      turn?.end(this.owner.arrivals);
      if (done !== undefined) {
        done.then(this.onward, this.onward);
        return;
      }
      this.leave();
    }
    this.leaving = false;
    this.settled = undefined;
    if (this.first === this.head) this.end();
  }

  /** Everything is handled. */
  private end(): void {
    this.trim();
    this.running = false;
    // Whoever is not counted yet is not what was asked about.
    if (this.askedAt >= 0) {
      this.askedAt = -1;
      this.askedNext = -1;
      this.owner.answer();
    }
    const { empty } = this;
    this.empty = undefined;
    empty?.resolve();
  }

  private goOn(): void {
    this.leave();
    this.next();
  }

  /** The first of those that had not left has. */
  private leave(): void {
    this.head++;
    if (!this.lagging) this.handle();
  }

  /** Counts those that have left out, up to one that lags. */
  private handle(): void {
    while (this.first < this.head) {
      const { lag } = this.stanzas[this.first];
      if (lag !== undefined) {
        this.lagging = true;
        void lag.then(this.arrived);
        return;
      }
      this.countOut();
    }
  }

  /** The first has stopped lagging. */
  private caughtUp(): void {
    this.lagging = false;
    this.stanzas[this.first].lag = undefined;
    this.handle();
    if (!this.leaving && this.first === this.head) this.end();
  }

  private countOut(): void {
    const stanza = this.stanzas[this.first];
    this.bytes -= stanza.end - stanza.start;
    const n = this.counts[this.first++];
    if (this.marks !== undefined) this.pass(stanza, this.marks);
    if (this.first > MAX_LEFT) this.trim();
    if (n === 0) return;
    this.left += n;
    this.owner.handled(n);
    if (this.askedAt < 0 || this.left < this.askedAt) return;
    this.askedAt = this.askedNext > this.left ? this.askedNext : -1;
    this.askedNext = -1;
    this.owner.answer();
  }

  private pass(stanza: Stanza, marks: Map<Stanza, PromiseWithResolvers<void>>): void {
    marks.get(stanza)?.resolve();
    marks.delete(stanza);
    if (marks.size === 0) this.marks = undefined;
  }

  private trim(): void {
    for (const list of [this.stanzas, this.hosts, this.leaves, this.turns, this.counts]) list.splice(0, this.first);
    this.head -= this.first;
    this.first = 0;
  }

  private send(stanza: Stanza, lost: boolean): MaybePromise<void> {
    if (lost) {
      this.owner.refuse(stanza, new StanzaError("internal-server-error", "The message could not be stored"));
      return;
    }
    stanza.commit = undefined;
    const failed = (error: unknown): void => this.owner.refuse(stanza, error);
    try {
      return this.owner.deliver(stanza, this.hosts[this.head])?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
