// Archives of users held against a naive model: random archives, random queries. In the place of MongooseIM's mam_proper.
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { parseJid } from "../../core/jid.ts";
import { externalId, idsAt, MAX_MESSAGE_ID, microsOfId, parseExternalId } from "../../core/message-id.ts";
import type { Db } from "../../core/storage/db.ts";
import type { ArchiveBackend, Archived, Filter, Found, Owner, Page, PageFound } from "../../modules/mod_mam/backend.ts";
import { MESSAGE_FORMATS } from "../../modules/mod_mam/codecs/message.ts";
import { type SearchMode, searchForm } from "../../modules/mod_mam/search/form.ts";
import { normalise, words } from "../../modules/mod_mam/search/normalise.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { ArchiveModel } from "../support/archive-model.ts";
import { allSteps } from "../support/steps.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const BASE = idsAt(1_790_000_000_000_000).lowest;
const NOBODY: Owner = { local: "nobody", domain: "a.example" };
const OWNERS: readonly Owner[] = [
  { local: "alice", domain: "a.example" },
  { local: "bob.1", domain: "a.example" },
  { local: "alice", domain: "b.example" },
  { local: "żółw", domain: "b.example" },
];
const PEOPLE = [
  ...["alice@a.example", "bob.1@a.example", "carol@a.example", "alice@b.example", "żółw@b.example", "d@c.example"],
  ...["a.example", "c.example"],
];
const RESOURCES = ["", "res1", "PICKLE", "just:some@random/text here", "馬", "%_$"];
const TEXTS = ["cat", "cats", "the", "a", "snake_case", "żółć", "кот", "50", "kot"];

const owner = fc.constantFrom(...OWNERS);
const jid = fc
  .tuple(fc.constantFrom(...PEOPLE), fc.constantFrom(...RESOURCES))
  .map(([bare, resource]) => parseJid(resource === "" ? bare : `${bare}/${resource}`));
/** Few and close to each other, so that owners share them and queries hit them. */
const id = fc.integer({ min: 1, max: 60 }).map((n) => BASE + BigInt(n * 3));
const nearId = fc.integer({ min: 0, max: 200 }).map((n) => BASE + BigInt(n));

const message = fc
  .record({
    id,
    owner,
    remote: jid,
    direction: fc.constantFrom<"in" | "out">("in", "out"),
    text: fc.oneof(
      fc.array(fc.constantFrom(...TEXTS), { maxLength: 5 }).map((list) => list.join(" ")),
      anyText(),
    ),
    originId: fc.option(fc.oneof(fc.constant("orig_id"), fc.string({ maxLength: 20 })), { nil: undefined }),
    groupchat: fc.boolean(),
  })
  .map(({ text, originId, ...rest }): Archived => {
    const sender = rest.direction === "in" ? rest.remote : parseJid(`${rest.owner.local}@${rest.owner.domain}/home`);
    return {
      ...rest,
      from: sender,
      stanza: `<message id='m'><body>b ${text.replace(/[<>&'"]/g, "")}</body></message>`,
      searchBody: normalise(text),
      originId: originId?.replaceAll("\0", "") || undefined,
    };
  });

/** Any text that XML can carry. */
function anyText() {
  return fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => text.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, ""));
}

const archiveOf = fc.uniqueArray(message, {
  selector: (m) => `${m.owner.local}@${m.owner.domain} ${m.id}`,
  maxLength: 80,
});
const CONDITIONS = {
  fromId: nearId,
  toId: nearId,
  afterId: nearId,
  beforeId: nearId,
  ids: fc.array(nearId, { minLength: 1, maxLength: 9 }),
  with: jid,
  words: fc.array(fc.constantFrom(...TEXTS, "ca", "nowhere"), { minLength: 1, maxLength: 2 }),
  noGroupchat: fc.constant(true),
};
/** Up to three conditions leave something to find. */
const filter: fc.Arbitrary<Filter> = fc
  .shuffledSubarray(Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[], { maxLength: 3 })
  .chain((keys) => fc.record(CONDITIONS, { requiredKeys: keys }).map((all) => only(all, keys)));
