// What travels to and from the SQLite worker comes out as it went in, bytes and integers of 64 bits too.
import { expect, test } from "vitest";
import type { SqlValue } from "../../../../core/storage/db.ts";
import { Bytes, pack, unpack } from "../../../../core/storage/sqlite/bytes.ts";
import { Random } from "../../../fuzz/random.ts";

const VALUES: readonly SqlValue[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  "",
  "text",
  0n,
  -1n,
  255n,
  2n ** 31n,
  -(2n ** 31n) - 1n,
  2n ** 32n - 1n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 63n,
  -(2n ** 63n) - 1n,
  2n ** 64n,
  new Uint8Array(0),
  Uint8Array.of(0, 255, 60),
  new Uint8Array(5000).fill(7),
  Buffer.from("a view of a pool"),
];

/** Over a channel, as the worker's. */
const travel = (message: SqlValue[], handed: ArrayBuffer[]): SqlValue[] =>
  structuredClone(message, { transfer: handed });

/** Views of one kind, for Buffer and Uint8Array are alike here. */
const plain = (message: readonly SqlValue[]): unknown[] =>
  message.map((value) => (value instanceof Uint8Array ? [...value] : value));

test("whatever the order, with and without bytes", () => {
  const random = new Random(20261126);
  for (let round = 0; round < 500; round++) {
    const sent = Array.from({ length: random.below(40) }, () => VALUES[random.below(VALUES.length)]);
    const message = [...sent];
    const came = travel(message, pack(message));
    unpack(came);
    expect(plain(came)).toEqual(plain(sent));
  }
});

test("bytes are those of the moment in which they were taken in", () => {
  const bytes = new Bytes();
  const buffer = Buffer.from("before");
  expect(bytes.takes(buffer)).toBe(true);
  buffer.write("after!");
  const message: (SqlValue | undefined)[] = [undefined];
  const came = travel(message as SqlValue[], bytes.seal(message as SqlValue[]));
  unpack(came);
  expect(Buffer.from(came[0] as Uint8Array).toString()).toBe("before");
});

test("what is handed over of a whole message has no room to spare", () => {
  const sizes = (message: SqlValue[]): number[] => pack(message).map(({ byteLength }) => byteLength);
  expect(sizes([1, new Uint8Array(3), "text", new Uint8Array(5000), 2n ** 60n, new Uint8Array(0)])).toEqual([5003]);
  expect(sizes([1, 2n ** 60n, null])).toEqual([]);
});
