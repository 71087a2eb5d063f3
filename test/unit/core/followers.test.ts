import { describe, expect, test } from "vitest";
import { HookTable } from "../../../core/hooks.ts";
import { parseBareJid, parseFullJid, parseJid } from "../../../core/jid.ts";
import { Followers } from "../../../core/node-operations/followers.ts";
import { viewText } from "../../../core/xml/framer.ts";

const romeo = parseBareJid("romeo@localhost");
const makeHost = () => ({ hooks: new HookTable({ failed: () => {}, late: () => {}, after: () => () => {} }) });

function pass(host: ReturnType<typeof makeHost>, body: string, to = romeo.text, type = "chat"): void {
  const stanza = viewText(`<message type='${type}'><body>${body}</body></message>`);
  stanza.from = parseFullJid("juliet@localhost/balcony");
  stanza.to = parseJid(to);
  void host.hooks.route(host.hooks.filterLocal, stanza);
}

describe("who follows a user", () => {
  test("gets messages to the bare JID, in order, and no errors", async () => {
    const host = makeHost();
    const events = new Followers().follow(host, romeo);
    pass(host, "1");
    pass(host, "to a client", "romeo@localhost/garden");
    pass(host, "to somebody else", "mercutio@localhost");
    pass(host, "an error", romeo.text, "error");
    pass(host, "2", romeo.text, "normal");
    for (const n of [1, 2]) expect((await events.next())?.stanza).toContain(`<body>${n}</body>`);
    const waits = events.next();
    events.stop();
    expect(await waits).toBeUndefined();
    expect(host.hooks.filterLocal).toEqual([]);
  });

  test("and does not take what comes loses the subscription, not the server its memory", async () => {
    const host = makeHost();
    const events = new Followers().follow(host, romeo);
    const body = "x".repeat(100_000);
    for (let n = 0; n < 20; n++) pass(host, body);
    let got = 0;
    while ((await events.next()) !== undefined) got++;
    expect(got).toBe(10);
    expect(host.hooks.filterLocal).toEqual([]);
  });

  test("is one of twenty at most", () => {
    const host = makeHost();
    const followers = new Followers();
    const all = Array.from({ length: 20 }, () => followers.follow(host, romeo));
    expect(() => followers.follow(host, romeo)).toThrow("too many subscriptions");
    all[0].stop();
    followers.follow(host, romeo).stop();
    for (const one of all) one.stop();
    expect(host.hooks.filterLocal).toEqual([]);
  });

  test("is told of the end of the account and of the domain", async () => {
    for (const end of ["remove_user", "remove_domain"] as const) {
      const host = makeHost();
      const events = new Followers().follow(host, romeo);
      if (end === "remove_user") await host.hooks.notify(end, { jid: romeo });
      else await host.hooks.notify(end, { domain: "localhost" });
      expect(await events.next()).toBeUndefined();
      expect(host.hooks.filterLocal).toEqual([]);
    }
  });
});
