// A broadcast job as a value: what an administrator asks for, what may be asked for, and the message that is sent.

import { createHash } from "node:crypto";
import type { BareJid } from "../../core/jid.ts";
import { NS_CLIENT, NS_SID } from "../../core/ns.ts";
import { escapeXml, type Markup, xml } from "../../core/xml/markup.ts";

export type JobState = "running" | "finished" | "abort_error" | "abort_admin";

/** What is asked for: one message to every user of a domain. */
export interface JobSpec {
  readonly name: string;
  readonly domain: string;
  readonly subject: string;
  readonly body: string;
  readonly sender: BareJid;
  /** Messages a second. */
  readonly rate: number;
}

/** A job as it is stored. Times are milliseconds since 1970. */
export interface Job {
  readonly id: number;
  readonly name: string;
  readonly domain: string;
  readonly hostType: string;
  /** JID as text: it was one when the job was made. */
  readonly sender: string;
  readonly subject: string;
  readonly body: string;
  readonly rate: number;
  readonly recipientCount: number;
  readonly state: JobState;
  readonly abortionReason: string | undefined;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly stoppedAt: number | undefined;
  /** "" when nobody owns it any more. */
  readonly owner: string;
  readonly processed: number;
}

const MOST_A_SECOND = 1000;
/** Fewest and most characters. */
const LENGTHS = { name: [1, 250], subject: [0, 1024], body: [1, 16_000] } as const;

/** The parameter that is out of bounds, by MongooseIM's name for it; undefined when none is. */
export function badParameter(spec: JobSpec): "message_rate" | keyof typeof LENGTHS | undefined {
  if (!Number.isInteger(spec.rate) || spec.rate < 1 || spec.rate > MOST_A_SECOND) return "message_rate";
  for (const [name, [min, max]] of Object.entries(LENGTHS) as [keyof typeof LENGTHS, readonly [number, number]][]) {
    const length = [...spec[name]].length;
    if (length < min || length > max || !isXmlText(spec[name])) return name;
  }
  return undefined;
}

/** Whether XML can carry the text: escaping drops what it cannot. */
function isXmlText(text: string): boolean {
  const plain = text.replace(/[&<>"']/g, "");
  return escapeXml(plain) === plain;
}

/** The same for the same job and recipient, so that a client can tell what it has got twice; MongooseIM's formula. */
export function messageId(job: number, recipient: BareJid): string {
  const digest = createHash("sha256").update(`${job}:${recipient.text}`).digest();
  return `mb-${digest.subarray(0, 16).toString("hex").toUpperCase()}`;
}

export function message(job: Pick<Job, "id" | "subject" | "body">, from: BareJid, to: BareJid): Markup {
  const id = messageId(job.id, to);
  return xml`<message xmlns='${NS_CLIENT}' from='${from.text}' id='${id}' to='${to.text}' type='chat'><subject>${job.subject}</subject><body>${job.body}</body><origin-id id='${id}' xmlns='${NS_SID}'/></message>`;
}
