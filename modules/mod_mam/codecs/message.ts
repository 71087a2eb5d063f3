// How the archive's tables hold messages (`db_message_format`): XML, or Erlang's terms as MongooseIM writes them. What is
// read tells its form by its first byte, whatever the option says, so that the option may change over time.

import { decodeTerm, encodeTerm, type Term, TermError, VERSION } from "../../../core/erlang/term.ts";
import { checkElement } from "../../../core/xml/framer.ts";
import { FrameError, Scan } from "../../../core/xml/scan.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import { elementTerm, elementText } from "./xmlel.ts";

export const MESSAGE_FORMATS = ["mam_message_compressed_eterm", "mam_message_eterm", "mam_message_xml"] as const;
export type MessageFormat = (typeof MESSAGE_FORMATS)[number];

export interface MessageCodec {
  /** The bytes for a column `message`, from one well-formed element that leans on nothing around it: text or its UTF-8. */
  encode(stanza: string | Buffer): Uint8Array;
  /**
   * The text of the element that a column holds, in whatever form.
   * It is well-formed: a row that a disk or a database has spoilt must not reach a client's stream.
   * @throws TermError for what is neither XML nor an element's term
   */
  decode(stored: Uint8Array | string): string;
}

/** XML by default: neither reading nor writing has any work then, and MongooseIM reads it with the same option. */
export const DEFAULT_MESSAGE_FORMAT: MessageFormat = "mam_message_xml";

/** What stands for a message that a column holds in no form that can be read: one must not take a page with it. */
export const UNREADABLE =
  "<message type='error'><error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" +
  "<body>This message cannot be read in the archive</body></message>";

const LESS_THAN = 0x3c;

const cannotRead = (why: string, options?: ErrorOptions): TermError =>
  new TermError("value", `Cannot read an archived message: ${why}`, options);

function decoder(): (stored: Uint8Array | string) => string {
  const scan = new Scan();
  const utf8 = new TextDecoder();
  const check = (markup: Uint8Array): void => {
    try {
      checkElement(markup, scan);
    } catch (cause) {
      if (cause instanceof FrameError) throw cannotRead(cause.message, { cause });
      throw cause;
    }
  };
  return (stored) => {
    const bytes = typeof stored === "string" ? Buffer.from(stored) : stored;
    if (bytes[0] === LESS_THAN) {
      check(bytes);
      return typeof stored === "string" ? stored : utf8.decode(stored);
    }
    if (bytes[0] !== VERSION || typeof stored === "string") {
      throw cannotRead(`it begins with ${bytes[0] ?? "nothing"}`);
    }
    const text = elementText(decodeTerm(stored));
    // A term may be deeper than an element can be.
    check(Buffer.from(text));
    return text;
  };
}

/**
 * An element as a term. Line ends as they were sent mean one line feed (XML 1.0 §2.11); in a term a carriage return is one
 * that was meant.
 */
const termOf = (stanza: string | Buffer): Term => elementTerm(parseElement(stanza.toString().replace(/\r\n?/g, "\n")));

const ENCODERS: Readonly<Record<MessageFormat, MessageCodec["encode"]>> = {
  mam_message_xml: (stanza) => (typeof stanza === "string" ? Buffer.from(stanza) : stanza),
  mam_message_eterm: (stanza) => encodeTerm(termOf(stanza)),
  mam_message_compressed_eterm: (stanza) => encodeTerm(termOf(stanza), { compressed: true }),
};

/** Most messages are kept twice, for either end: a term of the last one is there already. */
function remembering(encode: MessageCodec["encode"]): MessageCodec["encode"] {
  let last: string | Buffer | undefined;
  let bytes: Uint8Array | undefined;
  return (stanza) => {
    if (bytes === undefined || stanza !== last) {
      bytes = encode(stanza);
      last = stanza;
    }
    return bytes;
  };
}

/** The codec that `db_message_format` names. */
export const messageCodec = (format: MessageFormat): MessageCodec => ({
  encode: format === "mam_message_xml" ? ENCODERS[format] : remembering(ENCODERS[format]),
  decode: decoder(),
});
