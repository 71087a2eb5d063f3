// XEP-0133 §4.23 to §4.28: announcements to who is online, the message of the day, the welcome of new users.

import { type BareJid, type FullJid, type Jid, makeBare } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { NS_CLIENT } from "../../core/ns.ts";
import type { FormField } from "../../core/xml/form.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { type Command, done } from "../mod_adhoc/index.ts";
import { audited, type Context, command, formCommand, type Run } from "./command.ts";
import type { Announcement, Kind } from "./store.ts";

/** Messages that go out in one turn, and the ms to the next. */
const SLICE = 500;
const PAUSE = 250;

/** Announcements by "kind domain": who logs in costs no query where there are none. */
const standing = new WeakMap<object, Map<string, Announcement>>();

function standingOf(ctx: Context): Map<string, Announcement> {
  const found = standing.get(ctx) ?? new Map<string, Announcement>();
  standing.set(ctx, found);
  return found;
}
const keyOf = (kind: Kind, domain: string): string => `${kind} ${domain}`;

/** Reads the announcements of all domains. */
export async function loadAnnouncements(ctx: Context): Promise<void> {
  const found = standingOf(ctx);
  found.clear();
  for (const { domain, kind, announcement } of await ctx.store.all()) found.set(keyOf(kind, domain), announcement);
}

/** A domain is gone, with its announcements. */
export function forgetAnnouncements(ctx: Context, domain: string): void {
  for (const kind of ["motd", "welcome"] as const) standingOf(ctx).delete(keyOf(kind, domain));
}

function announcement(from: BareJid, to: Jid, type: "headline" | "normal", body: string): Markup {
  return xml`<message xmlns='${NS_CLIENT}' from='${from.text}' to='${to.text}' type='${type}'><body>${body}</body></message>`;
}

/**
 * Sends a headline to sessions, a slice a turn; a session that has ended meanwhile is passed over. Tells those of each
 * slice.
 */
export async function announce(
  { server, log }: Context,
  sessions: readonly FullJid[],
  body: string,
  told?: (sent: readonly FullJid[]) => Promise<void>,
): Promise<void> {
  const toSlice = async (slice: readonly FullJid[]): Promise<void> => {
    for (const jid of slice) {
      try {
        const from = makeBare("", jid.domain);
        await server.routeXml(from, jid, announcement(from, jid, "headline", body));
      } catch (error) {
        log.limited("announce", 60)?.warning("announcement_failed", { error });
      }
    }
    await told?.(slice);
  };
  for (let i = 0; i < sessions.length; i += SLICE) {
    if (i > 0) await new Promise<void>((resolve) => server.after(PAUSE, resolve));
    const slice = sessions.slice(i, i + SLICE).filter((jid) => server.session(jid) !== undefined);
    await server.underWay.add(toSlice(slice));
  }
}

/** Does something that the administrator does not wait for. */
export function inBackground({ log }: Context, work: Promise<void>): void {
  work.catch((error: unknown) => log.error("announcement_failed", { error }));
}

/** Sessions of a domain; of all domains without one. */
export async function sessionsOf({ node }: Pick<Run, "node">, domain?: string): Promise<FullJid[]> {
  return (await node.sessions.list(domain)).map((session) => session.jid);
}

// --- delivery at log-in ---

/** A user comes: he gets what he has not got yet. His presence does not wait for it. */
export function welcome(session: Session, ctx: Context): void {
  const all = standingOf(ctx);
  if (all.size === 0 || session.anonymous) return;
  const motd = all.get(keyOf("motd", session.domain));
  const greeting = all.get(keyOf("welcome", session.domain));
  if (motd !== undefined || greeting !== undefined) {
    inBackground(ctx, ctx.server.underWay.add(tell(session, motd, greeting, ctx)));
  }
}

