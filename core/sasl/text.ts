// How SASL messages travel: Base64 in XML (RFC 6120 §6.4.2), UTF-8 within.

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

/**
 * Decodes the text of a SASL element. Undefined for anything but canonical Base64 (RFC 4648 §4: no white space, padding
 * complete, unused bits zero), which is answered with `incorrect-encoding`. "=" stands for present but empty; an element
 * without text gives the empty array too, but in `<auth/>` it means "no initial response": the caller tells these apart.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text === "" || text === "=") return new Uint8Array(0);
  // fromBase64 skips white space, hence the look at the characters.
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
}

/** Decodes UTF-8; undefined when it is none. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Encodes as UTF-8. */
export function encodeUtf8(text: string): Uint8Array {
  return ENCODER.encode(text);
}
