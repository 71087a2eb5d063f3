// What the mechanisms have in common: the frame of an exchange, and who the client says it is.
import { HasherBusyError } from "../auth/hasher.ts";
import { BareJid, JidError, prepareLocal, tryParseJid } from "../jid.ts";
import type { SaslCondition, SaslContext, SaslExchange, SaslFailure, SaslStep } from "./types.ts";

/** One step of a mechanism: takes the client's message. It may throw; the frame answers. */
export type Step = (message: Uint8Array) => SaslStep | Promise<SaslStep>;

/**
 * The frame of a mechanism in which the client speaks first: without an initial response the server asks for it with an
 * empty challenge (RFC 4422 §5, RFC 6120 §6.4.2). `step` is called with each message until it gives something other
 * than a challenge; an error of a back end becomes `temporary-auth-failure`.
 */
export function clientFirst(ctx: SaslContext, step: Step): SaslExchange {
  let over = false;

  const settle = (answer: SaslStep): SaslStep => {
    if (answer.kind !== "challenge") over = true;
    return answer;
  };
  const failed = (error: unknown): SaslStep => {
    ctx.onError?.(error);
    const text = error instanceof HasherBusyError ? "Too many log-ins at once, try again later" : undefined;
    return settle(failure("temporary-auth-failure", { text }));
  };
  const take = (message: Uint8Array): SaslStep | Promise<SaslStep> => {
    if (over) return failure("malformed-request", { text: "The exchange is over" });
    try {
      const answer = step(message);
      return answer instanceof Promise ? answer.then(settle, failed) : settle(answer);
    } catch (error) {
      return failed(error);
    }
  };

  return {
    start: (initial) => (initial === undefined ? { kind: "challenge", data: new Uint8Array(0) } : take(initial)),
    next: take,
  };
}

export function failure(condition: SaslCondition, more: Omit<SaslFailure, "kind" | "condition"> = {}): SaslFailure {
  return { kind: "failure", condition, ...more };
}

/** Prepares the name a client logs in with; undefined when no user can have it. */
export function localOf(name: string): string | undefined {
  try {
    return prepareLocal(name);
  } catch (error) {
    if (error instanceof JidError) return undefined;
    throw error;
  }
}

/** Whether an authorization identity is the bare JID of the user: nobody may act for another (RFC 6120 §6.3.8). */
export function isOwnIdentity(authzid: string, local: string, domain: string): boolean {
  const jid = tryParseJid(authzid);
  return jid instanceof BareJid && jid.local === local && jid.domain === domain;
}

/** Some clients log in with their bare JID, and MongooseIM lets them; a JID of another domain is nobody here. */
export function ownName(authcid: string, domain: string): string | undefined {
  const at = authcid.indexOf("@");
  if (at < 0) return authcid;
  return authcid.slice(at + 1).toLowerCase() === domain ? authcid.slice(0, at) : undefined;
}
