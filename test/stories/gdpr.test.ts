// Personal data of a user, feature by feature: what an administrator gets of it, and that nothing is left when the
// account is removed.
import { describe, expect } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Client } from "../support/client.ts";
import type { Graphql } from "../support/graphql.ts";
import { retrieved, whole } from "../support/personal.ts";
import { covering, type Scene, stage } from "../support/story.ts";

const covers = covering("gdpr_SUITE", { door: "tcp" });

type User = Pick<Client, "local" | "domain" | "bare">;

/** The rows of a table that is not empty; its columns are these. */
async function rowsOf(graphql: Graphql, user: User, name: string, columns: readonly string[]) {
  const table = (await retrieved(graphql.ctl, user))[name];
  expect(table?.columns).toEqual(columns);
  return table.rows;
}

/** Removes an account by operation: then a table of it, which there is for the features, has no rows. */
async function removes({ graphql, server }: Scene, user: User, name: string, columns: readonly string[]) {
  const { value } = await graphql.ctl.calls("account.removeUser", { user: user.bare });
  expect(value).toMatchObject({ message: expect.stringContaining("successfully unregister") });
  const jid = makeBare(user.local, user.domain);
  const tables = await whole(server.node.hostOf(user.domain)!.hooks.foldWhole("get_personal_data", [], { jid }));
  expect(tables.find((table) => table.name === name)).toEqual({ name, columns, rows: [] });
}

async function stores(c: Client, payload: string): Promise<void> {
  c.says(`<iq type="set" id="s">${payload}</iq>`);
  await c.skipsTo((e) => e.attrs["id"] === "s" && e.attrs["type"] === "result");
}
const fingerprint = (ns: string, text: string): string => `<fingerprint xmlns="${ns}">${text}</fingerprint>`;
const keepsPrivate = (c: Client, ns: string, text: string): Promise<void> =>
  stores(c, `<query xmlns="jabber:iq:private">${fingerprint(ns, text)}</query>`);

describe("mod_vcard", () => {
  const { story } = stage();
  const VCARD = ["jid", "vcard"];
  const card = `<vCard xmlns="vcard-temp"><FN>Romeo, "the" Montague</FN><N><FAMILY>Ecila</FAMILY></N></vCard>`;

  story(
    "the vCard as it was sent",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      await stores(romeo, card);
      const [[jid, vcard], ...more] = await rowsOf(graphql, romeo, "vcard", VCARD);
      expect([jid, more]).toEqual([romeo.bare, []]);
      expect(vcard).toContain('Romeo, "the" Montague');
      expect(vcard).toContain("Ecila");
    },
    covers("retrieve_vcard"),
  );

  story(
    "goes with the account",
    { romeo: 1 },
    async (scene) => {
      await stores(scene.romeo, card);
      await removes(scene, scene.romeo, "vcard", VCARD);
    },
    covers("remove_vcard"),
  );
});

describe("mod_roster", () => {
  const { story } = stage();
  const ROSTER = ["jid", "name", "subscription", "ask", "groups", "askmessage", "xs"];

  story(
    "the contacts",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend, graphql }) => {
      await befriend(romeo, juliet);
      const rows = await rowsOf(graphql, romeo, "roster", ROSTER);
      expect(rows.map(([jid, , subscription, ask]) => [jid, subscription, ask])).toEqual([
        [juliet.bare, "both", "none"],
      ]);
    },
    covers("retrieve_roster"),
  );

  story(
    "goes with the account, and who had it as a contact keeps it as one",
    { romeo: 1, juliet: 1 },
    async (scene) => {
      const { romeo, juliet, befriend, graphql } = scene;
      await befriend(romeo, juliet);
      await removes(scene, romeo, "roster", ROSTER);
      const rows = await rowsOf(graphql, juliet, "roster", ROSTER);
      expect(rows.map(([jid]) => jid)).toEqual([romeo.bare]);
    },
    covers("remove_roster"),
  );
});

describe("mod_offline", () => {
  const { story } = stage();
  const OFFLINE = ["timestamp", "from", "to", "packet"];

  story(
    "messages that wait",
    { romeo: 0, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse, graphql }) => {
      for (const [c, body] of [
        [juliet, "1Hey!"],
        [juliet, "2Here is Johnny!"],
        [nurse, "3Where is Johnny ?"],
      ] as const) {
        c.says(`<message to="${romeo.bare}" type="chat"><body>${body}</body></message>`);
        await c.settles();
      }
      const rows = await rowsOf(graphql, romeo, "offline", OFFLINE);
      expect(rows.map(([, from, to]) => [from, to])).toEqual([
        [juliet.full, romeo.bare],
        [juliet.full, romeo.bare],
        [nurse.full, romeo.bare],
      ]);
      for (const [i, [timestamp, , , packet]] of rows.entries()) {
        expect(Math.abs(Date.parse(timestamp) - Date.now())).toBeLessThan(60_000);
        expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/);
        expect(packet).toContain(`<body>${i + 1}`);
      }
    },
    covers("retrieve_offline"),
  );

  story(
    "go with the account",
    { romeo: 0, juliet: 1 },
    async (scene) => {
      const { romeo, juliet } = scene;
      for (const body of ["Hey!", "Here is Johnny!", "Where is Johnny ?"]) {
        juliet.says(`<message to="${romeo.bare}" type="chat"><body>${body}</body></message>`);
      }
      await juliet.settles();
      await removes(scene, romeo, "offline", OFFLINE);
    },
    covers("remove_offline"),
  );
});

