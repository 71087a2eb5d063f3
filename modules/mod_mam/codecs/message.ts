// How the archive's tables hold messages (`db_message_format`): XML, or Erlang's terms as MongooseIM writes them. What is
// read tells its form by its first byte, whatever the option says, so that the option may change over time.

import { decodeTerm, encodeTerm, TermError, VERSION } from "../../../core/erlang/term.ts";
import { parseElement } from "../../../core/stanza.ts";
import { elementTerm, elementText } from "./xmlel.ts";

export const MESSAGE_FORMATS = ["mam_message_compressed_eterm", "mam_message_eterm", "mam_message_xml"] as const;
export type MessageFormat = (typeof MESSAGE_FORMATS)[number];

export interface MessageCodec {
  /** The bytes for a column `message`, from the text of one well-formed element that leans on nothing around it. */
  encode(stanza: string): Uint8Array;
  /**
   * The text of the element that a column holds, in whatever form.
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

function decode(stored: Uint8Array | string): string {
  if (typeof stored === "string") {
    if (stored.startsWith("<")) return stored;
    throw new TermError("value", "Cannot read an archived message: it is no XML");
  }
  if (stored[0] === LESS_THAN) return asBuffer(stored).utf8Slice();
  if (stored[0] === VERSION) return elementText(decodeTerm(stored));
  throw new TermError("value", `Cannot read an archived message: it begins with ${stored[0] ?? "nothing"}`);
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const CODECS: Readonly<Record<MessageFormat, MessageCodec>> = {
  mam_message_xml: { encode: (stanza) => Buffer.from(stanza), decode },
  mam_message_eterm: { encode: (stanza) => encodeTerm(elementTerm(parseElement(stanza))), decode },
  mam_message_compressed_eterm: {
    encode: (stanza) => encodeTerm(elementTerm(parseElement(stanza)), { compressed: true }),
    decode,
  },
};

/** The codec that `db_message_format` names. */
export const messageCodec = (format: MessageFormat): MessageCodec => CODECS[format];
