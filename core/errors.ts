// Errors a peer can see: stanza errors (RFC 6120 §8.3) and stream errors (RFC 6120 §4.9).

import { NS_STANZAS, NS_STREAMS } from "./ns.ts";
import { escapeXml } from "./xml/markup.ts";

export type ErrorType = "auth" | "cancel" | "continue" | "modify" | "wait";

/** Condition -> [usual type, legacy code of XEP-0086, which MongooseIM still sends]. */
const STANZA_CONDITIONS = {
  "bad-request": ["modify", 400],
  conflict: ["cancel", 409],
  "feature-not-implemented": ["cancel", 501],
  forbidden: ["auth", 403],
  gone: ["cancel", 302],
  "internal-server-error": ["wait", 500],
  "item-not-found": ["cancel", 404],
  "jid-malformed": ["modify", 400],
  "not-acceptable": ["modify", 406],
  "not-allowed": ["cancel", 405],
  "not-authorized": ["auth", 401],
  "policy-violation": ["modify", 405],
  "recipient-unavailable": ["wait", 404],
  redirect: ["modify", 302],
  "registration-required": ["auth", 407],
  "remote-server-not-found": ["cancel", 404],
  "remote-server-timeout": ["wait", 504],
  "resource-constraint": ["wait", 500],
  "service-unavailable": ["cancel", 503],
  "subscription-required": ["auth", 407],
  "undefined-condition": ["cancel", 500],
  "unexpected-request": ["wait", 400],
} as const satisfies Record<string, readonly [ErrorType, number]>;

export type StanzaCondition = keyof typeof STANZA_CONDITIONS;

/** An error to answer a stanza with. Throw it from an iq handler or a hook: the core makes the reply. */
export class StanzaError extends Error {
  override readonly name = "StanzaError";
  readonly type: ErrorType;
  constructor(
    readonly condition: StanzaCondition,
    /** For people, in the stream's language; sent as <text/>. */
    readonly text?: string,
    type?: ErrorType,
    /** An application-specific condition element (markup) to put beside the RFC's one. */
    readonly extra?: string,
    /** Markup that the reply holds beside the error, in the place of what the stanza held. */
    readonly instead?: string,
  ) {
    super(text ? `${condition}: ${text}` : condition);
    this.type = type ?? STANZA_CONDITIONS[condition][0];
  }

  /** The <error/> child as markup. */
  toXml(): string {
    const text = this.text ? `<text xmlns='${NS_STANZAS}'>${escapeXml(this.text)}</text>` : "";
    const code = STANZA_CONDITIONS[this.condition][1];
    return `<error code='${code}' type='${this.type}'><${this.condition} xmlns='${NS_STANZAS}'/>${text}${this.extra ?? ""}</error>`;
  }
}

export type StreamCondition =
  | "bad-format"
  | "bad-namespace-prefix"
  | "conflict"
  | "connection-timeout"
  | "host-gone"
  | "host-unknown"
  | "improper-addressing"
  | "internal-server-error"
  | "invalid-from"
  | "invalid-namespace"
  | "invalid-xml"
  | "not-authorized"
  | "not-well-formed"
  | "policy-violation"
  | "remote-connection-failed"
  | "reset"
  | "resource-constraint"
  | "restricted-xml"
  | "see-other-host"
  | "system-shutdown"
  | "undefined-condition"
  | "unsupported-encoding"
  | "unsupported-feature"
  | "unsupported-stanza-type"
  | "unsupported-version";

/** An error that ends the stream (RFC 6120 §4.9.3). */
export class StreamError extends Error {
  override readonly name = "StreamError";
  constructor(
    readonly condition: StreamCondition,
    readonly text?: string,
    /** Character data of the condition element (see-other-host) or an application element. */
    readonly extra?: string,
  ) {
    super(text ? `${condition}: ${text}` : condition);
  }

  /** The <stream:error/> element as markup; `standalone` declares the stream prefix itself (RFC 7395). */
  toXml(standalone = false): string {
    const open = standalone ? `<stream:error xmlns:stream='http://etherx.jabber.org/streams'>` : "<stream:error>";
    const host = this.condition === "see-other-host" && this.extra !== undefined ? escapeXml(this.extra) : "";
    const condition = host
      ? `<${this.condition} xmlns='${NS_STREAMS}'>${host}</${this.condition}>`
      : `<${this.condition} xmlns='${NS_STREAMS}'/>`;
    const text = this.text ? `<text xml:lang='en' xmlns='${NS_STREAMS}'>${escapeXml(this.text)}</text>` : "";
    const application = !host && this.extra ? this.extra : "";
    return `${open}${condition}${text}${application}</stream:error>`;
  }
}

/** Long work was left because the server ends: it goes on at the next start. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/**
 * Does each of some works, one after the other, whichever fail. Rejects after the last one when one has failed; at once when
 * one was Interrupted.
 * @param failed told of each failure
 */
export async function insistOn<T>(
  works: Iterable<T>,
  run: (work: T) => Promise<unknown> | void,
  failed?: (work: T, error: unknown) => void,
): Promise<void> {
  const failures: unknown[] = [];
  for (const work of works) {
    try {
      await run(work);
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      failed?.(work, error);
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
