// Two clients publish to a node at once, and the database takes its time with the first: the last that a subscriber hears
// of is what the node has in the end.
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { holdNext } from "../support/held-call.ts";
import { childrenOf, type XElement } from "../support/match.ts";
import { item, NS_PUBSUB, Pubsub, publishing, wantsEvents } from "../support/pubsub.ts";
import { onEachServer } from "./server_each.ts";

const changes = { modules: { mod_caps: {}, mod_pubsub: { backend: "rdbms" }, mod_pubsub_old: { backend: "rdbms" } } };
const ids = (e: XElement): string[] => [
  ...(e.name === "item" ? [e.attrs["id"] ?? ""] : []),
  ...childrenOf(e).flatMap(ids),
];

onEachServer("two items at once", changes, (server) => {
  let accounts = 0;

  test.each(["an account", "the service"])("of %s: the last that is told is there", async (where) => {
    const local = `romeo${++accounts}`;
    await server().addAccount(local, "localhost", "secret");
    const login = async (resource: string): Promise<Client> => {
      const client = new Client({ local, domain: "localhost", password: "secret" }, { assertions: 0 });
      return client.logsIn(server().target("tcp"), resource);
    };
    const [laptop, phone, desk] = [await login("laptop"), await login("phone"), await login("desk")];
    const service = where === "an account" ? laptop.bare : "pubsub.localhost";
    const node = `urn:order:${accounts}`;
    await wantsEvents(desk, node);
    const own = new Pubsub(desk, service);
    await own.create(node, { max_items: "1", deliver_payloads: "true" });
    if (where === "the service") await own.subscribe(node, desk.full);
    await desk.settles();
    const publish = (c: Client, id: string): void =>
      c.says(
        `<iq type="set" id="${id}" to="${service}"><pubsub xmlns="${NS_PUBSUB}">${publishing(node, item(id))}</pubsub></iq>`,
      );
    const held = holdNext(server().db, "transaction");
    publish(laptop, "first");
    await held.come;
    publish(phone, "second");
    await Bun.sleep(50);
    held.go();
    for (const [client, id] of [
      [laptop, "first"],
      [phone, "second"],
    ] as const) {
      await client.skipsTo((e) => e.name === "iq" && e.attrs["id"] === id);
    }
    const told = (await desk.settles()).filter((e) => e.name === "message").flatMap(ids);
    expect(told).toHaveLength(2);
    expect(await own.items(node)).toEqual([told[1]]);
    for (const client of [laptop, phone, desk]) await client.leaves();
  });
});
