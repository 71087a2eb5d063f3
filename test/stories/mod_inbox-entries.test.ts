// erlang-solutions.com:xmpp:inbox:0#conversation: boxes, what is read and what is muted; pages of an inbox.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import {
  change,
  fieldsOf,
  hasInbox,
  inboxOf,
  NS_CONVERSATION,
  NS_INBOX,
  refused,
  request,
  sets,
  writes,
  writesAndIsRead,
  writesToEach,
} from "../support/inbox.ts";
import { childOf, childrenOf, textOf } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";

const suite = covering("inbox_extensions_SUITE");
const HOUR = 3600;
const QUERIES = [{}, { id: "iq-id" }, { queryid: "query-id" }];

/** The two ways to say in which box an entry is: when it is moved, and when it is looked for. */
interface Way {
  readonly way: string;
  readonly archived: Readonly<Record<string, string>>;
  readonly active: Readonly<Record<string, string>>;
  cases(...names: string[]): string[];
}
const WAYS: readonly Way[] = [
  {
    way: "box",
    archived: { box: "archive" },
    active: { box: "inbox" },
    cases: (...names: string[]) => names.map((name) => `box_${name}`),
  },
  {
    way: "archive",
    archived: { archive: "true" },
    active: { archive: "false" },
    cases: (...names: string[]) => names.map((name) => `archive_${name}`),
  },
];

