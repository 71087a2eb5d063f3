// What a stream remembers only until it has a session.

import type { OfferContext, SaslExchange } from "../sasl/index.ts";
import type { SaslProfile } from "./authenticate.ts";
import type { ChannelOffer } from "./engine.ts";

export class Negotiation {
  /** When the last step was, by the engine's steady clock. */
  since: number;
  headerSent = false;
  /** A header has come on the current stream. */
  open = false;
  lang = "";
  failures = 0;
  /** Failures after a user was named: somebody may be guessing passwords. */
  guesses = 0;
  /** Prepared localpart, once authenticated. */
  local: string | undefined = undefined;
  /** What this stream was offered; undefined before the features were sent, and where TLS must come first. */
  offer: ChannelOffer | undefined = undefined;
  /** What the offer was made for: the connection as it was then. */
  channel: OfferContext | undefined = undefined;
  /** The attempt that is under way, and the way in which it travels. */
  exchange: SaslExchange | undefined = undefined;
  profile: SaslProfile | undefined = undefined;
  tlsStarted = false;
  /** Bare JID that the client says it is, in its header; undefined when it did not. */
  claimed: string | undefined = undefined;

  constructor(now: number) {
    this.since = now;
  }

  restarted(now: number): void {
    this.since = now;
    this.open = false;
    this.headerSent = false;
  }
}