async function tell(
  { jid, domain }: Session,
  motd: Announcement | undefined,
  greeting: Announcement | undefined,
  ctx: Context,
): Promise<void> {
  const { motdAt, welcomeDue } = await ctx.store.announced(jid.bare);
  const from = makeBare("", domain);
  if (greeting !== undefined && welcomeDue) {
    await ctx.store.setWelcomeDue(jid.bare, false);
    await ctx.server.routeXml(from, jid, announcement(from, jid, "normal", greeting.body));
  }
  if (motd !== undefined && motdAt < motd.setAt) {
    await ctx.store.sawMotd(domain, [jid.local], motd.setAt);
    await ctx.server.routeXml(from, jid, announcement(from, jid, "headline", motd.body));
  }
}

/** A new account: it is welcomed when its user comes. */
export async function expectUser(user: BareJid, ctx: Context): Promise<void> {
  if (standingOf(ctx).has(keyOf("welcome", user.domain))) await ctx.store.setWelcomeDue(user, true);
}

// --- commands ---

const BODY = (name: string, label: string, body?: string): FormField => ({
  var: name,
  type: "text-multi",
  label,
  required: true,
  values: body?.split("\n"),
});

const sendAnnouncement = formCommand({
  name: "announce",
  title: "Send an announcement to users who are online",
  instructions: "Every session gets the text.",
  fields: [BODY("announcement", "Announcement")],
  secrets: ["announcement"],
  async submit(form, run) {
    inBackground(run.ctx, announce(run.ctx, await sessionsOf(run, run.domain), form.text("announcement")));
    return done("The announcement is on its way");
  },
});

async function keep(kind: Kind, body: string, setAt: number, { ctx, domain }: Run): Promise<void> {
  await ctx.store.set(domain, kind, { body, setAt });
  standingOf(ctx).set(keyOf(kind, domain), { body, setAt });
}

const setMotd = formCommand({
  name: "set-motd",
  title: "Set the message of the day",
  instructions: "Who is online gets it now, everybody else when he comes.",
  fields: [BODY("motd", "Message of the day")],
  secrets: ["motd"],
  async submit(form, run) {
    const { ctx, domain } = run;
    const body = form.text("motd");
    const setAt = ctx.now();
    await keep("motd", body, setAt, run);
    const saw = (sent: readonly FullJid[]) =>
      ctx.store.sawMotd(domain, [...new Set(sent.map((jid) => jid.local))], setAt);
    inBackground(ctx, announce(ctx, await sessionsOf(run, domain), body, saw));
    return done("The message of the day was set");
  },
});

const editMotd = formCommand({
  name: "edit-motd",
  title: "Edit the message of the day",
  instructions: "Who has got it already does not get it again.",
  fields: ({ ctx, domain }) => [
    BODY("motd", "Message of the day", standingOf(ctx).get(keyOf("motd", domain))?.body ?? ""),
  ],
  secrets: ["motd"],
  async submit(form, run) {
    const old = standingOf(run.ctx).get(keyOf("motd", run.domain));
    await keep("motd", form.text("motd"), old?.setAt ?? run.ctx.now(), run);
    return done("The message of the day was changed");
  },
});

const setWelcome = formCommand({
  name: "set-welcome",
  title: "Set the welcome message",
  instructions: "New users get it when they come for the first time.",
  fields: ({ ctx, domain }) => [
    BODY("welcome", "Welcome message", standingOf(ctx).get(keyOf("welcome", domain))?.body),
  ],
  secrets: ["welcome"],
  async submit(form, run) {
    await keep("welcome", form.text("welcome"), run.ctx.now(), run);
    return done("The welcome message was set");
  },
});

const removal = (kind: Kind, title: string): Command<Context> =>
  command({
    name: `delete-${kind}`,
    title: `Delete the ${title}`,
    start: (run) =>
      audited(`delete-${kind}`, {}, run, async () => {
        await run.ctx.store.delete(run.domain, kind);
        standingOf(run.ctx).delete(keyOf(kind, run.domain));
        return done(`The ${title} was deleted`);
      }),
  });

export const announcementCommands: readonly Command<Context>[] = [
  sendAnnouncement,
  setMotd,
  editMotd,
  removal("motd", "message of the day"),
  setWelcome,
  removal("welcome", "welcome message"),
];
