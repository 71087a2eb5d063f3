// XEP-0313 §4.2, XEP-0059: pages of an archive with fifteen messages.
import { describe, expect } from "vitest";
import { type Answer, asks, type Question, talk, writes } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("mam_SUITE");
const MAM = { modules: { mod_mam: { pm: {} } } };
const body = (n: number): string => `Message #${n}`;
/** Bodies of messages from one to another. */
const bodies = (from: number, to: number): string[] =>
  Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => body(to < from ? from - i : from + i));

/** Asks by the numbers of messages, which stand for their ids. */
async function reader(client: Client, other: Client) {
  await talk(client, other);
  const { ids } = await asks(client);
  expect(ids).toHaveLength(15);
  const id = (n: number): string => ids[n - 1];
  return {
    id,
    page: (rsm: string, fields?: Question["fields"], more?: string): Promise<Answer> =>
      asks(client, {
        rsm: rsm.replace(/#(\d+)/g, (_, n: string) => id(Number(n))),
        ...(fields !== undefined && { fields }),
        ...(more !== undefined && { more }),
      }),
  };
}

describe("pages", () => {
  const { story } = stage(MAM);

  story(
    "are the beginning, the end, or what follows or precedes a message, and say where they are",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const { page } = await reader(alice, bob);
      for (const [rsm, from, to] of [
        ["<max>5</max>", 1, 5],
        ["<max>5</max><before/>", 11, 15],
        ["<max>5</max><index>5</index>", 6, 10],
        ["<max>5</max><before>#10</before>", 5, 9],
        ["<max>5</max><after>#10</after>", 11, 15],
      ] as const) {
        const answer = await page(rsm);
        expect(answer).toMatchObject({ bodies: bodies(from, to), index: from - 1, count: 15 });
        expect([answer.first, answer.last]).toEqual([answer.ids[0], answer.ids.at(-1)]);
      }
    },
    covers(
      "pagination_first5",
      "pagination_last5",
      "pagination_offset5",
      "pagination_before10",
      "pagination_after10",
      "limit_archive_request",
    ),
  );

  story(
    "of no message tell the count alone",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const { page } = await reader(alice, bob);
      for (const rsm of ["<max>0</max>", "<max>0</max><before/>", "<max>0</max><index>5</index>"]) {
        expect(await page(rsm)).toMatchObject({ bodies: [], count: 15, first: undefined, complete: false });
      }
    },
    covers("pagination_empty_rset", "pagination_first0", "pagination_last0", "pagination_offset5_max0"),
  );

  story(
    "flipped are sent from their end, and are the same page",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const { page, id } = await reader(alice, bob);
      const flipped = await page("<max>5</max>", undefined, "<flip-page/>");
      expect(flipped).toMatchObject({ bodies: bodies(5, 1), count: 15, index: 0, first: id(1), last: id(5) });
      const fields = { "after-id": id(5), "before-id": id(11) };
      expect(await page("<max>5</max><before/>", fields, "<flip-page/>")).toMatchObject({
        bodies: bodies(10, 6),
        count: 5,
      });
    },
    covers("pagination_flipped_page", "pagination_border_flipped_page"),
  );

  story(
    "of what lies between two messages count that alone",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const { page, id } = await reader(alice, bob);
      const last = "<max>5</max><before/>";
      const behind = (n: number) => ({ "after-id": id(n) });
      expect(await page(last, behind(5))).toMatchObject({ bodies: bodies(11, 15), count: 10, index: 5 });
      expect(await page(last, { ...behind(5), "before-id": id(11) })).toMatchObject({
        bodies: bodies(6, 10),
        count: 5,
        index: 0,
      });
      expect(await page("<max>5</max>", behind(4))).toMatchObject({ bodies: bodies(5, 9), count: 11, index: 0 });
      expect(await page(last, behind(4))).toMatchObject({ bodies: bodies(11, 15), count: 11, index: 6 });
    },
    covers(
      "pagination_last_after_id5",
      "pagination_last_after_id5_before_id11",
      "pagination_first_page_after_id4",
      "pagination_last_page_after_id4",
    ),
  );

  story(
    "say whether anything is left in their direction",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const { page } = await reader(alice, bob);
      for (const [rsm, complete] of [
        ["<before/>", false],
        ["<before>#10</before>", false],
        ["<before>#1</before>", true],
        ["<before>#5</before>", true],
        ["<before>#6</before>", true],
        ["", false],
        ["<after>#2</after>", false],
        ["<after>#9</after>", false],
        ["<after>#10</after>", true],
        ["<after>#11</after>", true],
      ] as const) {
        expect([rsm, (await page(`<max>5</max>${rsm}`)).complete]).toEqual([rsm, complete]);
      }
    },
    covers(
      "before_complete_false_last5",
      "before_complete_false_before10",
      "before_complete_true_before1",
      "before_complete_true_before5",
      "before_complete_true_before6",
      "after_complete_false_first_page",
      "after_complete_false_after2",
      "after_complete_false_after9",
      "after_complete_true_after10",
      "after_complete_true_after11",
    ),
  );

  story(
    "that are asked for simply are not counted",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const { page } = await reader(alice, bob);
      for (const [rsm, found, complete] of [
        ["<max>5</max><before>#10</before>", bodies(5, 9), false],
        ["<max>5</max><before>#3</before>", bodies(1, 2), true],
        ["<max>5</max><before>#6</before>", bodies(1, 5), true],
        ["<max>0</max><before>#1</before>", [], true],
        ["<max>0</max><before>#2</before>", [], false],
        ["<max>3</max><after>#5</after>", bodies(6, 8), false],
        ["<max>5</max><after>#10</after>", bodies(11, 15), true],
        ["<max>5</max><after>#12</after>", bodies(13, 15), true],
      ] as const) {
        const answer = await page(rsm, { simple: "true" });
        expect(answer).toMatchObject({ bodies: found, complete, count: undefined, index: undefined });
      }
    },
    covers(
      "pagination_simple_before10",
      "pagination_simple_before3",
      "pagination_simple_before6",
      "pagination_simple_before1_pagesize0",
      "pagination_simple_before2_pagesize0",
      "pagination_simple_after5",
      "pagination_simple_after10",
      "pagination_simple_after12",
    ),
  );

  story(
    "by a message that is not in the archive, or by no id at all, are refused",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const { page } = await reader(alice, bob);
      const missing = "AV25E9SCO50K";
      expect((await page(`<max>5</max><before>${missing}</before>`)).error).toBe("cancel item-not-found");
      expect((await page(`<max>5</max><after>${missing}</after>`)).error).toBe("cancel item-not-found");
      expect((await page("<max>50</max><after>PURPLEFE965CC9</after>")).error).toBe("modify not-acceptable");
      const uuid = { "from-id": "bef3a242-99ce-402a-9ffc-2f3c20da92d4" };
      expect((await page("<max>5</max>", uuid)).error).toBe("modify not-acceptable");
      // Another's message is not in this archive.
      writes(bob, bob, "mine");
      await bob.hears("<message><body>mine</body></message>");
      const theirs = (await asks(bob, { rsm: "<max>1</max><before/>" })).ids[0];
      expect((await page(`<after>${theirs}</after>`)).error).toBe("cancel item-not-found");
    },
    covers(
      "server_returns_item_not_found_for_before_filter_with_nonexistent_id",
      "server_returns_item_not_found_for_after_filter_with_nonexistent_id",
      "server_returns_item_not_found_for_after_filter_with_invalid_id",
      "querying_with_invalid_mam_id_in_after",
    ),
  );
});

