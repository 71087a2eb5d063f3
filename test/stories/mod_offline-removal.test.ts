// Messages for an account that goes while they are on their way, and comes again with another owner.
import { expect, vi } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Stanza } from "../../core/stanza.ts";
import { HeldWrites } from "../support/held-writes.ts";
import { stage } from "../support/story.ts";

const text = (to: string, id: string) => `<message to="${to}" id="${id}" type="chat"><body>${id}</body></message>`;
const refused = (id: string) =>
  `<message type="error" id="${id}"><error><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;

for (const cached of [true, false]) {
  const { story } = stage({ modules: { mod_offline: {}, mod_cache_users: cached ? {} : null } });

  story(
    `an account that is made anew gets nothing that was for the one before, ${cached ? "with" : "without"} mod_cache_users`,
    { romeo: 1, mercutio: 1, tybalt: 1 },
    async ({ romeo, mercutio, tybalt, account, server }) => {
      const juliet = await account("juliet");
      const jid = makeBare(juliet.local, juliet.domain);
      const { auth, hooks } = server.node.hostOf("localhost")!;
      tybalt.says(text(juliet.bare, "stored"));
      await tybalt.settled();

      // One is being written, and one waits in a feature that takes its time, when the account goes.
      const writes = HeldWrites.of(server, "offline_message", "mod_offline");
      romeo.says(text(juliet.bare, "written"));
      await writes.next();
      const come = Promise.withResolvers<void>();
      const slow = Promise.withResolvers<void>();
      const wait = (stanza: Stanza): Promise<undefined> | undefined => {
        if (stanza.id !== "waiting") return undefined;
        come.resolve();
        return slow.promise.then(() => undefined);
      };
      hooks.add("slow", { offline_message: { at: 20, run: wait } }, {});
      mercutio.says(text(juliet.bare, "waiting"));
      await come.promise;

      const removed = server.node.removeUser(jid);
      await Bun.sleep(50);
      expect(await auth.create(jid.local, jid.domain, juliet.account.password)).toBe("exists");
      writes.open();
      expect(await removed).toBe(true);
      tybalt.says(text(juliet.bare, "for nobody"));
      await tybalt.hears(refused("for nobody"));

      const create = () => auth.create(jid.local, jid.domain, juliet.account.password);
      expect(await create()).toBe("exists");
      slow.resolve();
      await vi.waitUntil(async () => (await create()) === "ok");
      await mercutio.settled();
      hooks.remove("slow");
      mercutio.says(text(juliet.bare, "new"));
      await mercutio.settled();
      const next = await juliet.comes();
      next.says("<presence/>");
      const messages = (await next.settles()).filter(({ name }) => name === "message");
      expect(messages.map(({ attrs }) => attrs["id"])).toEqual(["new"]);
      // They were stored when they were sent.
      await romeo.receivesNothing();
      await mercutio.receivesNothing();
    },
  );
}
