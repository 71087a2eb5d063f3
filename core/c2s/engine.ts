// What the stream machine needs of the server that it runs in.

import type { AddressLimits } from "../address-limits.ts";
import type { HostAuth } from "../auth/host.ts";
import type { StreamError } from "../errors.ts";
import type { BareJid, JidCache } from "../jid.ts";
import type { Log } from "../log/index.ts";
import type { Histogram } from "../metrics/instrument.ts";
import type { HostType, MaybePromise, Session } from "../module.ts";
import type { Offer } from "../sasl/index.ts";
import type { Sessions } from "../session/directory.ts";
import type { Shaper } from "../shaper.ts";
import type { Stanza } from "../stanza.ts";
import type { UnderWay } from "../under-way.ts";
import type { Wheel } from "../wheel.ts";
import type { ScanPool } from "../xml/framer.ts";
import type { Scratch } from "../xml/writer.ts";
import type { Arrivals } from "./arrivals.ts";
import type { C2S } from "./stream.ts";

/** A host type as the stream machine sees it. */
export interface StreamHost extends HostType {
  readonly auth: HostAuth;
  /** Mechanisms to offer by the kind of channel; emptied when a feature starts or stops. */
  readonly offers: Map<string, ChannelOffer>;
  readonly counters: StreamCounters;
}

/** What the streams of one kind of channel are offered, worked out once. */
export interface ChannelOffer {
  readonly mechanisms: Offer;
  /** The stream features of RFC 6120's SASL, as text; "" without a mechanism. */
  readonly xml: string;
}

/** Plain numbers that the hot path adds to; the metrics registry reads them. */
export interface StreamCounters {
  // Stanzas by kind, those of type error too.
  messagesSent: number;
  messagesReceived: number;
  iqSent: number;
  iqReceived: number;
  presencesSent: number;
  presencesReceived: number;
  // Those of type error alone.
  messageErrorsSent: number;
  messageErrorsReceived: number;
  iqErrorsSent: number;
  iqErrorsReceived: number;
  presenceErrorsSent: number;
  presenceErrorsReceived: number;
  /** Elements that are no stanzas: negotiation, stream management. */
  othersSent: number;
  othersReceived: number;
  // Of those, the errors that end a stream.
  streamErrorsSent: number;
  streamErrorsReceived: number;
  logins: number;
  logouts: number;
  authFailures: number;
  /** Stanzas that a feature took out of routing, counted by the router. */
  dropped: number;
  /** Messages that found nobody and were answered with service-unavailable. */
  bounced: number;
  /** Bytes of the elements that came in and went out. */
  sizesIn: Histogram;
  sizesOut: Histogram;
  /** Microseconds that a client's message took, of one in `TIMED`. */
  messageTimes: Histogram;
}

/** Of so many messages one is timed, a power of two: two readings of the clock would cost every one too much. */
export const TIMED = 32;

/** Bytes of XMPP that came in and went out over one kind of connection. */
export interface Traffic {
  in: number;
  out: number;
}

export interface StreamEngine {
  readonly scratch: Scratch;
  readonly scans: ScanPool;
  readonly jids: JidCache;
  readonly sessions: Sessions<C2S>;
  readonly wheel: Wheel;
  readonly addresses: AddressLimits;
  readonly log: Log;
  /** Streams without a session yet, oldest first: swept for the state time-out. */
  readonly waiting: Set<C2S>;
  /** Streams that have ended and are not done with what had come before. */
  readonly parting: Set<C2S>;
  /** Whose turn it is among messages of several sessions that wait to be durable. */
  readonly arrivals: Arrivals;
  /** What sessions that have ended still do: store what was not delivered, tell their presence. */
  readonly endings: UnderWay;
  /** See `Server.underWay`. */
  readonly underWay: UnderWay;
  /** Streams that may be resumed, by their id (XEP-0198). */
  readonly resumable: Map<string, C2S>;
  /** What every stream counts into before its host is known. */
  readonly counters: StreamCounters;
  readonly traffic: { readonly tcp: Traffic; readonly tls: Traffic; readonly websocket: Traffic };
  readonly language: string;
  /** The domain that speaks for the server where a stream has named none. */
  readonly defaultDomain: string;
  /** general.hide_service_name: who does not open a stream properly is told nothing. */
  readonly hidden: boolean;
  /** How long a bind waits for a replaced session to end, in ms. */
  readonly replacedWait: number;
  readonly draining: boolean;
  /** What streams are told when the server goes: system-shutdown, or where else to connect (RFC 6120 §4.9.3.19). */
  farewell(): StreamError;
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds since some moment, by a clock that goes on evenly whatever is done to the machine's. */
  steady(): number;
  random(bytes: number): Uint8Array;
  token(bytes: number): string;
  nextSid(): number;
  hostOf(domain: string): StreamHost | undefined;
  shaper(name: string): Shaper | undefined;
  route(stanza: Stanza): MaybePromise<void>;
  /** Delivers a stanza that the filters have passed to its addressee, whose host type is `host`; see Router. */
  deliver(stanza: Stanza, host: HostType | undefined): MaybePromise<void>;
  /** Routes a stanza that a session could not deliver: other sessions, offline storage, or an error. */
  reroute(stanza: Stanza): MaybePromise<void>;
  /** Gives a client's answer to whoever asked; false when nobody did. */
  answered(session: Session, stanza: Stanza): boolean;
  /** An anonymous account of a host type has ended with its last session: what is kept of it goes. */
  forgetAnonymous(jid: BareJid, host: StreamHost): Promise<void>;
  /** Remembers a request made to a client; resolves undefined on time-out. */
  expect(session: Session, id: string, timeoutMs: number): Promise<Stanza | undefined>;
}
