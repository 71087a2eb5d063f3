// Who follows a user's messages (GraphQL subscriptions): shown to them on their way to the account. As long as nobody
// follows anybody of a host type, its messages pass no handler of ours.

import type { HookTable, MaybePromise } from "../hooks.ts";
import { type BareJid, isFull } from "../jid.ts";
import { type Events, type FollowedMessage, OperationError } from "../operations.ts";
import { MESSAGE, type Stanza } from "../stanza.ts";
import { stanzaText } from "../xml/stanza-text.ts";

/** A host type, as far as its hooks go. */
interface Host {
  readonly hooks: HookTable;
}

/** Characters that wait for who does not take them; with more the subscription ends. */
const MOST_WAITING = 1_048_576;
/** Subscriptions to one user's messages. */
const MOST_FOLLOWERS = 20;
const NAME = "graphql_subscriptions";

export class Followers {
  private readonly byHost = new Map<Host, Map<string, Set<Queue>>>();

  /** Messages to a user's bare JID, but those of type error, until they are stopped or the account is removed. */
  follow(host: Host, user: BareJid): Events<FollowedMessage> {
    const queue = this.join(host, user);
    return {
      next: async () => {
        const message = await queue.next();
        if (message === undefined) this.part(host, user, queue);
        return message;
      },
      stop: () => {
        this.part(host, user, queue);
        queue.end();
      },
    };
  }

  private join(host: Host, user: BareJid): Queue {
    let users = this.byHost.get(host);
    if (users === undefined) {
      users = new Map();
      this.byHost.set(host, users);
      this.watch(host, users);
    }
    const queue = new Queue();
    const queues = users.get(user.text) ?? new Set();
    if (queues.size >= MOST_FOLLOWERS) {
      throw new OperationError("too_many_subscriptions", "The user's messages have too many subscriptions already");
    }
    users.set(user.text, queues.add(queue));
    return queue;
  }

  private part(host: Host, user: BareJid, queue: Queue): void {
    const users = this.byHost.get(host);
    const queues = users?.get(user.text);
    if (users === undefined || queues === undefined) return;
    queues.delete(queue);
    if (queues.size === 0) users.delete(user.text);
    if (users.size > 0) return;
    this.byHost.delete(host);
    host.hooks.remove(NAME);
  }

  private watch({ hooks }: Host, users: ReadonlyMap<string, ReadonlySet<Queue>>): void {
    const end = (text: string): void => {
      for (const queue of users.get(text) ?? []) queue.end();
    };
    hooks.add(
      NAME,
      {
        // After whatever may drop the message.
        filter_local_packet: { at: 99, run: (stanza: Stanza) => look(stanza, users, hooks) },
        remove_user: ({ jid }) => end(jid.text),
        remove_domain: ({ domain }) => {
          for (const text of users.keys()) if (text.endsWith(`@${domain}`)) end(text);
        },
      },
      undefined,
    );
  }
}

/** Shows a message to those who follow its addressee, unless he has blocked its sender. */
function look(
  stanza: Stanza,
  users: ReadonlyMap<string, ReadonlySet<Queue>>,
  hooks: HookTable,
): MaybePromise<undefined> {
  if (stanza.kind !== MESSAGE || isFull(stanza.to) || stanza.type === "error") return;
  const jid = stanza.to.bare;
  const queues = users.get(jid.text);
  if (queues === undefined) return;
  const said = hooks.fold("privacy_check_packet", "allow", { jid, stanza, dir: "in" });
  const decide = (verdict: string): undefined => {
    if (verdict === "allow") show(stanza, queues);
  };
  return said instanceof Promise ? said.then(decide) : decide(said);
}

function show(stanza: Stanza, queues: ReadonlySet<Queue>): void {
  const message = { sender: stanza.from, stanza: stanzaText(stanza, stanza.to), id: stanza.id };
  for (const queue of queues) queue.put(message);
}

/** Messages from the router to one follower. */
class Queue {
  private readonly waiting: FollowedMessage[] = [];
  private size = 0;
  private ended = false;
  private wake: (() => void) | undefined;

  put(message: FollowedMessage): void {
    if (this.ended) return;
    this.size += message.stanza.length;
    if (this.size > MOST_WAITING) this.ended = true;
    else this.waiting.push(message);
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** The next message, when there is one; undefined at the end. */
  async next(): Promise<FollowedMessage | undefined> {
    if (this.waiting.length === 0 && !this.ended) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
    const message = this.waiting.shift();
    if (message !== undefined) this.size -= message.stanza.length;
    return message;
  }
}
