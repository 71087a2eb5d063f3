// An anonymous account that ends is gone from the databases of other host types too, and from features that its own host
// type does not run: the next one of its name has nothing of it.
import { expect, vi } from "vitest";
import { freshNode, Pubsub } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const file = (database: string) => ({ rdbms: { default: { connection: { driver: "sqlite", database } } } });
const kept = { auth: { methods: ["internal"], password: { format: "plain" }, internal: {} } };

const PLAIN = { mod_presence: {}, mod_roster: {}, mod_disco: {} };
const NODES = { mod_pubsub: { backend: "rdbms" } };

const { story } = stage({
  general: { hosts: ["localhost", "b.example", "full.example"] },
  auth: { methods: ["anonymous"], anonymous: { protocol: "login_anon" }, internal: null, password: null },
  outgoing_pools: file("a.db"),
  modules: PLAIN,
  host_config: [
    { host: "b.example", ...kept, outgoing_pools: file("b.db"), modules: { ...PLAIN, ...NODES } },
    { host: "full.example", ...kept, modules: { ...PLAIN, ...NODES } },
  ],
});

for (const [title, domain] of [
  ["in the database of another host type", "b.example"],
  ["of a feature that its host type does not run", "full.example"],
] as const) {
  story(title, {}, async ({ account, server, door, stranger }) => {
    const owner = await (await (await account("owner", domain)).comes()).comesOnline();
    const [guest, other] = [stranger("guest"), stranger("other")];
    for (const anonymous of [guest, other]) await anonymous.logsIn(server.target(door));
    const own = new Pubsub(owner, owner.bare);
    const node = freshNode();
    await own.create(node, { access_model: "open", publish_model: "open" });
    await own.publish(node, "owners");
    await new Pubsub(guest, owner.bare).publish(node, "guests");
    await new Pubsub(other, owner.bare).publish(node, "others");
    await guest.leaves();
    await vi.waitFor(async () => expect(await own.items(node)).toEqual(["owners", "others"]));
    await other.leaves();
    await vi.waitFor(async () => expect(await own.items(node)).toEqual(["owners"]));
  });
}
