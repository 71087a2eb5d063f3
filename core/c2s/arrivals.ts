// In which order messages for one account go on that have to wait, when several sessions have sent them: in the order in
// which they came, which is that of the account's archive (XEP-0313 §3.1). Whoever has seen one and catches up asks for
// what is newer, and would miss one that is older and comes after it.

import type { MaybePromise } from "../module.ts";

/** Who has such messages, in the order of a session. */
export interface Line {
  /** What it waits for before the first of them can go: writes alone. Undefined while nothing of that kind holds it up. */
  readonly waitsFor: Promise<unknown> | undefined;
}

/** The turn of one message. */
export class Turn {
  private over = false;

  constructor(
    private readonly line: Line,
    private readonly account: string,
    private ahead: Turn | undefined,
  ) {}

  /**
   * What is to be waited for before it is this one's turn; undefined when it is. Look again then. A message that came
   * before and is held up by anything but a write, a reader who is slow, is not waited for: one session could hold up
   * what others send to somebody.
   */
  get waitsFor(): Promise<unknown> | undefined {
    if (this.ahead?.over) this.ahead = undefined;
    return this.ahead?.line.waitsFor;
  }

  /** It has had its turn. */
  end({ last }: Arrivals): void {
    this.over = true;
    // What came long ago is not to be held on to by what comes now.
    this.ahead = undefined;
    if (last.get(this.account) === this) last.delete(this.account);
  }
}

export class Arrivals {
  /** The turn of the message that came last, of those that still wait, by the bare JID of whom it is for. */
  readonly last = new Map<string, Turn>();

  /** A message that has to wait comes for an account. */
  take(line: Line, account: string): Turn {
    const turn = new Turn(line, account, this.last.get(account));
    this.last.set(account, turn);
    return turn;
  }

  /**
   * Has a message that no session has sent go when its write is durable and what came before it for the account is on its
   * way; `lost` when the write has failed. Resolves as `go` does.
   */
  async pass(account: string, write: Promise<unknown>, go: (lost: boolean) => MaybePromise<void>): Promise<void> {
    const line: { waitsFor: Promise<unknown> | undefined } = { waitsFor: write };
    const turn = this.take(line, account);
    let lost = false;
    await write.catch(() => {
      lost = true;
    });
    for (let before = turn.waitsFor; before !== undefined; before = turn.waitsFor) {
      line.waitsFor = before;
      await before.catch(() => undefined);
    }
    line.waitsFor = undefined;
    let done: MaybePromise<void>;
    try {
      done = go(lost);
    } finally {
      turn.end(this);
    }
    await done;
  }
}
