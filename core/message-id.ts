// Ids of archived messages, which are their XEP-0359 stanza ids too: a time, and the node that gave it.

/** What a signed column of 64 bits holds. */
export const MAX_MESSAGE_ID = (1n << 63n) - 1n;
/** The highest id has thirteen digits. */
const SHOWN = /^[0-9A-Va-v]{1,13}$/;

/** Digits that a number holds exactly with room to spare; the rest of an id has as few. */
const HALF = 6;
const HALF_BITS = 30n;

/** A 64-bit id as MongooseIM shows it: base 32 with the digits 0-9A-V. */
export const externalId = (id: bigint): string => id.toString(32).toUpperCase();

/** The id that a text shows, undefined when it shows none. */
export function parseExternalId(text: string): bigint | undefined {
  if (!SHOWN.test(text)) return undefined;
  const cut = Math.max(0, text.length - HALF);
  const high = cut === 0 ? 0 : Number.parseInt(text.slice(0, cut), 32);
  const id = (BigInt(high) << HALF_BITS) | BigInt(Number.parseInt(text.slice(cut), 32));
  return id <= MAX_MESSAGE_ID ? id : undefined;
}

/** When the message of an id came: microseconds since 1970. */
export const microsOfId = (id: bigint): number => Number(id >> 8n);

/**
 * The lowest and the highest id of a time in microseconds since 1970, whichever node gave it; kept to ids that can be.
 * No message is of a time before 1970: its highest is below all.
 */
export function idsAt(micros: number): { lowest: bigint; highest: bigint } {
  const lowest = BigInt(Math.trunc(micros)) << 8n;
  if (lowest < 0n) return { lowest: 0n, highest: -1n };
  if (lowest > MAX_MESSAGE_ID) return { lowest: MAX_MESSAGE_ID, highest: MAX_MESSAGE_ID };
  return { lowest, highest: lowest | 255n };
}