describe("pages that may not be counted", () => {
  const { story } = stage({ modules: { mod_mam: { enforce_simple_queries: true, max_result_limit: 4, pm: {} } } });

  story(
    "say neither total nor index, and are no longer than they may be",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await talk(alice, bob, 6);
      const all = await asks(alice, { rsm: "<max>100</max>" });
      expect(all).toMatchObject({ bodies: bodies(1, 4), complete: false, count: undefined, index: undefined });
      const [, , three, four] = all.messages;
      const range = await asks(alice, { fields: { start: three.stamp, end: four.stamp } });
      expect(range).toMatchObject({ bodies: bodies(3, 4), count: undefined, index: undefined });
      expect(range.messages.map(({ stamp }) => stamp)).toEqual([three.stamp, four.stamp]);
    },
    covers("pagination_simple_enforced"),
  );
});

describe("pages of an archive that has a size of its own", () => {
  const { story } = stage({
    modules: {
      mod_mam: { default_result_limit: 3, user_prefs_store: "rdbms", pm: { max_result_limit: 4, max_prefs_jids: 2 } },
    },
  });

  story(
    "are as long as is configured, when nobody says how long",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await talk(alice, bob, 6);
      expect((await asks(bob)).bodies).toHaveLength(3);
      expect((await asks(bob, { rsm: "<before/>" })).bodies).toHaveLength(3);
      expect((await asks(bob, { rsm: "<max>100</max>" })).bodies).toHaveLength(4);
      for (const [n, type] of [
        [2, "result"],
        [3, "error"],
      ] as const) {
        const jids = Array.from({ length: n }, (_, i) => `<jid>friend${i}@localhost</jid>`).join("");
        bob.says(
          `<iq type="set" id="p${n}"><prefs xmlns="urn:xmpp:mam:2" default="never"><always>${jids}</always><never/></prefs></iq>`,
        );
        await bob.hears(`<iq type="${type}" id="p${n}"/>`);
      }
    },
    { door: "tcp" },
  );
});
