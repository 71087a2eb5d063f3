// What the tests of the framer read with: a sink that writes down what it is told, and saxes as the other opinion.

import type { Stanza } from "../../../../core/stanza.ts";
import { Framer, ScanPool } from "../../../../core/xml/framer.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../../core/xml/scan.ts";

export const HEADER =
  "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/** A framer whose sink takes notes. */
export class Notes {
  readonly elements: Stanza[] = [];
  readonly headers: Stanza[] = [];
  /** "" while the stream goes on, "end", or the condition. */
  outcome = "";
  what = "";
  /** Answers "wait" to headers and elements while set. */
  wait = false;
  /** Called with each element, before the answer. */
  onElement: ((s: Stanza) => void) | undefined;
  readonly framer: Framer;

  constructor(limits: Partial<Limits> = {}) {
    this.framer = new Framer(this, new ScanPool(), { ...DEFAULT_LIMITS, ...limits });
  }
  header(header: Stanza): boolean {
    this.headers.push(header);
    return !this.wait;
  }
  element(stanza: Stanza): boolean {
    this.elements.push(stanza);
    this.onElement?.(stanza);
    return !this.wait;
  }
  end(): void {
    this.outcome = "end";
  }
  malformed(condition: string, what: string): void {
    this.outcome = condition;
    this.what = what;
  }
  feed(...pieces: (string | Uint8Array)[]): this {
    for (const piece of pieces) this.framer.feed(Buffer.from(piece as string));
    return this;
  }
  get texts(): string[] {
    return this.elements.map((s) => s.text);
  }
}

/** What a whole stream comes to: "ok" while it may go on, "end", or the condition. */
export function verdict(text: string | Uint8Array, limits: Partial<Limits> = {}): string {
  const { outcome } = new Notes(limits).feed(text);
  return outcome === "" ? "ok" : outcome;
}

/** What `text` comes to inside of a stream. */
export function inStream(text: string | Uint8Array, limits: Partial<Limits> = {}): string {
  const { outcome } = new Notes(limits).feed(HEADER, text);
  return outcome === "" ? "ok" : outcome;
}

/** The first element of `text` inside of a stream with this header. */
export function first(text: string, header = HEADER): Stanza {
  const notes = new Notes().feed(header, text);
  if (notes.elements.length === 0) throw new Error(`no element: ${notes.outcome} (${notes.what})`);
  return notes.elements[0];
}
