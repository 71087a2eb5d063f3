// What a sysadmin sees and changes while the server runs.
import { expect } from "vitest";
import { stage } from "../support/story.ts";

const { story } = stage();

story(
  "the log's level can be changed while the server runs",
  { romeo: 1 },
  async ({ romeo, another, server, door }) => {
    const ends = async () => {
      const before = server.logged.filter((line) => line.what === "stream_error").length;
      const c = await another(romeo).logsIn(server.target(door));
      c.sendsRaw("<nonsense xmlns='urn:x'/>");
      await c.receivesStreamError("unsupported-stanza-type");
      return server.logged.filter((line) => line.what === "stream_error").length - before;
    };
    server.log.level = "info";
    expect(await ends()).toBe(1);
    server.log.level = "error";
    expect(await ends()).toBe(0);
    server.log.level = "info";
    expect(await ends()).toBe(1);
  },
  { covers: [] },
);

story(
  "a listener without TLS warns at the start that passwords pass in clear",
  { romeo: 1 },
  async ({ romeo, server }) => {
    const warnings = server.logged.filter((line) => line.what === "plain_text_authentication_possible");
    expect(warnings).toHaveLength(1);
    expect(warnings[0].level).toBe("warning");
    expect(warnings[0]["port"]).toBeDefined();
    await romeo.receivesNothing();
  },
);

story("the start is logged, with the number of domains", { romeo: 1 }, async ({ romeo, server }) => {
  expect(server.logged).toContainEqual(
    expect.objectContaining({ level: "notice", what: "server_started", domains: 1 }),
  );
  await romeo.receivesNothing();
});

story("passwords never are in the log", { romeo: 1 }, async ({ romeo, another, server, door }) => {
  server.log.level = "debug";
  const c = await another(romeo).connects(server.target(door));
  await c.opens();
  await c.authenticates();
  server.log.level = "info";
  const text = JSON.stringify(server.logged);
  expect(text).not.toContain(romeo.account.password);
  expect(text).not.toContain(Buffer.from(`\0${romeo.local}\0${romeo.account.password}`).toString("base64"));
});
