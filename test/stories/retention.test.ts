// [retention] as an operator uses it: counted first, then deleted, of every kind and of one domain.
import { describe, expect } from "vitest";
import { asks, writes } from "../support/archive.ts";
import type { Face } from "../support/graphql.ts";
import { inboxOf, sets } from "../support/inbox.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const DAY_US = 86_400_000_000n;

/** Makes everything that is kept so many days older. */
async function ages(server: StoryServer, days: number): Promise<void> {
  const back = BigInt(days) * DAY_US;
  const kept = server.node.db("rdbms");
  await kept.execute("UPDATE mam_message SET id = id - ?", [back * 256n]);
  await kept.execute("UPDATE inbox SET timestamp = timestamp - ?", [back]);
  await server.db.execute("UPDATE offline_message SET timestamp = timestamp - ?", [back]);
}

const run = async (face: Face, args: Readonly<Record<string, unknown>>): Promise<string[]> => {
  const rows = (await face.calls("retention.run", args)).value as { domain: string; kind: string; count: number }[];
  return rows.map(({ domain, kind, count }) => `${domain} ${kind} ${count}`).toSorted();
};

describe("ages for all, and for one domain", () => {
  const { story } = stage({
    general: { hosts: ["localhost", "verona.example"] },
    modules: { mod_mam: { pm: {} }, mod_inbox: { bin_ttl: 300 }, mod_offline: {} },
    retention: {
      archive: 30,
      offline: 30,
      inbox_bin: 10,
      domains: [{ domain: "verona.example", archive: "infinity", inbox_bin: 90 }],
    },
  });

  story(
    "what is older goes, and nothing else",
    { alice: 1, bob: 1, carol: 0 },
    async ({ graphql, alice, bob, carol, actor, server, door }) => {
      const romeo = await (await actor("romeo", "verona.example")).logsIn(server.target(door));
      romeo.sends`<presence/>`;
      await romeo.receives`<presence/>`;
      for (const other of [bob, romeo]) {
        writes(alice, other, "old");
        await other.hears(`<message><body>old</body></message>`);
      }
      alice.sends`<message to="${carol.bare}" type="chat"><body>old</body></message>`;
      await alice.receivesNothing();
      await sets(bob, alice, { box: "bin" });
      await sets(romeo, alice, { box: "bin" });
      await ages(server, 40);
      writes(alice, bob, "new");
      await bob.hears(`<message><body>new</body></message>`);
      // The message has taken the conversation out of the bin.
      await sets(bob, alice, { box: "bin" });

      const due = (archive: number, offline: number) => [
        `localhost archive ${archive}`,
        "localhost inbox_bin 0",
        `localhost offline ${offline}`,
        "verona.example inbox_bin 0",
        "verona.example offline 0",
      ];
      // Hers to each of three, and those of Bob and Carol.
      for (const face of [graphql.admin, graphql.ctl]) {
        expect(await run(face, { dryRun: true })).toEqual(due(5, 1));
      }
      (await (await graphql.domainAdmin()).calls("retention.run", { domain: "localhost" })).isUnauthorized();
      expect(await run(graphql.admin, { domain: "verona.example" })).toEqual(due(5, 1).slice(3));
      expect(await run(graphql.ctl, { domain: "localhost" })).toEqual(due(5, 1).slice(0, 3));
      expect(await run(graphql.admin, {})).toEqual(due(0, 0));
      expect((await asks(bob)).bodies).toEqual(["new"]);
      expect((await asks(romeo)).bodies).toEqual(["old"]);

      await ages(server, 20);
      expect(await run(graphql.admin, { dryRun: true })).toContain("localhost inbox_bin 1");
      expect(await run(graphql.admin, {})).toContain("verona.example inbox_bin 0");
      expect((await inboxOf(bob, { form: { box: "bin" } })).entries).toEqual([]);
      expect((await inboxOf(romeo, { form: { box: "bin" } })).entries).toHaveLength(1);
      await ages(server, 40);
      expect(await run(graphql.admin, {})).toContain("verona.example inbox_bin 1");
    },
    { door: "tcp" },
  );
});
