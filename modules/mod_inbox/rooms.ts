// Rooms in the inbox: what is said in them, and who comes and goes. Rooms of MUC Light are seen by the messages that
// they send to their occupants; those of MUC tell by the hook update_inbox_for_muc.

import { archivable } from "../../core/hints.ts";
import type { BareJid, Jid } from "../../core/jid.ts";
import { isFull } from "../../core/jid.ts";
import type { Stanza } from "../../core/stanza.ts";
import type { InboxContext } from "./config.ts";
import { messageOf } from "./message.ts";

const NS_AFFILIATIONS = "urn:xmpp:muclight:0#affiliations";

/** What a room has to tell one of its users. */
export interface RoomEvent {
  readonly room: BareJid;
  readonly user: BareJid;
  /** What the user is sent, addressed to him. */
  readonly message: Stanza;
}
export interface RoomMessage extends RoomEvent {
  readonly kind: "message";
  /** The user himself has said it. */
  readonly own: boolean;
}
export interface AffiliationChange extends RoomEvent {
  readonly kind: "affiliation";
  /** The user's new affiliation; "none": he is out. */
  readonly affiliation: string;
}

declare module "../../core/hooks.ts" {
  interface NoticeHooks {
    /** A message goes to all who belong to a room of MUC, there or not. `message` is as the room sends it. */
    update_inbox_for_muc: {
      room: BareJid;
      sender: BareJid;
      members: readonly BareJid[];
      message: Stanza;
    };
  }
}

/** A message of type groupchat that a user gets. Resolves when it is written; undefined when there is nothing to do. */
export function fromRoom(stanza: Stanza, user: BareJid, ctx: InboxContext): Promise<void> | undefined {
  if (!ctx.config.groupchat.includes("muclight")) return;
  if (ctx.server.serviceOf(stanza.from.domain)?.module !== "mod_muc_light") return;
  const event = muclightEvent(stanza, user);
  return event && apply(event, ctx);
}

/** What a message of a MUC Light room means to the user who gets it; undefined for the room's other announcements. */
export function muclightEvent(message: Stanza, user: BareJid): RoomMessage | AffiliationChange | undefined {
  const { from } = message;
  const room = from.bare;
  if (isFull(from)) {
    return archivable(message) ? { kind: "message", room, user, message, own: speaker(from) === user.text } : undefined;
  }
  const changes = message.child("x", NS_AFFILIATIONS);
  const mine = changes?.getChildren("user", NS_AFFILIATIONS).find((u) => u.text() === user.text);
  const affiliation = mine?.attrs["affiliation"];
  return affiliation === undefined ? undefined : { kind: "affiliation", room, user, message, affiliation };
}

/** Occupants of MUC Light have their bare JIDs for nicknames. */
const speaker = (from: Jid): string => (isFull(from) ? from.resource : "");

/** Writes what has happened in a room into the inbox of one user. */
export function apply(event: RoomMessage | AffiliationChange, ctx: InboxContext): Promise<void> | undefined {
  const { store, config } = ctx;
  const { user, room, message } = event;
  const key = { user, remote: room.text };
  if (event.kind === "message" && event.own) {
    return store.setInbox(key, messageOf(message), ctx.server.tick());
  }
  const add = (): Promise<void> => store.setInboxIncrUnread(key, messageOf(message), ctx.server.tick());
  if (event.kind === "message") return add();
  if (event.affiliation !== "none" || !config.remove_on_kicked) return config.aff_changes ? add() : undefined;
  // As MongooseIM has it: what its writers gather is not removed but thrown away.
  const toBin = config.backend === "rdbms_async";
  if (toBin && config.aff_changes) void add();
  return store.removeInboxRow(key, toBin);
}

/** A message in a room of MUC, for everybody who belongs to it. */
export async function toMembers(
  { room, sender, members, message }: { room: BareJid; sender: BareJid; members: readonly BareJid[]; message: Stanza },
  ctx: InboxContext,
): Promise<void> {
  if (!ctx.config.groupchat.includes("muc") || !archivable(message)) return;
  const written = members.map((user) => {
    const copy = message.clone();
    copy.to = user;
    const own = user.text === sender.text;
    return ctx.server.hostTypeOf(user.domain) === ctx.host
      ? apply({ kind: "message", room, user, message: copy, own }, ctx)
      : undefined;
  });
  await Promise.all(written);
}
