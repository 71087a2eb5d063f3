// Archives of users, the writing side: what a client sends is kept for its account (user_send_message), what comes for
// an account for that one (filter_local_packet). The stanza waits for the write (Stanza.wait), its stream does not.

import { StanzaError } from "../../core/errors.ts";
import { archivable } from "../../core/hints.ts";
import { type HookHandlers, type MaybePromise, STOP, type Verdict } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { NS_AMP, NS_SID } from "../../core/ns.ts";
import { stamp, stripIds } from "../../core/stable-id.ts";
import { MESSAGE, type Stanza } from "../../core/stanza.ts";
import { stanzaBytes } from "../../core/xml/stanza-text.ts";
import type { Context } from "./context.ts";
import type { PmArchive } from "./store.ts";

/** The message that was archived last: its second copy is the same. */
interface Memo {
  stanza: Stanza;
  appended: string;
  bytes: Buffer;
  search: string;
  origin: string | undefined;
}

/** The writing side of one host type. */
export class PmRecorder {
  private memo: Memo | undefined;

  constructor(
    private readonly ctx: Context,
    private readonly archive: Omit<PmArchive, "recorder" | "asked">,
  ) {}

  /** A client has sent a message. */
  sent(stanza: Stanza, session: Session): Verdict {
    const owner = session.jid.bare;
    if (stanza.has("stanza-id", NS_SID)) stripIds(stanza, owner.text, owner.domain);
    // What goes to a room comes back from it, and is kept then; what does not was never said there.
    if (stanza.type === "groupchat" || !this.wants(stanza)) return;
    const may = this.archive.prefs?.shouldArchive(owner, stanza.to);
    if (may === false) return;
    if (may !== undefined && may !== true) return may.then((yes) => (yes ? this.keepSent(stanza, owner) : undefined));
    return this.keepSent(stanza, owner);
  }

  private keepSent(stanza: Stanza, owner: BareJid): undefined {
    const id = this.ctx.server.messageId();
    stanza.ownId = id;
    const { same_mam_id_for_peers } = this.archive.config;
    // mod_stanzaid gives a message one id for all. To oneself it is one message, in one archive, once.
    if (same_mam_id_for_peers || this.ctx.host.modules.has("mod_stanzaid") || stanza.to.bare.text === owner.text) {
      stanza.stableId = id;
    }
    this.keep(stanza, owner, "out", id);
  }

  /** A message is on its way to an account. */
  received(stanza: Stanza): Verdict {
    // What is on its way again has been through here: the archive has it if it was to, under whatever id.
    if (stanza.kind !== MESSAGE || stanza.archived || stanza.revived || stanza.to.bare.isDomain) return;
    const owner = stanza.to.bare;
    // Nobody else says ids in the name of an archive: not to its owner, and not in it.
    if (stanza.stamp === "" && stanza.has("stanza-id", NS_SID)) stripIds(stanza, owner.text, owner.domain);
    if (!this.wants(stanza)) return this.unkept(stanza);
    if (stanza.ownId !== undefined && stanza.from.bare.text === owner.text) {
      stanza.archived = true;
      return this.shows(stanza, owner, stanza.ownId);
    }
    const { server, host } = this.ctx;
    if (server.sessionsOf(owner).length > 0 || host.accountCache?.has(owner.text))
      return this.forAccount(stanza, owner);
    const exists = host.auth.exists(owner.local, owner.domain);
    if (exists === false) return;
    if (exists === true) return this.forAccount(stanza, owner);
    return exists.then((there) => (there ? this.forAccount(stanza, owner) : undefined));
  }

  /** For an account that there is. What its lists turn away has never come to it (XEP-0313 §5.1). */
  private forAccount(stanza: Stanza, owner: BareJid): MaybePromise<undefined> {
    const { hooks } = this.ctx.host;
    if (!hooks.has("privacy_check_packet")) return this.asPreferred(stanza, owner);
    const said = hooks.fold("privacy_check_packet", "allow", { jid: owner, stanza, dir: "in" });
    const judged = (verdict: typeof said): MaybePromise<undefined> =>
      verdict === "allow" ? this.asPreferred(stanza, owner) : undefined;
    return said instanceof Promise ? said.then(judged) : judged(said);
  }

  private asPreferred(stanza: Stanza, owner: BareJid): MaybePromise<undefined> {
    const may = this.archive.prefs?.shouldArchive(owner, stanza.from);
    if (may === false) return this.unkept(stanza);
    if (may !== undefined && may !== true) {
      return may.then((yes) => (yes ? this.keepReceived(stanza, owner) : this.unkept(stanza)));
    }
    return this.keepReceived(stanza, owner);
  }

