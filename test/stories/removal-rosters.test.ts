// Whoever gets the name of an account that is gone is shown nothing by those who were its contacts.
import { describe, expect, vi } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import { StorageError } from "../../core/storage/db.ts";
import type { Client } from "../support/client.ts";
import { Pubsub } from "../support/pubsub.ts";
import { type Scene, stage } from "../support/story.ts";

const file = (database: string) => ({ rdbms: { default: { connection: { driver: "sqlite", database } } } });

const { story } = stage({
  general: { hosts: ["localhost", "b.example"], host_types: ["dynamic"] },
  outgoing_pools: file("a.db"),
  modules: { mod_roster: { backend: "rdbms" }, mod_blocking: {}, mod_pubsub: {} },
  host_config: [{ host: "b.example", outgoing_pools: file("b.db") }],
});

type User = Pick<Client, "local" | "domain">;

/** What is between a user and the contacts in his roster. */
async function states({ server }: Scene, { local, domain }: User): Promise<string[]> {
  const db = server.node.db("rdbms", server.node.hostOf(domain)?.name);
  const rows = await db.query<{ jid: string; subscription: string }>(
    "SELECT jid, subscription FROM rosterusers WHERE server = ? AND username = ? ORDER BY jid",
    [domain, local],
  );
  return rows.map(({ jid, subscription }) => `${jid} ${subscription}`);
}

async function blocks(client: Client, jid: string, what: "block" | "unblock"): Promise<void> {
  client.says(`<iq type="set" id="${what}"><${what} xmlns="urn:xmpp:blocking"><item jid="${jid}"/></${what}></iq>`);
  await client.skipsTo((e) => e.attrs["id"] === what && e.attrs["type"] === "result");
}

async function seesNothing(next: Client, contact: Client): Promise<void> {
  await new Pubsub(next, contact.bare).refused("get", `<items node="friends"/>`, [
    "auth",
    "not-authorized",
    "presence-subscription-required",
  ]);
}

describe("an account", () => {
  story(
    "goes from the subscriptions of a contact who has blocked it: nothing of it is told, and all is open to nobody later",
    { romeo: 1, juliet: 1 },
    async (scene) => {
      const { romeo, juliet, befriend, server, another, door } = scene;
      await befriend(romeo, juliet);
      await new Pubsub(juliet, juliet.bare).create("friends");
      await blocks(juliet, romeo.bare, "block");
      expect(await states(scene, juliet)).toEqual([`${romeo.bare} B`]);
      await server.node.removeUser(parseBareJid(romeo.bare));
      expect(await states(scene, juliet)).toEqual([`${romeo.bare} N`]);
      const came = await juliet.settles();
      expect(came.filter((e) => e.name === "presence" && e.attrs["type"] !== "unavailable")).toEqual([]);
      expect(came.some((e) => e.name === "iq" && JSON.stringify(e).includes('"subscription":"none"'))).toBe(true);
      await blocks(juliet, romeo.bare, "unblock");
      await server.addAccount(romeo.local, romeo.domain, romeo.account.password);
      await seesNothing(await (await another(romeo).logsIn(server.target(door))).comesOnline(), juliet);
    },
  );

  story(
    "whose contact's roster cannot be changed keeps its own until it can: the next try knows whom it concerns",
    { romeo: 1 },
    async (scene) => {
      const { romeo, account, befriend, server } = scene;
      const juliet = await (await (await account("juliet", "b.example")).comes()).comesOnline();
      const mercutio = await (await (await account("mercutio")).comes()).comesOnline();
      for (const contact of [juliet, mercutio]) await befriend(romeo, contact);
      const db = server.node.db("rdbms", "b.example");
      const gone = vi.spyOn(db, "execute").mockRejectedValue(new StorageError("unavailable", "away"));
      const removal = () =>
        server.node.hostOf(romeo.domain)!.hooks.insist("remove_user", { jid: parseBareJid(romeo.bare) });
      try {
        await expect(removal()).rejects.toThrow("away");
      } finally {
        gone.mockRestore();
      }
      expect(await states(scene, romeo)).toEqual([`${juliet.bare} B`, `${mercutio.bare} B`].toSorted());
      expect(await states(scene, juliet)).toEqual([`${romeo.bare} B`]);
      expect(await states(scene, mercutio)).toEqual([`${romeo.bare} N`]);
      await removal();
      expect([...(await states(scene, romeo)), ...(await states(scene, juliet))]).toEqual([`${romeo.bare} N`]);
    },
    { logs: ["hook_failed"] },
  );
});

describe("a domain", () => {
  let made = 0;
  story(
    "goes from the subscriptions of contacts of others, those who have blocked it too",
    { juliet: 1, tybalt: 0 },
    async (scene) => {
      const { juliet, tybalt, server, befriend, account, another, door, graphql } = scene;
      const domain = `gone${++made}.example`;
      const add = async () =>
        void (await graphql.admin.calls("domain.addDomain", { domain, hostType: "dynamic" })).data;
      await add();
      const romeo = await (await (await account("romeo", domain)).comes()).comesOnline();
      const mercutio = await (await (await account("mercutio", "b.example")).comes()).comesOnline();
      for (const contact of [juliet, mercutio]) {
        await befriend(romeo, contact);
        await new Pubsub(contact, contact.bare).create("friends");
      }
      romeo.says(`<presence type="subscribe" to="${tybalt.bare}"/>`);
      await romeo.settles();
      expect(await states(scene, tybalt)).toEqual([`${romeo.bare} N`]);
      await blocks(juliet, domain, "block");
      await server.node.domains.remove(domain, "dynamic", true);
      for (const contact of [juliet, mercutio]) expect(await states(scene, contact)).toEqual([`${romeo.bare} N`]);
      expect(await states(scene, tybalt)).toEqual([]);
      await blocks(juliet, domain, "unblock");
      await add();
      await server.addAccount(romeo.local, romeo.domain, romeo.account.password);
      const next = await (await another(romeo).logsIn(server.target(door))).comesOnline();
      for (const contact of [juliet, mercutio]) await seesNothing(next, contact);
    },
  );
});
