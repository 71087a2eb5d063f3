// What tokens are for: they are given to who is logged in, and let him in again.

import { periodMs } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import { NS_VCARD } from "../../core/ns.ts";
import type { Element } from "../../core/stanza.ts";
import { viewElement } from "../../core/xml/framer.ts";
import { DEFAULT_LIMITS, FrameError } from "../../core/xml/scan.ts";
import type { TokenContext } from "./config.ts";
import { isAuthentic, parseToken, type ReceivedToken, serialise, type TokenType } from "./token.ts";

export const SECRET_KEY = "token_secret";
/** Names of the keys in mod_keystore: the server's own, and the one that it shares with who makes provision tokens. */
const KEY_NAMES: Readonly<Record<TokenType, string>> = {
  access: SECRET_KEY,
  refresh: SECRET_KEY,
  provision: "provision_pre_shared",
};

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** A vCard for a new account is to be stored; true when somebody did. */
    set_vcard: { acc: boolean; params: { jid: BareJid; vcard: Element } };
  }
}

async function keyOf({ host }: TokenContext, type: TokenType): Promise<Uint8Array> {
  const key = await host.hooks.fold("get_key", undefined, { name: KEY_NAMES[type] });
  if (key === undefined) throw new Error(`mod_auth_token needs the key "${KEY_NAMES[type]}" in mod_keystore`);
  return key;
}

function lifeOf({ config }: TokenContext, type: "access" | "refresh"): number {
  return periodMs(config.validity_period[type]);
}

/** A new token of the owner, before Base64. */
export async function newToken(ctx: TokenContext, type: "access" | "refresh", owner: BareJid): Promise<string> {
  const now = ctx.now();
  const expires = now + lifeOf(ctx, type);
  // Beginning with the time and not with 1: the tokens of an account that was removed stay below those of a new
  // account with the same name.
  const sequence = type === "refresh" ? await ctx.store.sequence(owner, Math.floor(now / 1000)) : undefined;
  return serialise({ type, owner, expires, sequence }, await keyOf(ctx, type));
}

/** An access and a refresh token, before Base64. */
export async function newTokens(ctx: TokenContext, owner: BareJid): Promise<{ access: string; refresh: string }> {
  return { access: await newToken(ctx, "access", owner), refresh: await newToken(ctx, "refresh", owner) };
}

export interface Admitted {
  readonly local: string;
  /** A new access token, for who came with a refresh token. */
  readonly access?: string;
}

/** When accounts were made, milliseconds since 1970; undefined for one of which that is not known. */
export type Birth = (local: string, domain: string) => Promise<number | undefined>;

/** How far the clocks of the database and of this server may differ, in ms. */
const CLOCKS_DIFFER = 60_000;

/**
 * Lets the owner of a token in to `domain`, making the account that a provision token is for. Undefined when the token
 * is none, is another domain's, has ended or was revoked, or when there is no such account, or only one that was made
 * after the token. Rejects when storage or keys are away.
 */
export async function admit(
  ctx: TokenContext,
  text: string,
  domain: string,
  birth: Birth,
): Promise<Admitted | undefined> {
  const token = parseToken(text);
  if (token === undefined || token.owner.domain !== domain || ctx.now() >= token.expires) return undefined;
  if (!isAuthentic(token, await keyOf(ctx, token.type))) return undefined;
  const { owner } = token;
  if (token.type === "provision") return (await provision(ctx, token)) ? { local: owner.local } : undefined;
  if (!(await ctx.host.auth.exists(owner.local, domain))) return undefined;
  if (token.type === "access") {
    // An account with the same name may have been removed in the life of its access token.
    const given = token.expires - lifeOf(ctx, "access");
    const born = (await birth(owner.local, domain)) ?? 0;
    return born > given + CLOCKS_DIFFER ? undefined : { local: owner.local };
  }
  const valid = await ctx.store.validSequence(owner);
  if (valid === undefined || token.sequence === undefined || token.sequence < valid) return undefined;
  return { local: owner.local, access: await newToken(ctx, "access", owner) };
}

/** The account, made if need be, and its vCard. False when it cannot be made. */
async function provision({ host, server, log }: TokenContext, { owner, vcard = "" }: ReceivedToken): Promise<boolean> {
  const card = vcard === "" ? undefined : vcardOf(vcard);
  if (card === "bad") return false;
  if (!(await host.auth.exists(owner.local, owner.domain))) {
    // Nobody knows the password: its owner comes with tokens.
    const made = await host.auth.create(owner.local, owner.domain, server.token(32));
    if (made !== "ok" && made !== "exists") return false;
    if (made === "ok") await host.hooks.notify("register_user", { jid: owner });
  }
  if (card === undefined) return true;
  try {
    const stored = await host.hooks.fold("set_vcard", false, { jid: owner, vcard: card });
    if (!stored) log.warning("provision_vcard_not_stored", { user: owner.text });
  } catch (error) {
    // The vCard may be one that is refused; the account is there nevertheless.
    if (!(error instanceof StanzaError)) throw error;
    log.warning("provision_vcard_not_stored", { user: owner.text, error });
  }
  return true;
}

function vcardOf(text: string): Element | "bad" {
  try {
    const stanza = viewElement(Buffer.from(text), undefined, DEFAULT_LIMITS);
    return stanza.is("vCard", NS_VCARD) ? stanza.element : "bad";
  } catch (error) {
    if (error instanceof FrameError) return "bad";
    throw error;
  }
}