  private keepReceived(stanza: Stanza, owner: BareJid): undefined {
    // mod_stanzaid (50) may have given it its id already.
    const id = stanza.stableId ?? this.ctx.server.messageId();
    this.keep(stanza, owner, "in", id);
    stanza.archived = true;
    this.shows(stanza, owner, id);
  }

  /**
   * An id by the account is one of its archive to clients (XEP-0313 §3.5), which ask for what is newer: a message that is
   * not in there has none, although mod_stanzaid (50) has given it one.
   */
  private unkept(stanza: Stanza): undefined {
    if (stanza.stamp === "") return;
    stanza.appended = stanza.unstamped;
    stanza.stamp = "";
  }

  /** The message says its id in the archive, unless it is to be left out or is there already. */
  private shows(stanza: Stanza, owner: BareJid, id: bigint): undefined {
    if (this.archive.config.no_stanzaid_element || stanza.stamp !== "") return;
    stamp(stanza, owner.text, owner.domain, id);
  }

  private wants(stanza: Stanza): boolean {
    const { archive_chat_markers, archive_groupchats } = this.archive.config;
    if (!archivable(stanza, archive_chat_markers)) return false;
    return stanza.type !== "groupchat" || archive_groupchats;
  }

  private keep(stanza: Stanza, owner: BareJid, direction: "in" | "out", id: bigint): void {
    const memo = this.remember(stanza);
    const message = {
      id,
      owner,
      from: stanza.from,
      remote: direction === "in" ? stanza.from : stanza.to,
      direction,
      stanza: memo.bytes,
      searchBody: memo.search,
      originId: memo.origin,
      groupchat: stanza.type === "groupchat",
    };
    const { metrics } = this.ctx;
    metrics.mod_mam_pm_archive_message_count.add();
    if (this.archive.config.async_writer.enabled) metrics.async_pool_request_count.add();
    const written = this.archive.backend.archive(message);
    stanza.wait(written);
    if (stanza.has("amp", NS_AMP)) stanza.wait(this.tellAmp(stanza, written));
    this.archive.afterwards?.(stanza, message, written);
  }

  private async tellAmp(stanza: Stanza, written: Promise<void>): Promise<void> {
    const { hooks } = this.ctx.host;
    const event = await written.then(
      () => "archived" as const,
      () => "archive_failed" as const,
    );
    await hooks.notify("amp_event", { stanza, event });
  }

  /** What is kept of a message: without the ids that the server has given it. */
  private remember(stanza: Stanza): Memo {
    const appended = stanza.unstamped;
    const { memo } = this;
    if (memo !== undefined && memo.stanza === stanza && memo.appended === appended && stanza.removed === undefined) {
      return memo;
    }
    const before = stanza.appended;
    stanza.appended = appended;
    // A message to oneself may come without a `to`.
    const bytes = stanzaBytes(stanza, stanza.toS < 0 ? stanza.to : undefined);
    stanza.appended = before;
    const origin = stanza.find("origin-id", NS_SID);
    const made = {
      stanza,
      appended,
      bytes,
      search: this.archive.searchBody(stanza),
      origin: origin < 0 ? undefined : stanza.kidAttr(origin, "id"),
    };
    this.memo = made;
    return made;
  }
}

/**
 * What the archive says of a message. Without an answer to whether it is to be kept nobody knows whether it is safe: it
 * goes back to its sender, as one whose write fails.
 */
function kept(verdict: Verdict, { log, metrics }: Context): Verdict {
  if (!(verdict instanceof Promise)) return verdict;
  return verdict.catch((error: unknown) => {
    if (error instanceof StanzaError) throw error;
    metrics.mod_mam_pm_dropped_count.add();
    log.limited("write", 10)?.error("archive_write_failed", { messages: 1, error });
    throw new StanzaError("internal-server-error", "The message could not be stored");
  });
}

export const hooks: HookHandlers<Context> = {
  user_send_message: {
    at: 60,
    run: (stanza, session, ctx) => kept(ctx.store.pm?.recorder.sent(stanza, session), ctx),
  },
  filter_local_packet: { at: 60, run: (stanza, ctx) => kept(ctx.store.pm?.recorder.received(stanza), ctx) },
  // It is safe in the archive of an account that nobody is at: there is nothing to tell its sender.
  offline_message: { at: 90, run: (stanza) => (stanza.archived ? STOP : undefined) },
};
