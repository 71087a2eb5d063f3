// Many stanzas at once for a client that manages its stream; senders whose recipients do not read; the server's end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { moduleSchemas, startServer } from "../../cmd/server.ts";
import { parseConfig } from "../../core/config/index.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import { Client } from "../support/client.ts";
import { stage } from "../support/story.ts";

describe("stream management", () => {
  const { story } = stage();

  story(
    "XEP-0160: more stored messages than may wait for acknowledgement reach a client that acknowledges them",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      for (let i = 0; i < 250; i++)
        romeo.says(`<message to="${juliet.bare}" type="chat" id="m${i}"><body>x</body></message>`);
      await romeo.settled();
      const back = await juliet.comes();
      await back.managesStream();
      back.showsRequests = true;
      back.says("<presence/>");
      const got: string[] = [];
      let stanzas = 0;
      while (got.length < 250) {
        const e = await back.next();
        if (e.name === "r") back.sendsRaw(`<a xmlns='urn:xmpp:sm:3' h='${stanzas}'/>`);
        else {
          stanzas++;
          if (e.name === "message") got.push(e.attrs["id"] ?? "");
        }
      }
      expect(got).toEqual(Array.from({ length: 250 }, (_, i) => `m${i}`));
      back.tally.assertions++;
    },
    { door: "tcp" },
  );

  story(
    "XEP-0160: more stored messages than a slow client can read at once reach it all the same",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      const body = "x".repeat(60_000);
      for (let i = 0; i < 300; i++)
        romeo.says(`<message to="${juliet.bare}" type="chat" id="m${i}"><body>${body}</body></message>`);
      await romeo.settled();
      const back = await juliet.comes();
      back.says("<presence/>");
      back.wire.pause();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      back.wire.resume();
      for (let i = 0; i < 300; i++) await back.skipsTo((e) => e.attrs["id"] === `m${i}`);
      back.tally.assertions++;
    },
    { door: "tcp" },
  );

  story(
    "XEP-0198 §5: after a resumption h counts on from what <resumed/> told, whatever was held back before",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server }) => {
      await romeo.managesStream();
      juliet.wire.pause();
      const body = "x".repeat(60_000);
      let sent = 0;
      for (; sent < 120; sent++) romeo.says(`<message to="${juliet.full}"><body>${body}</body></message>`);
      await new Promise((resolve) => setTimeout(resolve, 500));
      await romeo.breaks();
      const back = await another(romeo).connects(server.target("tcp"));
      await back.opens();
      await back.authenticates();
      back.sendsRaw(`<resume xmlns='urn:xmpp:sm:3' h='0' previd='${romeo.resumeId}'/>`);
      const resumed = await back.next();
      expect(resumed.name).toBe("resumed");
      const h = Number(resumed.attrs["h"]);
      expect(h).toBeLessThan(sent);
      juliet.wire.cut();
      await new Promise((resolve) => setTimeout(resolve, 100));
      back.sends`<presence to="nobody@localhost"/>`;
      back.sendsRaw("<r xmlns='urn:xmpp:sm:3'/>");
      await back.receives`<a xmlns="urn:xmpp:sm:3" h="${h + 1}"/>`;
    },
    { door: "tcp" },
  );

  story(
    "a recipient that reads nothing for long is cut off, and its correspondents are acknowledged again",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await romeo.managesStream();
      juliet.wire.pause();
      const body = "x".repeat(60_000);
      for (let i = 0; i < 120; i++) romeo.says(`<message to="${juliet.full}"><body>${body}</body></message>`);
      await new Promise((resolve) => setTimeout(resolve, 16_500));
      romeo.sendsRaw("<r xmlns='urn:xmpp:sm:3'/>");
      await romeo.skipsTo((e) => e.name === "a" && e.attrs["h"] === "120");
      romeo.tally.assertions++;
    },
    { door: "tcp" },
  );
});

describe("a server that is stopped", () => {
  test("stores what its clients have not acknowledged before it ends", async () => {
    const stateDir = mkdtempSync(join(tmpdir(), "review-"));
    const text = `
[general]
  hosts = ["localhost"]
  default_server_domain = "localhost"
[[listen.c2s]]
  port = 0
  ip_address = "127.0.0.1"
[auth]
  methods = ["internal"]
  password.format = "plain"
  [auth.internal]
[modules.mod_offline]
[modules.mod_presence]
[modules.mod_stream_management]
`;
    const { config } = parseConfig(text, { file: "x", modules: moduleSchemas() });
    const log = new Log({ sink: new MemorySink(), level: "info", format: "json" });
    const start = () => startServer(config!, { stateDir }, log);
    const account = (local: string) => ({ local, domain: "localhost", password: "pw" });
    const client = (local: string) => new Client(account(local), { assertions: 0 });
    const first = await start();
    const target = { door: "tcp" as const, port: first.listeners.tcp[0].port };
    for (const local of ["romeo", "juliet"])
      await first.node.hostOf("localhost")!.auth.create(local, "localhost", "pw");
    const juliet = await client("juliet").logsIn(target, "x");
    await juliet.managesStream();
    juliet.says("<presence/>");
    await juliet.settled();
    const romeo = await client("romeo").logsIn(target, "x");
    for (let i = 0; i < 90; i++)
      romeo.says(`<message to="juliet@localhost" type="chat" id="m${i}"><body>x</body></message>`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await juliet.breaks();
    await first.close();
    const second = await start();
    try {
      const back = await client("juliet").logsIn({ door: "tcp", port: second.listeners.tcp[0].port }, "x");
      back.says("<presence/>");
      const got: string[] = [];
      while (got.length < 90) {
        const e = await back.next();
        if (e.name === "message") got.push(e.attrs["id"] ?? "");
      }
      expect(got).toEqual(Array.from({ length: 90 }, (_, i) => `m${i}`));
    } finally {
      await second.close();
      rmSync(stateDir, { recursive: true, force: true });
    }
  });
});