describe("mod_private", () => {
  const { story } = stage();
  const PRIVATE = ["ns", "xml"];

  story(
    "an element with its namespace, and none of anybody else's",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, graphql }) => {
      await keepsPrivate(romeo, "romeo:gdpr:ns", "To be or not to be");
      await keepsPrivate(juliet, "juliet:gdpr:ns", "This is the winter of our discontent");
      expect(await rowsOf(graphql, romeo, "private", PRIVATE)).toEqual([
        ["romeo:gdpr:ns", expect.stringMatching(/^<fingerprint xmlns=['"]romeo:gdpr:ns['"]>To be or not to be</)],
      ]);
    },
    covers("retrieve_private_xml", "dont_retrieve_other_user_private_xml"),
  );

  story(
    "several elements; they all go with the account, and nobody else's do",
    { romeo: 1, juliet: 1 },
    async (scene) => {
      const { romeo, juliet, graphql } = scene;
      const texts = ["You do not talk about FIGHT CLUB.", "Only two guys to a fight.", "One fight at a time."];
      for (const [i, text] of texts.entries()) await keepsPrivate(romeo, `romeo:private:ns${i}`, text);
      await keepsPrivate(juliet, "juliet:private:ns", "This is the winter of our discontent");
      const rows = await rowsOf(graphql, romeo, "private", PRIVATE);
      expect(rows.map(([ns]) => ns)).toEqual(texts.map((_, i) => `romeo:private:ns${i}`));
      for (const [i, text] of texts.entries()) expect(rows[i][1]).toContain(text);
      await removes(scene, romeo, "private", PRIVATE);
      const [[ns, xml], ...more] = await rowsOf(graphql, juliet, "private", PRIVATE);
      expect([ns, more]).toEqual(["juliet:private:ns", []]);
      expect(xml).toContain("This is the winter of our discontent");
    },
    covers(
      "retrieve_multiple_private_xmls",
      "remove_private",
      "remove_multiple_private_xmls",
      "dont_remove_other_user_private_xml",
    ),
  );
});

describe("mod_mam", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} } } });
  const ARCHIVE = ["id", "from", "message"];

  /** Three messages; the rows that each of the two must have: the sender's JID, and what is in the message. */
  async function talk(romeo: Client, juliet: Client): Promise<readonly (readonly [Client, string])[]> {
    const said = [
      [romeo, "1some simple pm message"],
      [juliet, "2another simple pm message"],
      [romeo, "3third simple pm message"],
    ] as const;
    for (const [from, body] of said) {
      const to = from === romeo ? juliet : romeo;
      from.says(`<message to="${to.full}" type="chat"><body>${body}</body></message>`);
      await to.skipsTo((e) => e.name === "message");
    }
    return said;
  }
  const expected = (said: readonly (readonly [Client, string])[]) =>
    said.map(([from, body]) => [
      expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      from.full,
      expect.stringContaining(`<body>${body}</body>`),
    ]);

  story(
    "what one has said and heard",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, graphql }) => {
      const said = await talk(romeo, juliet);
      for (const user of [romeo, juliet]) {
        expect(await rowsOf(graphql, user, "mam_pm", ARCHIVE)).toEqual(expected(said));
      }
    },
    covers("retrieve_mam_pm"),
  );

  story(
    "goes with the account, and the other's archive stays",
    { romeo: 1, juliet: 1 },
    async (scene) => {
      const { romeo, juliet, graphql } = scene;
      const said = await talk(romeo, juliet);
      await removes(scene, romeo, "mam_pm", ARCHIVE);
      expect(await rowsOf(graphql, juliet, "mam_pm", ARCHIVE)).toEqual(expected(said));
    },
    covers("remove_mam_pm"),
  );
});

describe("features whose tables have the same name", () => {
  const { story } = stage({
    modules: { mod_caps: {}, mod_pubsub_old: { nodetree: "tree", plugins: ["flat", "push"] }, mod_pubsub: {} },
  });

  story(
    "each have a file",
    { romeo: 1 },
    async ({ romeo, graphql }) => {
      const ns = "http://jabber.org/protocol/pubsub";
      for (const [to, node] of [
        ["pubsub.localhost", "flat"],
        [romeo.bare, "urn:pep"],
      ]) {
        romeo.says(`<iq type="set" id="c" to="${to}"><pubsub xmlns="${ns}"><create node="${node}"/></pubsub></iq>`);
        await romeo.skipsTo((e) => e.attrs["id"] === "c" && e.attrs["type"] === "result");
      }
      const tables = await retrieved(graphql.admin, romeo);
      expect([tables["pubsub_nodes"], tables["pubsub_nodes-2"]]).toEqual(
        expect.arrayContaining([
          { columns: ["node_name", "type"], rows: [["flat", "flat"]] },
          { columns: ["node_id", "access_model"], rows: [["urn:pep", "presence"]] },
        ]),
      );
    },
    { door: "tcp" },
  );
});
