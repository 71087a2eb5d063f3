// The inbox beside what else is kept: the archive's ids, the export of personal data, removal; and after a restart.
import { describe, expect } from "vitest";
import { makeBare } from "../../core/jid.ts";
import { asks } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { hasInbox, inboxOf, sets, writes } from "../support/inbox.ts";
import { childrenOf } from "../support/match.ts";
import { retrieved, whole } from "../support/personal.ts";
import { covering, stage } from "../support/story.ts";

const gdpr = covering("gdpr_SUITE", { door: "tcp" });
const COLUMNS = ["jid", "content", "unread_count", "timestamp"];

describe.each(["rdbms", "rdbms_async"])("backend = %s", (backend) => {
  const inbox = { mod_inbox: { backend } };

  describe("with an archive", () => {
    const { story } = stage({ modules: { ...inbox, mod_mam: { pm: {} } } });

    /** Ids that an account has given the message of its only entry. */
    const idsIn = async (c: Client): Promise<string[]> => {
      const [{ message }] = (await inboxOf(c)).entries;
      const ids = childrenOf(message).filter((e) => e.name === "stanza-id" && e.attrs["by"] === c.bare);
      return ids.map((e) => e.attrs["id"]);
    };

    story(
      "the message of an entry has the id that its owner's archive has it by",
      { alice: 1, bob: 1 },
      async (cast) => {
        const { alice, bob } = cast;
        for (const body of ["Hello", "again"]) await writes(alice, bob, body);
        for (const who of [alice, bob]) {
          const { ids } = await asks(who);
          expect(ids).toHaveLength(2);
          expect(await idsIn(who)).toEqual([ids[1]]);
        }
        await hasInbox(bob, [{ unread: 2, from: alice, to: bob, body: "again" }]);
      },
    );
  });

  describe("personal data", () => {
    const { story } = stage({ modules: inbox });

    story(
      "are the conversations with their last messages",
      { alice: 1, bob: 1 },
      async ({ alice, bob, graphql }) => {
        await writes(bob, alice, "With spam?");
        await writes(bob, alice, "With ham, too?");
        for (const [who, other, unread] of [
          [alice, bob, "2"],
          [bob, alice, "0"],
        ] as const) {
          const { columns, rows } = (await retrieved(graphql.ctl, who))["inbox"];
          expect(columns).toEqual(COLUMNS);
          const content = expect.stringContaining("With ham, too?");
          expect(rows).toEqual([[other.bare, content, unread, expect.stringMatching(/^20.*Z$/)]]);
        }
      },
      gdpr("retrieve_inbox", "retrieve_inbox_for_multiple_messages"),
    );

    story(
      "go with the account; those whom it has talked to keep theirs",
      { alice: 1, bob: 1 },
      async ({ alice, bob, graphql, server }) => {
        await writes(bob, alice, "With spam?");
        await graphql.ctl.calls("account.removeUser", { user: alice.bare });
        const jid = makeBare(alice.local, alice.domain);
        const tables = await whole(server.node.hostOf("localhost")!.hooks.foldWhole("get_personal_data", [], { jid }));
        expect(tables.find(({ name }) => name === "inbox")).toEqual({ name: "inbox", columns: COLUMNS, rows: [] });
        const { rows } = (await retrieved(graphql.ctl, bob))["inbox"];
        expect(rows).toMatchObject([[alice.bare, expect.stringContaining("With spam?"), "0", expect.anything()]]);
      },
      gdpr("remove_inbox"),
    );
  });

  describe("a domain", () => {
    const { story } = stage({
      general: { hosts: ["localhost"], host_types: ["plain"] },
      services: { service_domain_db: {} },
      modules: { mod_inbox: { backend, delete_domain_limit: 1 } },
    });

    story(
      "takes all inboxes of its users along",
      { juliet: 1 },
      async ({ juliet, server, actor, door, another }) => {
        const domain = `${backend.replace("_", "")}.example`;
        await server.node.domains.add(domain, "plain");
        const target = server.target(door);
        const romeo = await (await actor("romeo", domain)).logsIn(target);
        const tybalt = await (await actor("tybalt", domain)).logsIn(target);
        for (const c of [romeo, tybalt]) await c.comesOnline();
        await writes(romeo, tybalt, "OH, HAI!");
        await writes(juliet, tybalt, "Hello");
        expect((await inboxOf(tybalt)).count).toBe(2);
        expect((await inboxOf(romeo)).count).toBe(1);
        await server.node.domains.remove(domain, "plain", true);
        await server.node.domains.add(domain, "plain");
        for (const who of [romeo, tybalt]) {
          await server.addAccount(who.local, domain, who.account.password);
          const fresh = await another(who).logsIn(target);
          expect(await inboxOf(fresh)).toMatchObject({ count: 0, unread: 0, active: 0 });
        }
        expect((await inboxOf(juliet)).count).toBe(1);
      },
      covering("domain_removal_SUITE", { door: "tcp" })("inbox_removal"),
    );
  });

  describe("a restart", () => {
    const changes = { modules: inbox };
    const { story } = stage(changes);

    story(
      "changes nothing",
      { alice: 1, bob: 1 },
      async ({ alice, bob, server, another, door }) => {
        for (const body of ["one", "two"]) await writes(alice, bob, body);
        await sets(bob, alice, { box: "archive" });
        await server.restarts(changes);
        const back = await another(bob).logsIn(server.target(door));
        const writer = await another(alice).logsIn(server.target(door));
        const entry = { from: alice.full, to: bob.full, body: "two" };
        await hasInbox(back, [{ ...entry, unread: 2 }], { form: { box: "archive" } });
        await hasInbox(writer, [{ ...entry, unread: 0 }]);
        await back.comesOnline();
        await writes(writer, back, "three");
        // It is told, though this server has not seen how the entry went into the archive.
        await back.receives`<message from="${bob.bare}" to="${bob.bare}"/>`;
        await hasInbox(back, [{ unread: 3, from: writer, to: back, body: "three" }], { form: { box: "inbox" } });
      },
      { door: "tcp" },
    );
  });
});
