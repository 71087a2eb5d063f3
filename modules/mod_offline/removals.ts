// Accounts and domains that were removed lately: a message that was on its way to one of them then is not for whoever
// gets the name next.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { BareJid } from "../../core/jid.ts";

/** Names that are remembered. No message is on its way while so many are removed. */
const REMEMBERED = 1000;

export class Removals {
  /** Removals so far. */
  count = 0;
  /** Which removal was the last of a bare JID or a domain. */
  readonly #last = new BoundedMap<string, number>(REMEMBERED, () => 1);
  /** What `count` was when a message came; nothing for 0. */
  readonly #came = new WeakMap<object, number>();

  /** @param name a bare JID or a domain */
  note(name: string): void {
    this.count++;
    this.#last.set(name, this.count);
  }

  /** A message has come for an account that is there. */
  comes(message: object): void {
    if (this.count > 0) this.#came.set(message, this.count);
  }

  /** What `count` was when a message came. */
  before(message: object): number {
    return this.#came.get(message) ?? 0;
  }

  /** Whether an account or its domain was removed since `count` was so much. */
  since({ text, domain }: BareJid, count: number): boolean {
    return this.count > count && (this.#of(text) > count || this.#of(domain) > count);
  }

  #of(name: string): number {
    return this.#last.get(name) ?? 0;
  }
}
