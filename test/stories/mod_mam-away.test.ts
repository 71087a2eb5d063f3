// What has to be archived goes nowhere while nobody can say whether, and for whom, it is to be archived.
import { describe, expect, vi } from "vitest";
import { StorageError } from "../../core/storage/db.ts";
import { asks } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const say = (to: string, id: string): string =>
  `<message to="${to}" type="chat" id="${id}"><body>${id}</body></message>`;

const refuses = (from: Client, id: string): Promise<unknown> =>
  from.hears(
    `<message type="error" id="${id}"><error type="wait"><internal-server-error xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
  );

describe("when the database goes away", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} }, mod_stream_management: {} } });

  story(
    "a client that has sent hundreds of messages is told of each, and keeps its stream",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await alice.managesStream();
      const db = server.node.db("rdbms");
      const { promise: away, reject } = Promise.withResolvers<never>();
      const spy = vi.spyOn(db, "insertMany").mockReturnValue(away);
      const sent = Array.from({ length: 300 }, (_, i) => `m${i}`);
      for (const id of sent) alice.says(say(bob.bare, id));
      await Bun.sleep(200);
      reject(new StorageError("unavailable", "The test has it fail"));
      for (const id of sent) await refuses(alice, id);
      spy.mockRestore();
      alice.says(say(bob.bare, "after"));
      await bob.hears(`<message id="after"/>`);
    },
    { logs: ["archive_write_failed"] },
  );
});

describe("while the database gives no answer to", () => {
  const { story } = stage({ modules: { mod_mam: { user_prefs_store: "rdbms", pm: {} } } });

  /** Has questions that name a table fail. */
  function fails(server: StoryServer, table: string): () => void {
    const db = server.node.db("rdbms");
    const { query } = Object.getPrototypeOf(db) as typeof db;
    const spy = vi.spyOn(db, "query").mockImplementation((sql, params) => {
      if (sql.includes(table)) return Promise.reject(new StorageError("unavailable", "The test has it fail"));
      return query.call(db, sql, params) as never;
    });
    return () => spy.mockRestore();
  }

  const logs = { logs: ["archive_write_failed"] };

  story(
    "what somebody wants archived",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const restore = fails(server, "mam_config");
      alice.says(say(bob.bare, "one"));
      await refuses(alice, "one");
      restore();
      alice.says(say(bob.bare, "two"));
      await bob.hears(`<message id="two"/>`);
      expect((await asks(alice)).bodies).toEqual(["two"]);
      expect((await asks(bob)).bodies).toEqual(["two"]);
    },
    logs,
  );

  story(
    "whether there is such an account",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      const there = server.node.hostOf("localhost")!;
      const asked = vi.spyOn(there.auth, "exists").mockRejectedValueOnce(new StorageError("unavailable", "The test"));
      const cached = vi.spyOn(there.accountCache!, "has").mockReturnValue(false);
      alice.says(say(bob.bare, "one"));
      await refuses(alice, "one");
      for (const mock of [asked, cached]) mock.mockRestore();
      const his = await bob.comes();
      his.sends`<presence/>`;
      await his.receives`<presence/>`;
      expect((await asks(his)).bodies).toEqual([]);
    },
    logs,
  );
});