const only = (all: Filter, keys: readonly (keyof Filter)[]): Filter =>
  Object.fromEntries(keys.map((key) => [key, all[key]]));
const figures = { max: fc.integer({ min: 0, max: 12 }), count: fc.boolean() };
const page: fc.Arbitrary<Page> = fc
  .oneof(
    fc.record({
      ...figures,
      dir: fc.constantFrom<Page["dir"]>("after", "before"),
      id: fc.option(nearId, { nil: undefined }),
    }),
    fc.record({ ...figures, dir: fc.constant<Page["dir"]>("after"), index: fc.integer({ min: 0, max: 30 }) }),
  )
  // No message at all is asked for when the count is wanted.
  .map((one): Page => (one.max === 0 ? { ...one, count: true } : one));
const query = fc.record({ owner: fc.oneof({ weight: 12, arbitrary: owner }, fc.constant(NOBODY)), filter, page });

/** The page without what the contract leaves open: figures of a page that were not asked for or has no messages. */
const shape = ({ messages, total, offset, complete }: PageFound, { count }: Page) => ({
  messages: messages.map(({ id, from, stanza }) => ({ id, from, stanza })),
  total: count ? total : undefined,
  offset: count && messages.length > 0 ? offset : undefined,
  complete,
});

async function walk(
  archive: ArchiveBackend,
  whose: Owner,
  asked: Filter,
  dir: Page["dir"],
  max: number,
): Promise<Found[]> {
  const seen: Found[] = [];
  for (let at: bigint | undefined; ; ) {
    const { messages, complete } = await archive.lookup(whose, asked, { dir, id: at, max, count: false });
    if (dir === "after") seen.push(...messages);
    else seen.unshift(...messages);
    if (complete) return seen;
    at = dir === "after" ? messages[messages.length - 1].id : messages[0].id;
  }
}

const wholeWord = (text: string, word: string) => text.split(" ").includes(word);

