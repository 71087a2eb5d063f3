// The session that a user who is not connected would have: hooks of stanzas sent in his name are given it.

import type { HostRuntime } from "../host.ts";
import { type FullJid, isFull, type Jid, withResource } from "../jid.ts";
import type { Session } from "../module.ts";
import type { Node } from "../node.ts";
import type { Stanza } from "../stanza.ts";

/** Nobody is at the other end: what is written to it is lost, and it is never available. In no directory. */
export class AbsentSession implements Session {
  readonly jid: FullJid;
  readonly domain: string;
  readonly sid: number;
  readonly address = "";
  readonly port = 0;
  readonly unread = 0;
  readonly secure = false;
  readonly available = false;
  readonly priority = 0;
  readonly presence = undefined;
  readonly detached = false;
  readonly anonymous = false;
  slots: unknown[] | undefined = undefined;

  constructor(
    node: Node,
    readonly host: HostRuntime,
    sender: Jid,
  ) {
    // No client has this resource, so that nothing meant for all but the sender leaves one out.
    this.jid = isFull(sender) ? sender : withResource(sender, `admin-${node.token(8)}`);
    this.domain = sender.domain;
    this.sid = node.nextSid();
  }

  receive(): void {}
  put(): void {}
  write(): void {}
  setPresence(): void {}
  close(): void {}
  async request(): Promise<Stanza | undefined> {
    return undefined;
  }
}
