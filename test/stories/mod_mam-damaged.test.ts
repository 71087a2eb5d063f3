// Rows of an archive that a disk, a database or another server has spoilt: the page around them comes all the same, on a
// stream that stays well-formed.
import { describe, expect } from "vitest";
import { encodeTerm } from "../../core/erlang/term.ts";
import type { Db } from "../../core/storage/db.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { elementTerm } from "../../modules/mod_mam/codecs/xmlel.ts";
import { Random } from "../fuzz/random.ts";
import { asks, writes } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const UNREADABLE = "This message cannot be read in the archive";
const databaseOf = (server: StoryServer): Db => server.node.db("rdbms");

/** The rows of all archives, oldest first. */
const rows = (db: Db) =>
  db.query<{ id: bigint | number; user_id: number; message: Uint8Array; from_jid: string }>(
    "SELECT id, user_id, message, from_jid FROM mam_message ORDER BY id",
  );

async function spoils(db: Db, spoil: (message: Buffer, n: number) => Uint8Array | string): Promise<void> {
  for (const [n, { id, user_id, message }] of (await rows(db)).entries()) {
    const value = spoil(Buffer.from(message), n);
    await db.execute("UPDATE mam_message SET message = ? WHERE id = ? AND user_id = ?", [
      typeof value === "string" ? Buffer.from(value) : value,
      id,
      user_id,
    ]);
  }
}

async function says(from: Client, to: Client, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) {
    writes(from, to, body);
    await to.hears(`<message><body>${body}</body></message>`);
  }
}

const deep = (levels: number): string => `<message>${"<x>".repeat(levels)}${"</x>".repeat(levels)}</message>`;
/** An element's term with others in it, deeper than a stack is. */
const deepTerm = (levels: number): Uint8Array => {
  const head = Buffer.concat([
    Buffer.from([104, 4, 100, 0, 5]),
    Buffer.from("xmlel"),
    Buffer.from([109, 0, 0, 0, 1, 0x78, 106, 108, 0, 0, 0, 1]),
  ]);
  return Buffer.concat([
    Buffer.from([131]),
    ...Array<Buffer>(levels).fill(head),
    Buffer.from([106]),
    Buffer.alloc(levels, 106),
  ]);
};
/** A compressed term that says it is larger than any memory. */
const bomb = (): Uint8Array =>
  Buffer.concat([Buffer.from([131, 80, 0xff, 0xff, 0xff, 0xff]), Bun.deflateSync(Buffer.alloc(1 << 24))]);

const CASES: readonly [what: string, message: (row: Buffer) => Uint8Array | string][] = [
  ["markup that ends early", (row) => row.subarray(0, row.length - 12)],
  ["zeros in the middle of markup", (row) => Buffer.concat([row.subarray(0, 90), Buffer.alloc(20), row.subarray(110)])],
  ["an end tag that is not the start's", (row) => row.toString().replace("</body>", "</bodi>")],
  ["two elements", (row) => `${row}${row}`],
  ["an entity that nobody has declared", (row) => row.toString().replace("<body>", "<body>&boom;")],
  ["a document type", () => "<!DOCTYPE message><message><body>x</body></message>"],
  ["the end of the stream", (row) => `${row}</stream:stream>`],
  [
    "bytes that are no text",
    (row) => Buffer.concat([row.subarray(0, 100), Buffer.from([0xff, 0xfe, 0xc0]), row.subarray(100)]),
  ],
  ["nothing", () => ""],
  ["elements in each other", () => deep(5000)],
  ["a term that ends early", () => encodeTerm(elementTerm(parseElement(deep(3)))).subarray(0, 40)],
  ["a term in which elements are in each other", () => encodeTerm(elementTerm(parseElement(deep(490))))],
  ["a term deeper than any stack", () => deepTerm(200_000)],
  ["a compressed term of four gigabytes", bomb],
  ["something else", () => "hello"],
];

describe("what cannot be read in an archive", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} } } });

  story(
    "does not take the others with it",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await says(alice, bob, ["before", "spoilt", "after"]);
      const db = databaseOf(server);
      for (const [what, message] of CASES) {
        const whole = await rows(db);
        await spoils(db, (row, n) => (n === 2 || n === 3 ? message(row) : row));
        const answer = await asks(bob);
        expect(answer.bodies, what).toHaveLength(3);
        expect([answer.bodies[0], answer.bodies[2]], what).toEqual(["before", "after"]);
        expect(answer.messages[1].message.name, what).toBe("message");
        await spoils(db, (_, n) => whole[n].message);
      }
      expect((await asks(bob)).bodies).toEqual(["before", "spoilt", "after"]);
    },
    { logs: ["archived_message_unreadable"], door: "tcp" },
  );

  story(
    "is told to be so",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await says(alice, bob, ["spoilt"]);
      await spoils(databaseOf(server), (row) => row.subarray(0, 100));
      const { bodies, messages } = await asks(bob);
      expect(bodies).toEqual([UNREADABLE]);
      expect(messages[0].message.attrs).toMatchObject({ from: alice.full, type: "error" });
    },
    { logs: ["archived_message_unreadable"], door: "tcp" },
  );

  story(
    "comes in whatever form chance gives it",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await says(
        alice,
        bob,
        Array.from({ length: 25 }, (_, n) => `Msg ${n}`),
      );
      const db = databaseOf(server);
      const whole = await rows(db);
      const r = new Random(4);
      for (let round = 0; round < 12; round++) {
        await spoils(db, (_, n) => {
          // What stories before this one have left is spoilt already.
          const text = n < whole.length - 50 ? "<message/>" : Buffer.from(whole[n].message).toString();
          const kind = r.below(3);
          const bytes =
            kind === 0
              ? Buffer.from(text)
              : Buffer.from(encodeTerm(elementTerm(parseElement(text)), { compressed: kind === 1 }));
          for (let hits = r.pick([1, 1, 2, 10]); hits > 0; hits--) bytes[r.below(bytes.length)] = r.below(256);
          return r.once(5) ? bytes.subarray(0, r.below(bytes.length)) : bytes;
        });
        const from = r.pick(["", "/", ":", "@", "a@b@c", "[::1", "'\"<&", "x".repeat(250), "user", "\u202e"]);
        await db.execute("UPDATE mam_message SET from_jid = ? WHERE id = ?", [from, whole[round].id]);
        for (const client of [alice, bob]) {
          const answer = await asks(client);
          expect(answer.ids, `round ${round}`).toHaveLength(25);
        }
      }
    },
    { logs: ["archived_message_unreadable"], door: "tcp" },
  );
});