onEachDatabase("archives and a model", (database: TestDatabase) => {
  let db: Db;
  beforeAll(async () => {
    db = await database.open();
  });

  describe.each<[SearchMode, (typeof MESSAGE_FORMATS)[number]]>([
    ["like", MESSAGE_FORMATS[0]],
    ["index", MESSAGE_FORMATS[1]],
    ["like", MESSAGE_FORMATS[2]],
  ])("search %s, format %s", (mode, format) => {
    /** Both with the same messages. */
    async function filled(messages: readonly Archived[]): Promise<{ real: ArchiveBackend; model: ArchiveModel }> {
      const search = searchForm(db, mode);
      const failed = (error: Error) => {
        throw error;
      };
      await search.prepare({ pause: async () => {}, failed, running: () => true });
      for (const { domain } of OWNERS) await new MamStore(db).removeDomain(domain);
      const silent = { flushed() {}, dropped() {}, unfit: () => expect.unreachable("it has room for all") };
      const config = { cache_users: true, db_message_format: format };
      const real = new MamStore(db).sql(config, silent, () => Date.now(), search).sql;
      const model = new ArchiveModel(mode === "index" ? wholeWord : undefined);
      await Promise.all(messages.map((m) => real.archive(m)));
      for (const m of messages) await model.archive(m);
      return { real, model };
    }

    test("a look-up finds what the model finds", async () => {
      await fc.assert(
        fc.asyncProperty(archiveOf, fc.array(query, { minLength: 1, maxLength: 25 }), async (messages, queries) => {
          const { real, model } = await filled(messages);
          const found = await Promise.all(queries.map((q) => real.lookup(q.owner, q.filter, q.page)));
          for (const [i, q] of queries.entries())
            expect(shape(found[i], q.page)).toEqual(shape(await model.lookup(q.owner, q.filter, q.page), q.page));
        }),
        { numRuns: 25 },
      );
    }, 60_000);

    test("pages follow each other, in both directions, with every message once and in order", async () => {
      await fc.assert(
        fc.asyncProperty(
          archiveOf,
          owner,
          filter,
          fc.integer({ min: 1, max: 9 }),
          async (messages, whose, asked, max) => {
            const { real, model } = await filled(messages);
            const all = model.left(whose, asked).map((m) => m.id);
            for (const dir of ["after", "before"] as const)
              expect((await walk(real, whose, asked, dir, max)).map((m) => m.id)).toEqual(all);
          },
        ),
        { numRuns: 15 },
      );
    }, 60_000);

    test("what is replaced, deleted and named by an origin-id is as in the model", async () => {
      const change = fc.record({ owner, id, domain: fc.constantFrom("a.example", "b.example"), deletes: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(archiveOf, fc.array(change, { maxLength: 6 }), jid, async (messages, changes, remote) => {
          const { real, model } = await filled(messages);
          for (const one of changes) {
            if (one.deletes) {
              const count = await model.countBefore(one.domain, one.id);
              expect(await real.countBefore(one.domain, one.id)).toBe(count);
              expect(await allSteps(real.deleteBefore(one.domain, one.id, 1000))).toBe(count);
              model.dropBefore(one.domain, one.id);
            } else
              for (const each of [real, model]) await each.replace(one.owner, one.id, "<message><gone/></message>");
          }
          for (const whose of [...OWNERS, NOBODY]) {
            const everything = { dir: "after", max: 1000, count: true } as const;
            expect(shape(await real.lookup(whose, {}, everything), everything)).toEqual(
              shape(await model.lookup(whose, {}, everything), everything),
            );
            const cats = { words: ["cat"] };
            expect((await real.lookup(whose, cats, everything)).total).toBe(
              (await model.lookup(whose, cats, everything)).total,
            );
            expect(await real.bounds(whose)).toEqual(await model.bounds(whose));
            const some = messages.slice(0, 20).map((m) => m.id);
            expect(await real.present(whose, some)).toEqual(await model.present(whose, some));
            for (const direction of ["in", "out"] as const)
              expect(await real.byOriginId(whose, remote, direction, "orig_id")).toEqual(
                await model.byOriginId(whose, remote, direction, "orig_id"),
              );
          }
        }),
        { numRuns: 12 },
      );
    }, 60_000);
  });
});

describe("ids", () => {
  const anyId = fc.bigInt({ min: 0n, max: MAX_MESSAGE_ID });
  test("an id comes back from its base 32, in either case", () => {
    fc.assert(
      fc.property(anyId, (one) => {
        const text = externalId(one);
        expect(text).toMatch(/^[0-9A-V]{1,13}$/);
        expect(parseExternalId(text)).toBe(one);
        expect(parseExternalId(text.toLowerCase())).toBe(one);
      }),
    );
  });
  test("what is no id is none", () => {
    const notOne = fc.string({ unit: "grapheme" }).filter((text) => !/^[0-9A-Va-v]{1,13}$/.test(text));
    fc.assert(fc.property(notOne, (text) => parseExternalId(text) === undefined));
    for (const text of ["", "W", "-1", "VVVVVVVVVVVVV", "00000000000000"])
      expect(parseExternalId(text)).toBeUndefined();
  });
  test("an id has its time, and lies within the ids of that time", () => {
    const micros = fc.integer({ min: 0, max: 2 ** 50 });
    fc.assert(
      fc.property(micros, fc.integer({ min: 0, max: 255 }), (at, node) => {
        const one = (BigInt(at) << 8n) + BigInt(node);
        expect(microsOfId(one)).toBe(at);
        const { lowest, highest } = idsAt(at);
        expect(one >= lowest && one <= highest).toBe(true);
        expect(idsAt(at + 1).lowest > highest).toBe(true);
      }),
    );
  });
});

test("words of a query find the texts that have them", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      for (const word of words(text)) expect(wholeWord(normalise(text), word)).toBe(true);
    }),
  );
});
