// The command sessions of a host type: commands that wait for a form. They end by themselves after a while, and there
// is a bound on them, for one user and for all together.

import type { Stage } from "./command.ts";

/** How long a session waits for its user, in ms. */
const LIFE_TIME = 10 * 60_000;
/** Sessions of one user (a bare JID); another one ends the oldest. */
const PER_USER = 10;
/** Sessions of a host type; another one ends the oldest. */
const MOST = 10_000;
/** Ended sessions that are remembered, so that their users learn what has happened. */
const REMEMBERED = 1000;

export interface CommandSession {
  readonly id: string;
  readonly node: string;
  /** Full JID of the user: nobody else may go on. */
  readonly owner: string;
  readonly user: string;
  /** The address that was asked. */
  readonly to: string;
  /** The stages so far; the last one waits for its form. */
  readonly stages: Stage[];
  expires: number;
  /** A form of it is being worked on. */
  busy: boolean;
}

export class CommandSessions {
  /** By id, those that were used last at the end. */
  private readonly open = new Map<string, CommandSession>();
  private readonly byUser = new Map<string, Set<CommandSession>>();
  /** Ids of ended sessions and whose they were. */
  private readonly ended = new Map<string, string>();

  /** Begins a session at time `now` (ms). */
  begin(
    head: Pick<CommandSession, "id" | "node" | "owner" | "user" | "to">,
    stage: Stage,
    now: number,
  ): CommandSession {
    this.expire(now);
    const own = this.byUser.get(head.user) ?? new Set();
    this.byUser.set(head.user, own);
    for (const oldest of own) {
      if (own.size < PER_USER) break;
      this.end(oldest);
    }
    for (const oldest of this.open.values()) {
      if (this.open.size < MOST) break;
      this.end(oldest);
    }
    const session = { ...head, stages: [stage], expires: now + LIFE_TIME, busy: false };
    this.open.set(session.id, session);
    own.add(session);
    // Ending others may have taken the user's set away.
    this.byUser.set(head.user, own);
    return session;
  }

  /** The session with this id when it is `owner`'s; "expired" when it was his; undefined when it is nobody's or another's. */
  find(id: string, owner: string, now: number): CommandSession | "expired" | undefined {
    this.expire(now);
    const session = this.open.get(id);
    if (session === undefined) return this.ended.get(id) === owner ? "expired" : undefined;
    return session.owner === owner ? session : undefined;
  }

  /** The session goes on. */
  touch(session: CommandSession, now: number): void {
    if (!this.open.delete(session.id)) return;
    session.expires = now + LIFE_TIME;
    this.open.set(session.id, session);
  }

  end(session: CommandSession): void {
    if (!this.open.delete(session.id)) return;
    const own = this.byUser.get(session.user);
    own?.delete(session);
    if (own?.size === 0) this.byUser.delete(session.user);
    this.remember(session.id, session.owner);
  }

  /** A command that had no session was completed under this id. */
  remember(id: string, owner: string): void {
    this.ended.set(id, owner);
    for (const oldest of this.ended.keys()) {
      if (this.ended.size <= REMEMBERED) break;
      this.ended.delete(oldest);
    }
  }

  private expire(now: number): void {
    for (const session of this.open.values()) {
      if (session.expires > now) break;
      this.end(session);
    }
  }
}
