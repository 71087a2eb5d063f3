// The messages that a broken stream leaves go to offline storage all at once. A database server answers on several
// connections, the later look-up or commit perhaps first; the messages come in their order all the same.
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { onEachServer } from "./server_each.ts";

const MESSAGES = 150;
const changes = {
  auth: { methods: ["rdbms"], internal: null, rdbms: {} },
  // Without it, each message asks whether there is such an account.
  modules: { mod_cache_users: null, mod_offline: { backend: "rdbms" } },
};

onEachServer("what a broken stream leaves", changes, (server) => {
  test("comes in the order in which it was sent", async () => {
    for (const local of ["alice", "bob"]) await server().addAccount(local, "localhost", "secret");
    const login = async (local: string): Promise<Client> => {
      const client = new Client({ local, domain: "localhost", password: "secret" }, { assertions: 0 });
      return client.logsIn(server().target("tcp"), "pc");
    };
    const alice = await login("alice");
    const first = await login("bob");
    await first.managesStream();
    first.says("<presence/>");
    await first.settles();
    await first.breaks();
    const ids = Array.from({ length: MESSAGES }, (_, i) => `m${i}`);
    for (const id of ids) alice.says(`<message to='bob@localhost' id='${id}' type='chat'><body>hi</body></message>`);
    await alice.settles();
    // The same resource: the broken stream is given up.
    const second = await login("bob");
    second.says("<presence/>");
    const came: string[] = [];
    await expect
      .poll(async () => {
        for (const e of await second.settles()) if (e.name === "message") came.push(e.attrs["id"]);
        return came.length;
      })
      .toBe(MESSAGES);
    expect(came).toEqual(ids);
    for (const client of [alice, second]) await client.leaves();
  });
});