describe.each(["rdbms", "rdbms_async"])("backend = %s", (backend) => {
  const { story } = stage({ modules: { mod_inbox: { backend, boxes: ["other"] } } });

  story(
    "changes that make no sense are refused",
    { alice: 1 },
    async ({ alice }) => {
      const mike = "mike@localhost";
      const no = (jid: string | undefined, properties: string, word: string) =>
        refused(alice, change(jid, properties), "bad-request", word);
      await no(undefined, "<anything>anything</anything>", "jid-required");
      await no("$@/", "<anything>anything</anything>", "invalid-jid");
      await no("x".repeat(2000), "<read>true</read>", "invalid-jid");
      await no(mike, "", "no-property");
      await no(mike, "<anything>anything</anything>", "bad-request");
      for (const value of ["invalid", "", "TRUE"]) await no(mike, `<read>${value}</read>`, "bad-request");
      await no(mike, "<archive>invalid</archive>", "bad-request");
      for (const box of ["invalid", "", "all", "x".repeat(300)]) await no(mike, `<box>${box}</box>`, "invalid-box");
      for (const seconds of ["invalid", `-${HOUR}`, "", "1.5", "9".repeat(30)]) {
        await no(mike, `<mute>${seconds}</mute>`, "bad-request");
      }
    },
    suite(
      "returns_error_when_no_jid_provided",
      "returns_error_when_invalid_jid_provided",
      "returns_error_when_valid_jid_but_no_property",
      "returns_error_when_read_invalid_value",
      "returns_error_when_box_invalid_value",
      "returns_error_when_archive_invalid_value",
      "returns_error_when_mute_invalid_value",
      "returns_error_when_mute_invalid_seconds",
    ),
  );

  story(
    "what is not in the inbox cannot be changed",
    { alice: 1 },
    async ({ alice }) => {
      for (const to of ["<read>true</read>", "<box>archive</box>", "<archive>true</archive>", `<mute>${HOUR}</mute>`]) {
        await refused(alice, change("mike@localhost", to), "item-not-found", "item-not-found");
      }
      const get = `<iq type="get" id="g"><query xmlns="${NS_CONVERSATION}" jid="mike@localhost" complete="true"/></iq>`;
      await refused(alice, get, "item-not-found");
    },
    suite(
      "returns_error_when_read_valid_request_but_not_in_inbox",
      "returns_error_when_box_valid_request_but_not_in_inbox",
      "returns_error_when_archive_valid_request_but_not_in_inbox",
      "returns_error_when_mute_valid_request_but_not_in_inbox",
    ),
  );

  story(
    "a query that makes no sense is refused",
    { alice: 1 },
    async ({ alice }) => {
      const archive = request({ form: { archive: "invalid" } });
      await refused(alice, archive, "bad-request", "field=archive", "value=invalid");
      await refused(alice, request({ page: { max: "NaN" } }), "bad-request", "bad-request");
    },
    suite("returns_error_when_archive_field_is_invalid", "returns_error_when_max_is_not_a_number"),
  );

  for (const asked of QUERIES) {
    story(
      `an entry is marked as read (${JSON.stringify(asked)})`,
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        await writes(alice, bob, "Hi Bob");
        const entry = { from: alice, to: bob, body: "Hi Bob" };
        await hasInbox(bob, [{ ...entry, unread: 1 }]);
        await sets(bob, alice, { read: "true" }, asked);
        await hasInbox(bob, [{ ...entry, unread: 0 }]);
        await alice.receivesNothing();
      },
      suite(
        "queryid" in asked
          ? "read_unread_entry_set_to_read_queryid"
          : "id" in asked
            ? "read_unread_entry_set_to_read_iq_id_as_fallback"
            : "read_unread_entry_set_to_read",
      ),
    );
  }

  story(
    "a read entry is marked as unread",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAndIsRead(alice, bob, "Hi Bob");
      await hasInbox(bob, [{ unread: 0, from: alice, to: bob, body: "Hi Bob" }]);
      await sets(bob, alice, { read: "false" });
      await hasInbox(bob, [{ unread: 1, from: alice, to: bob, body: "Hi Bob" }]);
    },
    suite("read_read_entry_set_to_unread"),
  );

  story(
    "an unread entry that is marked as unread keeps its number",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writes(alice, bob, "Hi Bob");
      await writes(alice, bob, "Hi again Bob");
      await sets(bob, alice, { read: "false" });
      await hasInbox(bob, [{ unread: 2, from: alice, to: bob, body: "Hi again Bob" }]);
    },
    suite("read_unread_entry_with_two_messages_when_set_unread_then_unread_count_stays_in_two"),
  );

  describe.each(WAYS)("by $way", ({ archived, active, cases }) => {
    const inArchive = { form: archived };
    const inInbox = { form: active };

    story(
      "an entry goes into the archive",
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        await writesAndIsRead(alice, bob, "Hi Bob");
        const entry = { unread: 0, from: alice, to: bob, body: "Hi Bob" };
        await hasInbox(bob, [entry]);
        await sets(bob, alice, archived);
        await hasInbox(bob, [], inInbox);
        const [shown] = (await hasInbox(bob, [entry], inArchive)).entries;
        expect(shown).toMatchObject({ box: "archive", archive: "true" });
      },
      suite(...cases("active_entry_gets_archived")),
    );

    story(
      "an entry comes back from the archive when its owner wants it",
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        await writes(alice, bob, "Hi Bob");
        const entry = { unread: 1, from: alice, to: bob, body: "Hi Bob" };
        await sets(bob, alice, archived);
        // Still unread.
        await hasInbox(bob, [], inInbox);
        await hasInbox(bob, [entry], inArchive);
        await sets(bob, alice, active);
        await hasInbox(bob, [entry], inInbox);
        await hasInbox(bob, [], inArchive);
      },
      suite(...cases("archived_entry_gets_active_on_request", "active_unread_entry_gets_archived_and_still_unread")),
    );

    story(
      "a new message brings the entry of its receiver back",
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        await writes(alice, bob, "Hi Bob");
        await sets(bob, alice, archived);
        alice.says(`<message to="${bob.full}" type="chat" id="again"><body>Hi Bob</body></message>`);
        const x = `<x xmlns="${NS_CONVERSATION}" jid="${alice.bare}"><read>false</read><box>inbox</box><archive>false</archive><mute>0</mute></x>`;
        await bob.receives`<message id="again"/><message from="${bob.bare}" to="${bob.bare}">${x}</message>`;
        await hasInbox(bob, [{ unread: 2, from: alice, to: bob, body: "Hi Bob" }], inInbox);
        await hasInbox(bob, [], inArchive);
        await writes(alice, bob, "Nothing more is told");
        await bob.receivesNothing();
      },
      suite(...cases("archived_entry_gets_active_for_the_receiver_on_new_message")),
    );

    story(
      "a new message brings the entry of its sender back",
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        await writes(alice, bob, "Hi Bob");
        await sets(alice, bob, archived);
        await writes(alice, bob, "Hi Bob");
        const x = `<x xmlns="${NS_CONVERSATION}" jid="${bob.bare}"><read>true</read><box>inbox</box><archive>false</archive><mute>0</mute></x>`;
        await alice.receives`<message from="${alice.bare}">${x}</message>`;
        await hasInbox(alice, [], inArchive);
        await hasInbox(alice, [{ unread: 0, from: alice, to: bob, body: "Hi Bob" }], inInbox);
      },
      suite(...cases("archived_entry_gets_active_for_the_sender_on_new_message")),
    );

    for (const asked of [{}, { queryid: "q" }]) {
      story(
        `the whole archive (${JSON.stringify(asked)})`,
        { alice: 1, bob: 1, kate: 1, mike: 1 },
        async ({ alice, bob, kate, mike }) => {
          await hasInbox(alice, [], inArchive);
          const all = await writesToEach(alice, [bob, kate, mike]);
          await hasInbox(alice, all);
          for (const other of [bob, kate, mike]) await sets(alice, other, archived, asked);
          await hasInbox(alice, [], inInbox);
          await hasInbox(alice, all, inArchive);
        },
        suite(...cases("queryid" in asked ? "full_archive_can_be_fetched_queryid" : "full_archive_can_be_fetched")),
      );
    }
  });

  story(
    "the box is what counts where box and archive are said",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writes(alice, bob, "Hi Bob");
      await hasInbox(bob, [{ unread: 1, from: alice, to: bob, body: "Hi Bob" }], {
        form: { box: "inbox", archive: "true" },
      });
      await hasInbox(bob, [], { form: { box: "archive", archive: "false" } });
    },
    suite("box_and_archive_box_has_preference"),
  );

  story(
    "an entry goes into a box of the configuration, and stays there",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAndIsRead(alice, bob, "Hi Bob");
      const entry = { unread: 0, from: alice, to: bob, body: "Hi Bob" };
      await sets(bob, alice, { box: "other" });
      for (const box of ["archive", "inbox", "bin"]) await hasInbox(bob, [], { form: { box } });
      await hasInbox(bob, [entry], { form: { box: "other" } });
      await sets(alice, bob, { box: "other" });
      await writes(alice, bob, "Hi Bob again");
      await hasInbox(alice, [], { form: { box: "inbox" } });
      const again = { from: alice, to: bob, body: "Hi Bob again" };
      await hasInbox(alice, [{ ...again, unread: 0 }], { form: { box: "other" } });
      await hasInbox(alice, [{ ...again, unread: 0 }], { form: { box: "all", hidden_read: "false" } });
      await hasInbox(bob, [{ ...again, unread: 1 }], { form: { box: "other" } });
      await sets(bob, alice, { box: "inbox" });
      await hasInbox(bob, [{ ...again, unread: 1 }], { form: { box: "inbox" } });
      await hasInbox(bob, [], { form: { box: "archive" } });
    },
    suite(
      "box_move_to_other_works_successfully",
      "box_other_entry_does_not_get_unarchived",
      "box_other_does_get_fetched",
    ),
  );

  story(
    "all boxes at once",
    { alice: 1, bob: 1, kate: 1, mike: 1 },
    async ({ alice, bob, kate, mike }) => {
      const all = await writesToEach(alice, [bob, kate, mike]);
      await sets(alice, bob, { box: "archive" });
      await sets(alice, kate, { box: "other" });
      await hasInbox(alice, all, { form: { box: "all" } });
      await sets(alice, mike, { box: "bin" });
      await hasInbox(alice, all, { form: { box: "all" } });
      await hasInbox(alice, all.slice(1));
    },
    { covers: ["inbox_extensions_SUITE:box_all_full_fetch"] },
  );

  const muteOf = async (client: Client): Promise<number> => {
    const [{ mute }] = (await inboxOf(client)).entries;
    return mute === "0" ? 0 : Date.parse(mute);
  };

  story(
    "an entry is muted and unmuted",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAndIsRead(alice, bob, "Hi Bob");
      await sets(bob, alice, { mute: String(24 * HOUR) });
      await writes(alice, bob, "Hi Bob");
      expect(await muteOf(bob)).toBeGreaterThan(Date.now() + 23 * HOUR * 1000);
      expect((await inboxOf(bob)).unread).toBe(1);
      await sets(bob, alice, { mute: "0" });
      expect(await muteOf(bob)).toBe(0);
      expect((await inboxOf(bob)).unread).toBe(1);
    },
    suite("mute_unmuted_entry_gets_muted", "mute_muted_entry_gets_unmuted"),
  );

  story(
    "an entry is muted for a time, which can be made longer",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAndIsRead(alice, bob, "Hi Bob");
      await sets(bob, alice, { mute: "1" });
      await writes(alice, bob, "Hi Bob");
      await expect.poll(() => muteOf(bob), { timeout: 5000, interval: 250 }).toBe(0);
      await sets(bob, alice, { mute: String(HOUR) });
      await writesAndIsRead(alice, bob, "Hi Bob");
      await sets(bob, alice, { mute: String(24 * HOUR) });
      expect(await muteOf(bob)).toBeGreaterThan(Date.now() + 23 * HOUR * 1000);
    },
    { ...suite("mute_after_timestamp_gets_unmuted", "mute_muted_conv_restarts_timestamp"), slow: true },
  );

  story(
    "the form says what an entry has",
    { alice: 1 },
    async ({ alice }) => {
      alice.says(`<iq type="get" id="f"><query xmlns="${NS_CONVERSATION}"/></iq>`);
      const boxes = ["all", "inbox", "archive", "bin", "other"];
      expect(fieldsOf(await alice.receives`<iq type="result" id="f"/>`)).toEqual([
        { name: "FORM_TYPE", type: "hidden", value: NS_CONVERSATION, options: [] },
        { name: "archive", type: "boolean", value: "false", options: [] },
        { name: "read", type: "boolean", value: "false", options: [] },
        { name: "mute", type: "text-single", value: "0", options: [] },
        { name: "box", type: "list-single", value: "all", options: boxes },
      ]);
    },
    suite("returns_valid_properties_form"),
  );

  story(
    "what an entry is like, with and without its message",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAndIsRead(alice, bob, "Hi Bob");
      const properties = "<read>true</read><box>inbox</box><archive>false</archive><mute>0</mute>";
      const query = (complete: string) => `<query xmlns="${NS_CONVERSATION}" jid="${alice.bare}"${complete}/>`;
      bob.says(`<iq type="get" id="p">${query("")}</iq>`);
      await bob.receives`<iq type="result" id="p"><query xmlns="${NS_CONVERSATION}">${properties}</query></iq>`;
      bob.says(`<iq type="get" id="c">${query(` complete="true"`)}</iq>`);
      const [entry] = childrenOf(await bob.receives`<iq type="result" id="c"/>`);
      const message = childOf(childOf(entry, "forwarded")!, "message")!;
      expect(textOf(childOf(message, "body")!)).toBe("Hi Bob");
      expect(childrenOf(entry).map((e) => e.name)).toEqual(["forwarded", "read", "box", "archive", "mute"]);
    },
    suite("properties_can_be_get", "properties_full_entry_can_be_get"),
  );

  for (const asked of [{}, { queryid: "q" }]) {
    story(
      `several changes at once (${JSON.stringify(asked)})`,
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        await writes(alice, bob, "Hi Bob");
        await sets(bob, alice, { archive: "true", read: "true", mute: String(24 * HOUR) }, asked);
        await hasInbox(bob, [], { form: { box: "inbox" } });
        const entry = { unread: 0, from: alice, to: bob, body: "Hi Bob" };
        const [{ mute }] = (await hasInbox(bob, [entry], { form: { box: "archive" } })).entries;
        expect(Date.parse(mute)).toBeGreaterThan(Date.now() + 23 * HOUR * 1000);
      },
      suite("queryid" in asked ? "properties_many_can_be_set_queryid" : "properties_many_can_be_set"),
    );
  }

  story(
    "changes leave the time of the last message",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writes(alice, bob, "Test");
      const [before] = (await inboxOf(bob)).entries;
      await sets(bob, alice, { read: "true", mute: String(24 * HOUR) });
      expect((await inboxOf(bob)).entries[0].stamp).toBe(before.stamp);
    },
    suite("timestamp_is_not_reset_with_setting_properties"),
  );

  story(
    "every client of the account is told of a change",
    { alice: 1, bob: 2 },
    async ({ alice, bob: [bob, phone] }) => {
      await writes(alice, bob, "Hi Bob");
      await sets(bob, alice, { box: "other" });
      await phone.skipsTo((e) => childOf(e, "x", NS_CONVERSATION) !== undefined);
      await alice.receivesNothing();
    },
  );

  story(
    "places that are none, and numbers of places, are refused",
    { alice: 1 },
    async ({ alice }) => {
      const jid = btoa(alice.bare);
      const page = (parts: Record<string, string>) => request({ form: { box: "inbox" }, page: parts });
      for (const place of [`${Date.now()}${jid}`, `-10/${jid}`, "1/", "/", `1/${btoa("a\u0000@b")}`]) {
        await refused(alice, page({ after: place }), "bad-request");
        await refused(alice, page({ before: place }), "bad-request");
      }
      await refused(alice, page({ index: "10" }), "feature-not-implemented");
      await refused(alice, page({ after: "", before: "" }), "bad-request");
    },
    suite("pagination_error_conditions"),
  );

  story(
    "a page bounds the times before the form does",
    { alice: 1, bob: 1, kate: 1, mike: 1 },
    async ({ alice, bob, kate, mike }) => {
      const [withMike, withKate, withBob] = await writesToEach(alice, [bob, kate, mike]);
      const form = { box: "inbox", start: withBob.after, end: withKate.after };
      await hasInbox(alice, [withKate], { form });
      await hasInbox(alice, [withKate, withBob], { form, page: { before: "" } });
      await hasInbox(alice, [withMike, withKate], { form, page: { after: "" } });
    },
    suite(
      "pagination_has_priority_over_form_before_overrides_start",
      "pagination_has_priority_over_form_after_overrides_end",
    ),
  );

  story(
    "page after page, in both directions and orders",
    { alice: 1, bob: 1, kate: 1, mike: 1 },
    async ({ alice, bob, kate, mike }) => {
      const all = await writesToEach(alice, [bob, kate, mike]);
      const [withMike, withKate, withBob] = all;
      const box = { box: "inbox" };
      const one = await hasInbox(alice, [withMike], { form: box, page: { max: "1" } });
      expect(one.first).toBe(one.last);
      const rest = await hasInbox(alice, [withKate, withBob], { form: box, page: { after: one.last!, max: "2" } });
      await hasInbox(alice, [], { form: box, page: { after: rest.last!, max: "2" } });
      await hasInbox(alice, [withMike], { form: box, page: { before: rest.first! } });
      const oldest = await hasInbox(alice, [withBob], { form: box, page: { max: "1", before: "" } });
      await hasInbox(alice, [withMike, withKate], { form: box, page: { before: oldest.first! } });
      await hasInbox(alice, [withKate], { form: box, page: { before: oldest.first!, max: "1" } });
      const asc = { ...box, order: "asc" };
      const first = await hasInbox(alice, [withBob], { form: asc, page: { max: "1" } });
      await hasInbox(alice, [withKate, withMike], { form: asc, page: { after: first.last! } });
      const newest = await hasInbox(alice, [withMike], { form: asc, page: { max: "1", before: "" } });
      await hasInbox(alice, [withBob, withKate], { form: asc, page: { before: newest.first! } });
    },
    suite("can_paginate_forwards", "can_paginate_backwards"),
  );

  story(
    "a query can be limited, also from a time on",
    { alice: 1, bob: 1, kate: 1, mike: 1 },
    async ({ alice, bob, kate, mike }) => {
      const [withMike, withKate, withBob] = await writesToEach(alice, [bob, kate, mike]);
      for (const expected of [[withMike], [withMike, withKate]]) {
        const asked = { form: { box: "inbox" }, page: { max: String(expected.length) } };
        const { first, last } = await hasInbox(alice, expected, asked);
        expect(first).toMatch(/^\d+\/.+/);
        expect(last).toMatch(/^\d+\/.+/);
      }
      const ahead = { form: { box: "inbox", end: withKate.after }, page: { max: "2" } };
      await hasInbox(alice, [withKate, withBob], ahead);
    },
    suite("max_queries_can_be_limited", "max_queries_can_fetch_ahead"),
  );
});

