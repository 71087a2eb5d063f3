// Stream management of one session (XEP-0198): counters, and the stanzas that the client has not acknowledged.

import { NS_SM } from "../ns.ts";

/** Asks the client what it has handled. */
export const REQUEST = `<r xmlns='${NS_SM}'/>`;

/** Bytes of copies that may wait for their acknowledgement. */
const MAX_COPIES = 16 * 1024 * 1024;

/** Stanzas that may wait beyond the bound of a stream. */
const MAX_ALLOWED = 50_000;

/** Counters are modulo 2^32 (XEP-0198 §4). */
const WRAP = 2 ** 32;

/** A stanza that was sent and may have to be sent again: its bytes as a latin1 string, a flat copy. */
interface Unacked {
  bytes: string;
  /** Milliseconds since 1970. */
  at: number;
  /** A carbon copy or another duplicate: dropped, not routed again. Its bytes are "" where they are not needed. */
  copy: boolean;
}

export class StreamManagement {
  /** Stanzas of the client that were handled. */
  handled = 0;
  /** The highest `h` of the client. */
  acked = 0;
  /** Stanzas sent since <enabled/>. */
  sent = 0;
  /** Set when the client may resume: the id it presents. */
  id = "";
  /** Stanzas sent since the last <r/>. */
  sinceRequest = 0;
  /** Connections that still hold stanzas of this client in memory: what they hold is not acknowledged. */
  held = 0;
  /** The client asked while something was held: it is answered again when nothing is. */
  asked = false;
  /** Stanzas that may wait beyond `max`: stored ones that were sent all at once, and errors for the client's own. */
  private allowed = 0;
  private reported = 0;
  /** Bytes of copies that wait: answers to the client's requests above all, which have no other bound. */
  private copies = 0;
  /** Copies were dropped: the stream cannot be resumed any more. */
  tooMuch = false;
  private queue: Unacked[] = [];
  private head = 0;

  constructor(
    /** Most stanzas that may wait; Infinity for no bound. 0 keeps none (buffer = false). */
    readonly max: number,
    /** Ask for an acknowledgement after so many stanzas; 0 never. */
    readonly ackEvery: number,
    /** Seconds that a lost stream may be resumed. */
    readonly resumeSeconds: number,
  ) {}

  get waiting(): number {
    return this.queue.length - this.head;
  }

  count(n = 1): void {
    this.handled = (this.handled + n) % WRAP;
  }

  /** The `h` to report now: what was handled and is out of our memory. */
  report(): number {
    if (this.held === 0) this.reported = this.handled;
    this.asked = this.held > 0;
    return this.reported;
  }

  /** The `h` for <resumed/>: what is beyond it comes again, and is counted again. */
  startOver(): number {
    this.handled = this.report();
    this.asked = false;
    return this.handled;
  }

  /** Notes a stanza that goes to the client; false when the buffer is over its bound. */
  push(bytes: string, at: number, copy: boolean): boolean {
    this.sent = (this.sent + 1) % WRAP;
    if (this.max === 0) return true;
    // Copies are for resumption alone.
    if (copy && this.id === "") bytes = "";
    if (copy) this.copies += bytes.length;
    this.queue.push({ bytes, at, copy });
    if (this.copies > MAX_COPIES) this.forgetCopies();
    return this.waiting <= this.max + this.allowed;
  }

  private forgetCopies(): void {
    for (let i = this.head; i < this.queue.length; i++) if (this.queue[i].copy) this.queue[i].bytes = "";
    this.copies = 0;
    this.tooMuch = true;
  }

  /** One more may wait beyond the bound, until it is acknowledged; of those there is a bound too. */
  allow(): void {
    if (this.allowed < MAX_ALLOWED) this.allowed++;
  }

  /** Takes the client's `h`; false when it acknowledges more than was sent. */
  ack(h: number): boolean {
    const newly = (h - this.acked + WRAP) % WRAP;
    const outstanding = (this.sent - this.acked + WRAP) % WRAP;
    if (newly > outstanding) return false;
    this.acked = h;
    if (this.max === 0) return true;
    if (this.copies > 0) {
      for (let i = 0; i < newly; i++) {
        const { bytes, copy } = this.queue[this.head + i];
        if (copy) this.copies -= bytes.length;
      }
    }
    this.head += newly;
    if (this.allowed > this.waiting) this.allowed = this.waiting;
    if (this.head === this.queue.length) {
      this.queue = [];
      this.head = 0;
    } else if (this.head > 64 && this.head * 2 > this.queue.length) {
      this.queue.splice(0, this.head);
      this.head = 0;
    }
    return true;
  }

  /** What the client has not acknowledged, oldest first. */
  unacked(): readonly Readonly<Unacked>[] {
    return this.queue.slice(this.head);
  }

  /** The stanza pushed last. */
  newest(): Readonly<Unacked> | undefined {
    return this.queue.at(-1);
  }

  /** Forgets what is waiting: somebody else looks after it now. */
  clear(): void {
    this.copies = 0;
    this.queue = [];
    this.head = 0;
  }
}
