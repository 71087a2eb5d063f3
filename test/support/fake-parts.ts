// The clock, accounts and counters of the fake server.
import type { Accounts, Counter } from "../../core/module.ts";

/** Stands still until told to move. */
export class FakeClock {
  /** Milliseconds since 1970. */
  time = Date.parse("2026-11-22T12:00:00Z");
  private timers: { at: number; run: () => void }[] = [];

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.time + ms, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((t) => t !== timer);
    };
  }

  /** Moves on by `ms`, running what falls due on the way, in order. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = this.timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.time = next.at;
      this.timers = this.timers.filter((t) => t !== next);
      next.run();
    }
    this.time = end;
  }
}

/** The host type's accounts: bare JID -> password. */
export class FakeAccounts implements Accounts {
  readonly passwords = new Map<string, string>();
  exists(local: string, domain: string): boolean {
    return this.passwords.has(`${local}@${domain}`);
  }
  async create(local: string, domain: string, password: string): Promise<"ok" | "exists"> {
    if (this.exists(local, domain)) return "exists";
    this.passwords.set(`${local}@${domain}`, password);
    return "ok";
  }
  async setPassword(local: string, domain: string, password: string): Promise<"ok" | "not_allowed"> {
    if (!this.exists(local, domain)) return "not_allowed";
    this.passwords.set(`${local}@${domain}`, password);
    return "ok";
  }
  checkPassword(local: string, domain: string, password: string): boolean {
    return this.passwords.get(`${local}@${domain}`) === password;
  }
  async remove(local: string, domain: string): Promise<"ok" | "user_does_not_exist"> {
    return this.passwords.delete(`${local}@${domain}`) ? "ok" : "user_does_not_exist";
  }
  readonly methods = ["internal"];
  private locals(domain: string): string[] {
    const jids = [...this.passwords.keys()].filter((jid) => jid.endsWith(`@${domain}`));
    return jids.map((jid) => jid.slice(0, -domain.length - 1)).sort();
  }
  count(domain: string): number {
    return this.locals(domain).length;
  }
  async snapshot(domain: string, limit: number, from: { until: number } | { cursor: string }) {
    const after = "cursor" in from ? from.cursor.split("/").slice(2).join("/") : "";
    const left = this.locals(domain).filter((local) => local > after);
    const users = left.slice(0, limit);
    return { users, cursor: left.length > limit ? `0/0/${users.at(-1)}` : undefined };
  }
}

/** A counter that tells what was added to it. */
export class FakeCounter implements Counter {
  value = 0;
  add(n = 1): void {
    this.value += n;
  }
}