describe("the bin", () => {
  const inboxSuite = covering("inbox_SUITE");

  describe.each(["rdbms", "rdbms_async"])("backend = %s", (backend) => {
    const { story } = stage({ modules: { mod_inbox: { backend } } });
    story(
      "its owner empties it",
      { alice: 1, bob: 1, kate: 1 },
      async ({ alice, bob, kate }) => {
        await writesToEach(bob, [alice, kate]);
        await sets(bob, alice, { box: "bin" });
        await hasInbox(bob, [{ unread: 0, from: bob, to: kate, body: "Msg 2" }]);
        expect((await inboxOf(bob, { form: { box: "bin" } })).count).toBe(1);
        expect((await inboxOf(bob, { form: { box: "all" } })).count).toBe(2);
        for (const num of [1, 0]) {
          bob.says(`<iq type="set" id="e"><empty-bin xmlns="${NS_INBOX}"/></iq>`);
          await bob.receives`<iq type="result" id="e"><empty-bin xmlns="${NS_INBOX}"><num>${num}</num></empty-bin></iq>`;
        }
        expect((await inboxOf(bob, { form: { box: "bin" } })).count).toBe(0);
        expect((await inboxOf(bob, { form: { box: "all" } })).count).toBe(1);
        expect((await inboxOf(alice)).count).toBe(1);
      },
      inboxSuite("xmpp_bin_flush", "bin_is_not_included_by_default"),
    );
  });

  describe("that is emptied by itself", () => {
    const { story } = stage({ modules: { mod_inbox: { bin_ttl: 0, bin_clean_after: 0 } } });
    story(
      "what is old enough goes",
      { alice: 1, bob: 1 },
      async ({ alice, bob }) => {
        await writes(alice, bob, "Hi Bob");
        await sets(bob, alice, { box: "bin" });
        const left = async (form: Record<string, string>) => (await inboxOf(bob, { form })).count;
        await expect.poll(() => left({ box: "bin" }), { timeout: 6000, interval: 300 }).toBe(0);
        expect(await left({ box: "all" })).toBe(0);
        expect((await inboxOf(alice)).count).toBe(1);
      },
      { ...inboxSuite("timeout_cleaner_flush_all"), slow: true },
    );
  });
});
