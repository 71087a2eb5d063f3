// Making invitations: their bounds, and the links that carry them.

import { z } from "zod";
import { accessRule, enumOf, own, positive } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import type { Invite, InviteKind, InviteStore } from "./store.ts";

export const NS_PARS = "urn:xmpp:pars:0";
const DAY_MS = 86_400_000;
const TOKEN_BYTES = 16;
/** Uses of one invitation that administrators may allow. */
const MAX_USES = 1000;
const MAX_DAYS = 365;

export const config = own(
  z.strictObject({
    backend: enumOf("mnesia", "rdbms").default("rdbms").describe("Where invitations are kept"),
    access: accessRule().default("all").describe("Who may invite others to become his contacts"),
    account_access: accessRule().default("none").describe("Whose invitations let an account be made"),
    override_access: z
      .boolean()
      .default(true)
      .describe("Who was invited may register although access and ip_access of mod_register say no"),
    valid_days: positive().default(7).describe("Days for which an invitation of a user can be used"),
    max_per_user: positive().default(50).describe("Invitations of one user that can be used at the same time"),
  }),
);
export type InviteContext = ModuleContext<z.output<typeof config>, InviteStore>;

/** An invitation, with the link that only who makes it sees. */
export interface Made {
  readonly invite: Invite;
  readonly uri: string;
}

export interface Wish {
  readonly domain: string;
  /** Who invites; nobody in particular when an administrator does. */
  readonly inviter: BareJid | undefined;
  readonly kind: InviteKind;
  /** Prepared localpart, "" for any. */
  readonly account?: string;
  readonly mayRegister: boolean;
  readonly subscribe: boolean;
  /** 1 when not given. */
  readonly uses?: number;
  /** `valid_days` when not given. */
  readonly days?: number;
}

/** Whether a user may make an invitation of the kind. */
export function mayInvite({ config: options, host }: InviteContext, user: BareJid, kind: InviteKind): boolean {
  const rule = kind === "account" ? options.account_access : options.access;
  return host.access.match(rule, user, user.domain) === "allow";
}

/** Whether invited people can make accounts at all: that is mod_register's business. */
export const canRegister = ({ host }: InviteContext): boolean => host.modules.has("mod_register");

/**
 * Makes an invitation.
 * @throws StanzaError conflict when the user name is taken or kept for somebody, policy-violation when who invites has
 * too many, not-acceptable for uses or days out of bounds, not-allowed for an account where clients make none
 */
export function makeInvite(ctx: InviteContext, wish: Wish): Promise<Made> {
  return ctx.store.turns.take(wish.inviter?.text ?? wish.domain, () => make(ctx, wish));
}

async function make(ctx: InviteContext, wish: Wish): Promise<Made> {
  const { store, config: options, server, host } = ctx;
  const { domain, inviter, account = "", uses = 1, days = options.valid_days } = wish;
  if (uses > MAX_USES || days > Math.max(MAX_DAYS, options.valid_days)) throw new StanzaError("not-acceptable");
  if (account !== "" && uses > 1) throw new StanzaError("not-acceptable", "A user name is for one account");
  if (wish.kind === "account" && !canRegister(ctx)) {
    throw new StanzaError("not-allowed", "Accounts cannot be made by clients here");
  }
  const now = ctx.now();
  await store.removeUseless(inviter, now);
  if (account !== "") {
    const taken = (await host.auth.exists(account, domain)) || (await store.isReserved(domain, account, now));
    if (taken) throw new StanzaError("conflict", "The user name is taken");
  }
  if (inviter !== undefined && (await store.count(inviter, now)) >= options.max_per_user) {
    throw new StanzaError("policy-violation", `No more than ${options.max_per_user} invitations can be open`);
  }
  const token = server.token(TOKEN_BYTES);
  const invite = await store.add(token, {
    domain,
    inviter: inviter?.local ?? "",
    kind: wish.kind,
    account,
    mayRegister: wish.mayRegister && canRegister(ctx),
    subscribe: wish.subscribe && inviter !== undefined,
    uses,
    createdAt: now,
    expiresAt: now + days * DAY_MS,
  });
  return { invite, uri: uriOf(invite, token) };
}

/** The link of an invitation (XEP-0401 §5, XEP-0445 §2, RFC 5122). */
export function uriOf({ domain, inviter, kind, account, mayRegister }: Invite, token: string): string {
  const address = (local: string): string => (local === "" ? domain : `${encodeURIComponent(local)}@${domain}`);
  if (kind === "account") return `xmpp:${address(account)}?register;preauth=${token}`;
  return `xmpp:${address(inviter)}?roster;preauth=${token}${mayRegister ? ";ibr=y" : ""}`;
}

/** Who invites, when that is a user. */
export const inviterOf = ({ domain, inviter }: Invite): BareJid | undefined =>
  inviter === "" ? undefined : makeBare(inviter, domain);
