// Administrators who change what features keep, while clients are there who want to hear of it.
import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childrenOf, find, textOf, type XElement } from "../support/match.ts";
import { Pubsub, wantsEvents } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({
  modules: { mod_caps: {}, mod_pubsub: {}, mod_vcard: {}, mod_private: {}, mod_privacy: {}, mod_blocking: {} },
});
const NATIVE = "urn:xmpp:bookmarks:1";
const METADATA = "urn:xmpp:avatar:metadata";
const pause = () => new Promise((resolve) => setTimeout(resolve, 150));

async function came(c: Client): Promise<XElement[]> {
  await pause();
  return c.settles();
}
const items = (events: readonly XElement[]) =>
  events.filter((e) => e.name === "message").map((e) => `${e.attrs["from"]} ${find(e, "item")?.attrs["id"]}`);

story(
  "a subscription that an administrator makes brings presence and the newest items, as one of the users' own does",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, graphql }) => {
    await new Pubsub(romeo, romeo.bare).publish("urn:node", "1");
    await wantsEvents(juliet, "urn:node");
    await graphql.admin.calls("roster.setMutualSubscription", {
      userA: romeo.bare,
      userB: juliet.bare,
      action: "CONNECT",
    });
    const got = await came(juliet);
    expect(items(got)).toEqual([`${romeo.bare} 1`]);
    expect(got.filter((e) => e.name === "presence").map((e) => e.attrs["from"])).toContain(romeo.full);
    await romeo.settles();
    await graphql.admin.calls("roster.setMutualSubscription", {
      userA: romeo.bare,
      userB: juliet.bare,
      action: "DISCONNECT",
    });
    expect((await came(juliet)).some((e) => e.attrs["type"] === "unavailable")).toBe(true);
    await romeo.settles();
    await new Pubsub(romeo, romeo.bare).publish("urn:node", "2");
    await juliet.receivesNothing();
  },
);

story(
  "bookmarks and avatars that an administrator sets are the same in each form, and the user's clients hear of them",
  { romeo: 1 },
  async ({ romeo, graphql }) => {
    await wantsEvents(romeo, NATIVE, METADATA);
    const storage = `<storage xmlns='storage:bookmarks'><conference jid='room@muc.localhost' name='Room' autojoin='true'/></storage>`;
    await graphql.admin.calls("private.setPrivate", { user: romeo.bare, elementString: storage });
    expect(items(await came(romeo))).toEqual([`${romeo.bare} room@muc.localhost`]);
    expect(await new Pubsub(romeo, romeo.bare).items(NATIVE)).toEqual(["room@muc.localhost"]);
    const bytes = Buffer.from("a picture");
    const hash = createHash("sha1").update(bytes).digest("hex");
    const photo = [{ type: "image/png", binValue: bytes.toString("base64") }];
    await graphql.admin.calls("vcard.setVcard", {
      user: romeo.bare,
      vcard: { formattedName: "Romeo", nameComponents: {}, photo },
    });
    expect(items(await came(romeo))).toEqual([`${romeo.bare} ${hash}`]);
    romeo.says("<presence/>");
    expect(textOf(find(await romeo.hears(`<presence from="${romeo.full}"/>`), "photo")!)).toBe(hash);
  },
);

story(
  "presence that is set for a user is stamped and shown as his own",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, graphql, befriend }) => {
    await befriend(romeo, juliet);
    await graphql.admin.calls("session.setPresence", {
      user: romeo.full,
      type: "AVAILABLE",
      show: "AWAY",
      status: "<&>",
    });
    const [shown] = await came(juliet);
    expect(textOf(find(shown, "status")!)).toBe("<&>");
    expect(childrenOf(shown).length).toBeGreaterThan(0);
    await graphql.admin.calls("session.setPresence", { user: romeo.full, type: "UNAVAILABLE" });
    expect((await came(juliet)).map((e) => e.attrs["type"])).toEqual(["unavailable"]);
    juliet.tally.assertions++;
  },
);

story(
  "a presence sent for a user who is away takes nothing of what waits for him",
  { romeo: 0, juliet: 1 },
  async ({ romeo, juliet, graphql }) => {
    juliet.says(`<message to="${romeo.bare}" type="chat" id="m"><body>Hi</body></message>`);
    await juliet.settled();
    await graphql.admin.calls("stanza.sendStanza", { stanza: `<presence from='${romeo.bare}'/>` });
    await graphql.admin.calls("stanza.sendStanza", { stanza: `<presence from='${romeo.bare}' to='${romeo.bare}'/>` });
    await pause();
    const his = await romeo.comes();
    his.says("<presence/>");
    await his.skipsTo((e) => e.name === "message" && e.attrs["id"] === "m");
    juliet.tally.assertions++;
  },
);
