// Archives that others have written: rows of MongooseIM, old and new, and rows that nobody can read.
import { describe, expect } from "vitest";
import { Atom, encodeTerm, Tuple } from "../../core/erlang/term.ts";
import type { Db } from "../../core/storage/db.ts";
import { asks } from "../support/archive.ts";
import { childOf } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const covers = covering("mam_SUITE");
const ID = (BigInt(Date.parse("2020-01-01T12:00:00Z")) * 1000n) << 8n;

/** Puts a row into the archive of a user, as MongooseIM does: from bob to him. */
async function store(server: StoryServer, user: string, message: Uint8Array): Promise<void> {
  const { db } = server.node.hosts.get("localhost")!.modules.get("mod_mam")!.ctx.store as { db: Db };
  await db.insertNew("mam_server_user", { server: "localhost", user_name: user });
  const [{ id }] = await db.query<{ id: number }>("SELECT id FROM mam_server_user WHERE user_name = ?", [user]);
  await db.insertNew("mam_message", {
    id: ID,
    user_id: id,
    from_jid: "bob/phone",
    remote_bare_jid: "bob",
    remote_resource: "phone",
    direction: "I",
    message,
    search_body: "",
    origin_id: null,
    is_groupchat: false,
  });
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** The term of an element as versions before 6.3 wrote it: attributes in a list. */
const oldTerm = (to: string): Uint8Array => {
  const pair = (name: string, value: string) => new Tuple([bytes(name), bytes(value)]);
  const text = new Tuple([new Atom("xmlcdata"), bytes("OH, HAI!")]);
  const body = new Tuple([new Atom("xmlel"), bytes("body"), [], [text]]);
  const attrs = [pair("to", to), pair("type", "chat")];
  return encodeTerm(new Tuple([new Atom("xmlel"), bytes("message"), attrs, [body]]), { compressed: true });
};

describe("a row in an archive", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} } } });

  story(
    "that an old MongooseIM has written is given as any other",
    { alice: 1 },
    async ({ alice, server }) => {
      await store(server, alice.local, oldTerm(alice.bare));
      const { messages } = await asks(alice, { queryid: "q1" });
      expect(messages).toMatchObject([{ queryid: "q1", body: "OH, HAI!", stamp: "2020-01-01T12:00:00.000000Z" }]);
      // It had no sender of its own: the archive knows him.
      expect(messages[0].message.attrs).toEqual({ from: "bob@localhost/phone", to: alice.bare, type: "chat" });
      expect((await asks(alice, { fields: { with: "bob@localhost" } })).bodies).toEqual(["OH, HAI!"]);
    },
    covers("easy_archive_request_old_xmlel_format"),
  );

  story(
    "that cannot be read is given as what it is, and takes no other with it",
    { alice: 1 },
    async ({ alice, server }) => {
      await store(server, alice.local, bytes("neither XML nor a term"));
      const { messages, error } = await asks(alice);
      expect(error).toBeUndefined();
      expect(messages).toHaveLength(1);
      const [{ message, body }] = messages;
      expect(message.attrs).toMatchObject({ type: "error" });
      expect(childOf(message, "error")).toBeDefined();
      expect(body).not.toBe("");
    },
    { ...covers("pm_failed_to_decode_message_in_database"), logs: ["archived_message_unreadable"] },
  );
});
