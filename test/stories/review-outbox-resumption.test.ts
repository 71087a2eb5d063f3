// Streams that break, end or are taken over while much of what the client has sent waits for the archive.
import { describe, expect } from "vitest";
import { asks } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { HeldWrites } from "../support/held-writes.ts";
import { stage } from "../support/story.ts";

const NS_SM = "urn:xmpp:sm:3";
const modules = {
  modules: { mod_mam: { pm: {}, max_result_limit: 2000 }, mod_csi: null, mod_stream_management: { buffer_max: 5000 } },
};
const chat = (to: string, id: string | number) =>
  `<message xmlns="jabber:client" to="${to}" id="${id}" type="chat"><body>${id}</body></message>`;
const numbers = (n: number, from = 0): string[] => Array.from({ length: n }, (_, i) => String(i + from));

/** The ids of the next messages. */
async function ids(client: Client, count: number): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  while (found.length < count) {
    const e = await client.next();
    client.tally.assertions++;
    if (e.name === "message") found.push(e.attrs["id"]);
  }
  return found;
}

async function archived(client: Client): Promise<string[]> {
  const { bodies } = await asks(client, { rsm: "<max>2000</max>" });
  return [...bodies];
}

describe("a stream that is resumed", () => {
  const { story } = stage(modules);

  story(
    "while more waits than may loses nothing and sends nothing twice",
    { alice: 1, bob: 1 },
    async ({ alice, bob, another, server, door }) => {
      await alice.managesStream();
      const writes = HeldWrites.of(server);
      const all = numbers(700);
      for (const id of all) alice.sendsRaw(chat(bob.full, id));
      await writes.next();
      // What has come is what may wait.
      const [session] = server.node.sessionsOf({ text: alice.bare } as never) as unknown as [
        { outbox?: { full: boolean } },
      ];
      for (let i = 0; i < 200 && session.outbox?.full !== true; i++) await new Promise((r) => setTimeout(r, 10));
      expect(session.outbox?.full).toBe(true);
      await alice.breaks();
      const back = await another(alice).connects(server.target(door));
      await back.opens();
      await back.authenticates();
      back.sendsRaw(`<resume xmlns='${NS_SM}' previd='${alice.resumeId}' h='0'/>`);
      writes.open();
      const resumed = await back.skipsTo((e) => e.name === "resumed");
      const h = Number(resumed.attrs["h"]);
      expect(h).toBeGreaterThan(500);
      for (const id of all.slice(h)) back.sendsRaw(chat(bob.full, id));
      back.sendsRaw(`<r xmlns='${NS_SM}'/>`);
      expect(await ids(bob, 700)).toEqual(all);
      const a = await back.skipsTo((e) => e.name === "a");
      expect(a.attrs["h"]).toBe("700");
      expect(await archived(bob)).toEqual(all);
    },
  );
});

describe("a stream without management", () => {
  const { story } = stage(modules);

  story(
    "that is lost has delivered what came from it, once",
    { alice: 1, bob: 1, carol: 0 },
    async ({ alice, bob, carol, server }) => {
      const writes = HeldWrites.of(server);
      for (const id of numbers(300)) alice.sendsRaw(chat(bob.full, id));
      alice.sendsRaw(chat(carol.bare, "offline"));
      await writes.next();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await alice.breaks();
      writes.open();
      expect(await ids(bob, 300)).toEqual(numbers(300));
      const her = await carol.comes();
      her.sendsRaw("<presence xmlns='jabber:client'/>");
      expect(await ids(her, 1)).toEqual(["offline"]);
    },
  );
});

describe("a server that is stopped", () => {
  const { story } = stage(modules);

  story(
    "delivers or stores what was written, and loses none of it",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      const there = await bob.comes();
      await there.comesOnline();
      const writes = HeldWrites.of(server);
      for (const id of numbers(100)) alice.sendsRaw(chat(bob.bare, id));
      await writes.next();
      const again = server.restarts(modules);
      writes.open();
      await again;
      const back = await bob.comes();
      back.sendsRaw("<presence xmlns='jabber:client'/>");
      await back.settled();
      const came = (await back.settles()).filter((e) => e.name === "message").map((e) => e.attrs["id"]);
      expect(await archived(back)).toEqual(came);
      expect(came.length).toBeGreaterThan(0);
    },
  );
});

describe("an account that goes while its messages wait", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} }, mod_inbox: {} } });

  story("leaves nothing to whoever gets its name", { alice: 1, bob: 1 }, async ({ alice, bob, server }) => {
    const writes = HeldWrites.of(server);
    alice.sendsRaw(chat(bob.full, "1"));
    bob.sendsRaw(chat(alice.full, "2"));
    await writes.next();
    const { db } = server.node.hosts.get("localhost")!.modules.get("mod_mam")!.ctx.store as unknown as {
      db: { query(sql: string, params?: unknown[]): Promise<unknown[]> };
    };
    const going = server.node.removeUser(server.node.sessionsOf({ text: alice.bare } as never)[0].jid.bare);
    writes.open();
    expect(await going).toBe(true);
    expect(await ids(bob, 1)).toEqual(["1"]);
    await bob.settles();
    for (const [sql, params] of [
      ["SELECT id FROM mam_server_user WHERE user_name = ?", [alice.local]],
      ["SELECT luser FROM inbox WHERE luser = ?", [alice.local]],
      ["SELECT user_id FROM mam_message WHERE user_id NOT IN (SELECT id FROM mam_server_user)", []],
    ] as const) {
      expect(await db.query(sql, [...params])).toEqual([]);
    }
  });
});
