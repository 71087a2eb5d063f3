// Reads an element's term, for checking what the server wrote by something that is not the server's.
import { inflateSync } from "node:zlib";

/** `{xmlel, Name, #{}, [...]}` as `["xmlel", name, {…}, […]]`: atoms and binaries are strings, lists arrays. */
export type Read = string | number | Read[] | { [key: string]: Read };

export function readTerm(bytes: Uint8Array): Read {
  if (bytes[0] !== 131) throw new Error("no term");
  const body = bytes[1] === 80 ? inflateSync(bytes.subarray(6)) : Buffer.from(bytes.subarray(1));
  if (bytes[1] === 80 && Buffer.from(bytes).readUInt32BE(2) !== body.length) throw new Error("a wrong size");
  let at = 0;
  const take = (n: number): Buffer => {
    at += n;
    return body.subarray(at - n, at);
  };
  const many = (n: number): Read[] => Array.from({ length: n }, () => next());
  const next = (): Read => {
    const tag = take(1)[0];
    if (tag === 97) return take(1)[0];
    if (tag === 104) return many(take(1)[0]);
    if (tag === 106) return [];
    if (tag === 109) return take(take(4).readUInt32BE()).toString();
    if (tag === 119) return take(take(1)[0]).toString();
    if (tag === 116) {
      const n = take(4).readUInt32BE();
      return Object.fromEntries(Array.from({ length: n }, () => [next() as string, next()]));
    }
    if (tag === 108) {
      const items = many(take(4).readUInt32BE());
      if (take(1)[0] !== 106) throw new Error("an improper list");
      return items;
    }
    throw new Error(`tag ${tag}`);
  };
  const term = next();
  if (at !== body.length) throw new Error("bytes after the term");
  return term;
}
