import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { parseBareJid, parseJid } from "../../../core/jid.ts";
import { defineModule } from "../../../core/module.ts";
import { StorageError } from "../../../core/storage/db.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modOfflineChatmarkers from "../../../modules/mod_offline_chatmarkers/index.ts";
import modSmartMarkers from "../../../modules/mod_smart_markers/index.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const MARKERS = "urn:xmpp:chat-markers:0";
const room = parseBareJid("garden@muclight.localhost");

/** A room as mod_muc and mod_muc_light will have them: juliet and romeo are in it. */
const members = new Set<string>();
const rooms = defineModule({
  name: "mod_rooms",
  xeps: [],
  config: z.strictObject({}),
  hooks: {
    can_access_room: (_acc, { room: asked, user }) =>
      asked.domain === room.domain ? members.has(user.text) : undefined,
  },
});

let server: FakeServer;
let romeo: FakeClient;
let juliet: FakeClient;
let eve: FakeClient;
async function start(config: Record<string, unknown> = {}): Promise<void> {
  server = new FakeServer({ users: ["romeo", "juliet", "eve"] });
  members.clear();
  for (const member of ["romeo@localhost", "juliet@localhost"]) members.add(member);
  await server.startModule(rooms);
  await server.startModule(modSmartMarkers, config);
  romeo = server.connect("romeo@localhost/orchard");
  juliet = server.connect("juliet@localhost/balcony");
  eve = server.connect("eve@localhost/wall");
}
beforeEach(() => start());

const rows = async () =>
  (
    await server.db.query<{ luser: string; to_jid: string; msg_id: string }>(
      "SELECT luser, to_jid, msg_id FROM smart_markers ORDER BY luser, to_jid",
    )
  ).map((r) => `${r.luser} ${r.to_jid} ${r.msg_id}`);
const inRoom = (id: string) =>
  `<message to='${room.text}' type='groupchat'><displayed xmlns='${MARKERS}' id='${id}'/></message>`;
const toJuliet = (id: string) => `<message to='juliet@localhost'><displayed xmlns='${MARKERS}' id='${id}'/></message>`;
const ask = (client: FakeClient, peer: string) =>
  client.sends(
    `<iq type='get' id='q' to='${client.jid.bare.text}'><query xmlns='esl:xmpp:smart-markers:0' peer='${peer}'/></iq>`,
  );
const heardIds = (client: FakeClient) =>
  client
    .received()
    .flatMap((text) => [...text.matchAll(/<marker from='(\w+)@localhost' id='(\w+)'/g)].map(([, f, i]) => `${f} ${i}`));

test("a marker that comes after the machine's clock was set back takes the place of the one before", async () => {
  await romeo.sends(toJuliet("m1"));
  server.setBy = -3_600_000;
  await romeo.sends(toJuliet("m2"));
  expect(await rows()).toEqual(["romeo juliet@localhost m2"]);
});

describe("rooms, by the hooks that room features handle", () => {
  test("a member's marker is kept, and told to members only", async () => {
    await romeo.sends(inRoom("r1"));
    await juliet.sends(inRoom("j1"));
    await eve.sends(inRoom("e1"));
    expect(await rows()).toEqual([`juliet ${room.text} j1`, `romeo ${room.text} r1`]);
    await ask(romeo, room.text);
    expect(heardIds(romeo).toSorted()).toEqual(["juliet j1", "romeo r1"]);
    await ask(eve, room.text);
    expect(eve.received()[0]).toContain("<forbidden");
  });

  test("with keep_private one's own marker is told only", async () => {
    await start({ keep_private: true });
    await romeo.sends(inRoom("r1"));
    await juliet.sends(inRoom("j1"));
    await ask(romeo, room.text);
    expect(heardIds(romeo)).toEqual(["romeo r1"]);
  });

  test("what goes to one occupant is no marker in the room", async () => {
    await romeo.sends(`<message to='${room.text}/juliet' type='chat'><displayed xmlns='${MARKERS}' id='p'/></message>`);
    expect(await rows()).toEqual([]);
  });

  test("groupchat to what is no room is not kept", async () => {
    await romeo.sends(
      `<message to='juliet@localhost' type='groupchat'><displayed xmlns='${MARKERS}' id='g'/></message>`,
    );
    expect(await rows()).toEqual([]);
  });

  test("who leaves takes his marker along, and a room that goes all of them", async () => {
    await romeo.sends(inRoom("r1"), toJuliet("1"));
    await juliet.sends(inRoom("j1"));
    const affiliations = [
      { jid: romeo.jid.bare, affiliation: "none" },
      { jid: juliet.jid.bare, affiliation: "owner" },
    ];
    await server.host.hooks.notify("room_new_affiliations", { room, affiliations });
    expect(await rows()).toEqual([`juliet ${room.text} j1`, "romeo juliet@localhost 1"]);
    await server.host.hooks.notify("forget_room", { room });
    expect(await rows()).toEqual(["romeo juliet@localhost 1"]);
  });

  test("markers of a room that wait for a member who is away", async () => {
    await server.startModule(modOfflineChatmarkers, { store_groupchat_messages: true });
    await romeo.sends(inRoom("r1"));
    const from = `from='${room.text}/romeo@localhost'`;
    const fanOut = viewText(
      `<message ${from} to='juliet@localhost' type='groupchat'><displayed xmlns='${MARKERS}' id='r1'/></message>`,
    );
    fanOut.from = parseJid(`${room.text}/romeo@localhost`);
    fanOut.to = juliet.jid.bare;
    const { hooks } = server.host;
    expect(await hooks.route(hooks.offlineGroupchat, fanOut)).toBeDefined();
    const [waiting] = await server.db.query("SELECT room FROM offline_markers");
    expect(waiting).toEqual({ room: room.text });
    await hooks.notify("resend_offline_messages", { session: juliet });
    expect(juliet.received().join()).toMatch(/type='groupchat'.*displayed.*id='r1'.*Offline Storage/);
    // One who was put out meanwhile gets nothing.
    await hooks.route(hooks.offlineGroupchat, fanOut);
    members.delete("juliet@localhost");
    await hooks.notify("resend_offline_messages", { session: juliet });
    expect(juliet.received()).toEqual([]);
  });
});

