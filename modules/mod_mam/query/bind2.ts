// XEP-0386 §2.2: a session that begins with Bind 2 is told the state of its archive, and has from there what came for
// it before: that does not come from offline storage too. What is not in the archive does.

import type { HookHandlers } from "../../../core/hooks.ts";
import type { BareJid } from "../../../core/jid.ts";
import { type Server, type Session, Slot } from "../../../core/module.ts";
import { idBy } from "../../../core/stable-id.ts";
import { viewText } from "../../../core/xml/framer.ts";
import type { Markup } from "../../../core/xml/markup.ts";
import { FrameError } from "../../../core/xml/scan.ts";
import type { ArchiveBackend } from "../backend.ts";
import { NS_MAM } from "./archive.ts";
import { metadataMarkup } from "./results.ts";

/** Milliseconds that the beginning of a session waits for its archive: what is for it waits too. */
const PATIENCE = 2000;

/** The newest message of its archive that a session was told of as it began; -1 when there was none. */
const told = new Slot<bigint>();

/** The archive of users, and who is told when it does not answer. */
export interface AnnouncedArchive {
  readonly backend: ArchiveBackend;
  readonly server: Pick<Server, "after">;
  failed(error: unknown, owner: BareJid): void;
}

/** @param archive undefined where there are no archives of users */
export function bind2Hooks<Ctx>(archive: (ctx: Ctx) => AnnouncedArchive | undefined): HookHandlers<Ctx> {
  return {
    bind2_enable_features: {
      at: 60,
      run: (children, { session }, ctx) => {
        const announced = archive(ctx);
        return announced && announce(children, session, announced);
      },
    },
    filter_offline_messages: (messages, { session }, ctx) => {
      const last = told.get(session);
      const { backend } = archive(ctx) ?? {};
      if (backend === undefined || last === undefined || last < 0n || messages.length === 0) return;
      return withoutArchived(messages, session, last, backend);
    },
  };
}

/** Who is not told in time asks as any other client does. */
async function announce(
  children: Markup[],
  session: Session,
  { backend, server, failed }: AnnouncedArchive,
): Promise<void> {
  const owner = session.jid.bare;
  let giveUp: () => void = () => undefined;
  const late = new Promise<"late">((resolve) => {
    giveUp = server.after(PATIENCE, () => resolve("late"));
  });
  try {
    const bounds = await Promise.race([backend.bounds(owner), late]);
    if (bounds === "late") throw new Error("the archive did not answer in time");
    told.set(session, bounds?.last ?? -1n);
    children.push(metadataMarkup(NS_MAM, bounds));
  } catch (error) {
    failed(error, owner);
  } finally {
    giveUp();
  }
}

/** The messages of which the client was not told that they are in its archive. */
async function withoutArchived<M extends { readonly packet: string }>(
  messages: readonly M[],
  { jid }: Session,
  last: bigint,
  backend: ArchiveBackend,
): Promise<readonly M[]> {
  const ids = new Map<M, bigint>();
  for (const message of messages) {
    const id = idOf(message.packet, jid.bare);
    if (id !== undefined && id <= last) ids.set(message, id);
  }
  if (ids.size === 0) return messages;
  const present = await backend.present(jid.bare, [...ids.values()]);
  return messages.filter((message) => {
    const id = ids.get(message);
    return id === undefined || !present.has(id);
  });
}

function idOf(packet: string, owner: BareJid): bigint | undefined {
  try {
    return idBy(viewText(packet), owner.text);
  } catch (error) {
    if (error instanceof FrameError) return undefined;
    throw error;
  }
}
