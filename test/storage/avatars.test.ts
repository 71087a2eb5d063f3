// XEP-0398: two clients of an account set an avatar at once, and a request to the database takes its time: wherever that is,
// the vCard and the nodes end with one avatar, and that is the last that a subscriber hears of.
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { HeldStep } from "../support/held-step.ts";
import { childrenOf, textOf, type XElement } from "../support/match.ts";
import { item, Pubsub, publishing, wantsEvents } from "../support/pubsub.ts";
import { onEachServer } from "./server_each.ts";

const METADATA = "urn:xmpp:avatar:metadata";
const DATA = "urn:xmpp:avatar:data";
const OPEN = { access_model: "open", max_items: "1" };
/** How long somebody is waited for who may have to wait for the request that is held, in ms. */
const WAIT = 40;
/** Requests to the database at which one client can be stopped, at most. */
const MOST = 30;

const picture = (text: string) => {
  const bytes = Buffer.from(text);
  return { base64: bytes.toString("base64"), hash: createHash("sha1").update(bytes).digest("hex") };
};
type Picture = ReturnType<typeof picture>;

let ids = 0;

/** Sets the vCard; resolves when that is answered. */
async function byVcard(c: Client, { base64 }: Picture): Promise<void> {
  const id = `v${++ids}`;
  const photo = `<PHOTO><TYPE>image/png</TYPE><BINVAL>${base64}</BINVAL></PHOTO>`;
  c.says(`<iq type="set" id="${id}"><vCard xmlns="vcard-temp"><FN>Romeo</FN>${photo}</vCard></iq>`);
  await c.skipsTo((e) => e.name === "iq" && e.attrs["id"] === id);
}

/** Publishes data and metadata, one after the other as clients do. */
async function byPep(c: Client, { base64, hash }: Picture): Promise<void> {
  const publish = async (node: string, payload: string): Promise<void> => {
    const id = `p${++ids}`;
    const inside = publishing(node, item(hash, payload), OPEN);
    c.says(`<iq type="set" id="${id}"><pubsub xmlns="http://jabber.org/protocol/pubsub">${inside}</pubsub></iq>`);
    await c.skipsTo((e) => e.name === "iq" && e.attrs["id"] === id);
  };
  await publish(DATA, `<data xmlns="${DATA}">${base64}</data>`);
  const info = `<info id="${hash}" bytes="2" type="image/png"/>`;
  await publish(METADATA, `<metadata xmlns="${METADATA}">${info}</metadata>`);
}

function find(e: XElement, name: string): XElement | undefined {
  if (e.name === name) return e;
  for (const child of childrenOf(e)) {
    const found = find(child, name);
    if (found) return found;
  }
  return undefined;
}

const PAIRS = [
  ["by vCard", "by PEP", byVcard, byPep],
  ["by PEP", "by vCard", byPep, byVcard],
  ["by vCard", "by vCard", byVcard, byVcard],
  ["by PEP", "by PEP", byPep, byPep],
] as const;

const changes = {
  modules: { mod_caps: {}, mod_pubsub: { backend: "rdbms" }, mod_vcard: { backend: "rdbms" } },
};

onEachServer("two avatars at once", changes, (server) => {
  describe.each(PAIRS)("one %s, the other %s", (_one, _other, first, second) => {
    test("end as one", { timeout: 60_000 }, async () => {
      const wrong: string[] = [];
      let stopped = 0;
      for (let at = 0, held = true; held && at < MOST; at++) {
        const local = `romeo${++ids}`;
        await server().addAccount(local, "localhost", "secret");
        const login = async (resource: string): Promise<Client> => {
          const client = new Client({ local, domain: "localhost", password: "secret" }, { assertions: 0 });
          await client.logsIn(server().target("tcp"), resource);
          return client;
        };
        const laptop = await login("laptop");
        const phone = await login("phone");
        const desk = await login("desk");
        await wantsEvents(desk, METADATA);
        await byPep(laptop, picture("before"));
        await desk.settles();
        const step = new HeldStep(server().db, at);
        const done = first(laptop, picture(`first ${at}`));
        held = await Promise.race([step.come.then(() => true), done.then(() => false)]);
        if (held) stopped++;
        const other = second(phone, picture(`second ${at}`));
        await Promise.race([other, Bun.sleep(WAIT)]);
        step.go();
        await Promise.all([done, other]);
        await step.quiet();
        step.end();
        const heard = (await desk.settles()).flatMap((e) => find(e, "info") ?? []);
        const asked = new Pubsub(phone, phone.bare);
        await phone.settles();
        const metadata = find(await asked.gets("get", `<items node="${METADATA}" max_items="1"/>`), "info");
        const data = find(await asked.gets("get", `<items node="${DATA}" max_items="1"/>`), "item");
        phone.says(`<iq type="get" id="v"><vCard xmlns="vcard-temp"/></iq>`);
        const photo = find(await phone.hears(`<iq type="result" id="v"/>`), "BINVAL");
        const bytes = Buffer.from(photo ? textOf(photo) : "", "base64");
        const all = [metadata?.attrs["id"], data?.attrs["id"], createHash("sha1").update(bytes).digest("hex")];
        if (new Set([...all, heard.at(-1)?.attrs["id"]]).size > 1) {
          wrong.push(`request ${at}: ${all.join(" ")}; heard ${heard.map((e) => e.attrs["id"]).join(" ")}`);
        }
        for (const client of [laptop, phone, desk]) await client.leaves();
      }
      expect(stopped).toBeGreaterThan(2);
      expect(wrong).toEqual([]);
    });
  });
});