describe("backend rdbms_async", () => {
  beforeEach(() => start({ backend: "rdbms_async" }));

  test("writes after a while, many at once, the last of each", async () => {
    await romeo.sends(toJuliet("1"), toJuliet("2"), inRoom("r"));
    expect(await rows()).toEqual([]);
    server.clock.advance(1000);
    await server.settle();
    expect(await rows()).toEqual([`romeo ${room.text} r`, "romeo juliet@localhost 2"]);
  });

  test("is written when the feature stops", async () => {
    await romeo.sends(toJuliet("1"));
    const { def, ctx } = server.host.modules.get("mod_smart_markers")!;
    await def.stop?.(ctx);
    expect(await rows()).toEqual(["romeo juliet@localhost 1"]);
  });

  test("a question is answered with what is not written yet", async () => {
    await romeo.sends(toJuliet("1"));
    await ask(romeo, "juliet@localhost");
    expect(heardIds(romeo)).toEqual(["romeo 1"]);
  });

  test("what could not be written is written later, unless something newer came", async () => {
    await romeo.sends(toJuliet("1"), inRoom("r"));
    server.db.failing = true;
    server.clock.advance(1000);
    await server.settle();
    server.db.failing = false;
    await romeo.sends(toJuliet("2"));
    server.clock.advance(1000);
    await server.settle();
    expect(await rows()).toEqual([`romeo ${room.text} r`, "romeo juliet@localhost 2"]);
    expect(server.logged.join()).toContain("marker_write_failed");
  });

  test("one that the table cannot hold is dropped with a line in the log, and blocks nothing", async () => {
    const { db } = server;
    const { insertNew } = db;
    db.insertNew = async (table, row) => {
      if (row["msg_id"] === "unfit") throw new StorageError("constraint", "value too long");
      return insertNew.call(db, table, row);
    };
    await eve.sends(toJuliet("unfit"));
    await romeo.sends(toJuliet("1"));
    await ask(juliet, "romeo@localhost");
    expect(heardIds(juliet)).toEqual(["romeo 1"]);
    expect(server.logged.filter((line) => line.includes("marker_dropped"))).toEqual([
      expect.stringMatching(/value too long.*eve@localhost.*juliet@localhost/),
    ]);
    await romeo.sends(toJuliet("2"));
    server.clock.advance(1000);
    await server.settle();
    expect(await rows()).toEqual(["romeo juliet@localhost 2"]);
    expect(server.logged).toHaveLength(1);
  });

  test("a removed user's markers are not written after", async () => {
    await romeo.sends(toJuliet("1"));
    await server.host.hooks.notify("remove_user", { jid: romeo.jid.bare });
    server.clock.advance(1000);
    await server.settle();
    expect(await rows()).toEqual([]);
  });
});

test.each(["rdbms", "rdbms_async"])(
  "%s: of a user with a longer name than a column holds none is kept",
  async (backend) => {
    await start({ backend });
    const long = server.connect(`${"r".repeat(251)}@localhost/x`);
    const fits = server.connect(`${"r".repeat(250)}@localhost/x`);
    await long.sends(toJuliet("long"));
    expect(long.received()[0]).toContain("<policy-violation");
    expect(juliet.received()).toEqual([]);
    await fits.sends(toJuliet("1").replace("juliet@localhost", juliet.jid.text));
    expect(fits.received()).toEqual([]);
    expect(juliet.received()).toHaveLength(1);
    await ask(juliet, fits.jid.bare.text);
    expect(heardIds(juliet)).toEqual([`${fits.jid.local} 1`]);
    expect(server.logged).toEqual([]);
  },
);

test("a database that is away: the sender is told, and the marker does not go on", async () => {
  server.db.failing = true;
  await romeo.sends(toJuliet("1"));
  expect(romeo.received()[0]).toContain("<internal-server-error");
  expect(juliet.received()).toEqual([]);
});
