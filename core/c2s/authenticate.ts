// A SASL exchange on a stream, whichever elements it travels in: RFC 6120's (sasl.ts) and XEP-0388's share this.

import { StreamError } from "../errors.ts";
import type { MaybePromise } from "../hooks.ts";
import {
  type AuthenticateRequest,
  decodeBase64,
  type SaslCondition,
  type SaslContext,
  type SaslFailure,
  type SaslStep,
  type SaslSuccess,
  startMechanism,
} from "../sasl/index.ts";
import { saslContext } from "./features.ts";
import { isClaimed } from "./header.ts";
import type { C2S } from "./stream.ts";

/** Wrong passwords on one stream before it ends. */
const MAX_GUESSES = 5;
/** Failures of any kind: a client may try mechanism after mechanism before it finds one that both sides can do. */
const MAX_FAILURES = 20;

/** How an exchange travels, and what follows it. One object may serve many streams, or be made for one attempt. */
export interface SaslProfile {
  /** Namespace of its elements. */
  readonly ns: string;
  /** While an exchange is under way nothing else may come (XEP-0388 §2.4). */
  readonly exclusive: boolean;
  challenge(c2s: C2S, data: Uint8Array): void;
  failed(c2s: C2S, failure: SaslFailure): void;
  /** The client has proved that it is `step.local`, and the stream's header did not say otherwise. */
  succeeded(c2s: C2S, step: SaslSuccess): MaybePromise<void>;
  /** The client has proved that it is somebody else than its header said (RFC 6120 §4.7.1). */
  impostor(c2s: C2S): MaybePromise<void>;
}

/** What an attempt begins with. */
export interface Attempt {
  mechanism: string;
  /** Base64; undefined when there was no initial response. */
  initial: string | undefined;
  request?: AuthenticateRequest;
}

/** Text for a SASL element. */
export const base64 = (data: Uint8Array): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");

/** Begins an exchange on a stream that is not authenticated. */
export function begin(c2s: C2S, profile: SaslProfile, { mechanism, initial, request }: Attempt): MaybePromise<void> {
  const nego = c2s.nego!;
  if (c2s.engine.addresses.isBarred(c2s.address, c2s.options.maxFailedLogins)) {
    c2s.fail(new StreamError("policy-violation", "too many failed log-ins from this address"));
    return;
  }
  if (c2s.options.starttls === "required" && !c2s.secure) return refuse(c2s, profile, "encryption-required");
  if (nego.exchange !== undefined) return refuse(c2s, profile, "malformed-request");
  const context = saslContext(c2s, request);
  const exchange = context && startMechanism(mechanism, context);
  if (exchange === undefined) return refuse(c2s, profile, "invalid-mechanism");
  const data = initial === undefined ? undefined : decodeBase64(initial);
  if (initial !== undefined && data === undefined) return refuse(c2s, profile, "incorrect-encoding");
  nego.exchange = exchange;
  nego.profile = profile;
  return stepped(c2s, profile, exchange.start(data));
}

/** The client's answer to a challenge, Base64. */
export function respond(c2s: C2S, profile: SaslProfile, text: string): MaybePromise<void> {
  const exchange = c2s.nego!.exchange;
  if (exchange === undefined) return refuse(c2s, profile, "malformed-request");
  const response = decodeBase64(text);
  if (response === undefined) return refuse(c2s, profile, "incorrect-encoding");
  return stepped(c2s, profile, exchange.next(response));
}

function stepped(c2s: C2S, profile: SaslProfile, step: MaybePromise<SaslStep>): MaybePromise<void> {
  return step instanceof Promise ? step.then((s) => took(c2s, profile, s)) : took(c2s, profile, step);
}

function took(c2s: C2S, profile: SaslProfile, step: SaslStep): MaybePromise<void> {
  if (c2s.closed) return;
  const nego = c2s.nego!;
  nego.since = c2s.engine.steady();
  if (step.kind === "challenge") {
    profile.challenge(c2s, step.data);
    return;
  }
  if (step.kind === "failure") return fail(c2s, profile, step);
  if (step.method !== "token" || c2s.options.allowedMethods === undefined) return proved(c2s, profile, step);
  return barred(c2s, step.local).then((condition) => {
    if (c2s.closed) return;
    if (condition === undefined) return proved(c2s, profile, step);
    return fail(c2s, profile, { kind: "failure", condition, local: step.local });
  });
}

/** A listener that does not let a password of this account in does not let its token in either. */
async function barred({ host, domain, options, engine }: C2S, local: string): Promise<SaslCondition | undefined> {
  const allowed = options.allowedMethods as SaslContext["allowedMethods"];
  try {
    return (await host.auth.exists(local, domain, { storedOnly: true, allowed })) ? undefined : "not-authorized";
  } catch (error) {
    engine.log.limited("auth", 5)?.error("authentication_backend_failed", { error });
    return "temporary-auth-failure";
  }
}

function proved(c2s: C2S, profile: SaslProfile, step: SaslSuccess): MaybePromise<void> {
  const nego = c2s.nego!;
  nego.exchange = undefined;
  nego.profile = undefined;
  c2s.anonymous = step.anonymous === true;
  if (!isClaimed(c2s, step.local)) return profile.impostor(c2s);
  nego.local = step.local;
  return profile.succeeded(c2s, step);
}

/** Ends an attempt, under way or not, with a condition that says nothing about a user. */
export function refuse(c2s: C2S, profile: SaslProfile, condition: SaslCondition): void {
  fail(c2s, profile, { kind: "failure", condition });
}

/** Ends an attempt. Too many of them end the stream. */
export function fail(c2s: C2S, profile: SaslProfile, failure: SaslFailure): MaybePromise<void> {
  const nego = c2s.nego!;
  const { local } = failure;
  nego.exchange = undefined;
  nego.profile = undefined;
  profile.failed(c2s, failure);
  c2s.host.counters.authFailures++;
  if (local !== undefined) {
    nego.guesses++;
    c2s.engine.addresses.fails(c2s.address);
  }
  if (++nego.failures >= MAX_FAILURES || nego.guesses >= MAX_GUESSES) {
    c2s.fail(new StreamError("policy-violation", "too many failed log-ins"));
  }
  if (local !== undefined) return c2s.host.hooks.notify("auth_failed", { domain: c2s.domain, local });
}
