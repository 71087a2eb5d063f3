import { beforeEach, describe, expect, test } from "vitest";
import modPresence from "../../../modules/mod_presence/index.ts";
import modRoster from "../../../modules/mod_roster/index.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";
import { runner } from "./operations.ts";

let server: FakeServer;
let admin: (query: string) => Promise<unknown>;
let alice: (query: string) => Promise<unknown>;
let bob: FakeClient;

const ADD = `mutation { roster { addContact(user: "alice@localhost", contact: "bob@localhost", name: "Bob", groups: ["g"]) } }`;
const LIST = `{ roster { listContacts(user: "alice@localhost") { jid name groups subscription ask } } }`;

beforeEach(async () => {
  server = new FakeServer({ users: ["alice", "bob", "carol"] });
  const ctx = await server.startModule(modRoster);
  await server.startModule(modPresence);
  admin = runner(server, modRoster, ctx).run;
  alice = runner(server, modRoster, ctx, "alice@localhost").run;
  bob = server.connect("bob@localhost/r");
  await bob.sends("<presence/>");
  bob.received();
});

describe("roster operations of administrators", () => {
  test("addContact adds, listContacts and getContact show", async () => {
    expect(await admin(ADD)).toEqual({ roster: { addContact: "Contact added successfully" } });
    const contact = { jid: "bob@localhost", name: "Bob", groups: ["g"], subscription: "NONE", ask: "NONE" };
    expect(await admin(LIST)).toEqual({ roster: { listContacts: [contact] } });
    const get = `{ roster { getContact(user: "alice@localhost", contact: "bob@localhost") { name ask } } }`;
    expect(await admin(get)).toEqual({ roster: { getContact: { name: "Bob", ask: "NONE" } } });
  });

  test("a roster that has nothing is an empty list", async () => {
    expect(await admin(LIST)).toEqual({ roster: { listContacts: [] } });
  });

  test.each([
    [`mutation { roster { addContact(user: "alice@localhost", contact: "no@localhost") } }`, "user_not_exist"],
    [`mutation { roster { addContact(user: "no@localhost", contact: "bob@localhost") } }`, "user_not_exist"],
    [`mutation { roster { deleteContact(user: "alice@localhost", contact: "bob@localhost") } }`, "contact_not_found"],
    [`{ roster { getContact(user: "alice@localhost", contact: "bob@localhost") { jid } } }`, "contact_not_found"],
    [`{ roster { listContacts(user: "no@localhost") { jid } } }`, "user_not_exist"],
    [`{ roster { listContacts(user: "alice@unknown.domain") { jid } } }`, "unknown_domain"],
  ])("%s is refused as %s", async (query, code) => {
    expect(await admin(query)).toEqual([code]);
  });

  test("deleteContact removes", async () => {
    await admin(ADD);
    expect(
      await admin(`mutation { roster { deleteContact(user: "alice@localhost", contact: "bob@localhost") } }`),
    ).toEqual({ roster: { deleteContact: "Contact bob@localhost deleted successfully" } });
    expect(await admin(LIST)).toEqual({ roster: { listContacts: [] } });
  });

  test("subscription sends what the user would", async () => {
    expect(
      await admin(
        `mutation { roster { subscription(user: "alice@localhost", contact: "bob@localhost", action: INVITE) } }`,
      ),
    ).toEqual({ roster: { subscription: "Subscription stanza with type subscribe sent successfully" } });
    bob.hears("<presence from='alice@localhost' to='bob@localhost/r' type='subscribe'/>");
  });

  test("setMutualSubscription connects and disconnects", async () => {
    const mutual = (action: string) =>
      admin(
        `mutation { roster { setMutualSubscription(userA: "alice@localhost", userB: "bob@localhost", action: ${action}) } }`,
      );
    expect(await mutual("CONNECT")).toEqual({
      roster: {
        setMutualSubscription: "Subscription between users alice@localhost and bob@localhost created successfully",
      },
    });
    expect(await admin(LIST)).toMatchObject({ roster: { listContacts: [{ subscription: "BOTH", ask: "NONE" }] } });
    expect(await mutual("DISCONNECT")).toEqual({
      roster: { setMutualSubscription: "Mutual subscription removed successfully" },
    });
    expect(await server.db.query("SELECT * FROM rosterusers")).toEqual([]);
  });

  test("subscribeAllToAll makes every pair friends", async () => {
    const contacts = ["alice", "bob", "carol"].map((u) => `{jid: "${u}@localhost", name: "${u}"}`).join(" ");
    const done = (await admin(`mutation { roster { subscribeAllToAll(contacts: [${contacts}]) } }`)) as {
      roster: { subscribeAllToAll: string[] };
    };
    expect(done.roster.subscribeAllToAll).toHaveLength(3);
    const rows = await server.db.query("SELECT * FROM rosterusers WHERE subscription = 'B'");
    expect(rows).toHaveLength(6);
  });

  test("of several contacts those that can be are added, the others are errors", async () => {
    const contacts = `[{jid: "bob@localhost", name: "b"} {jid: "no@localhost", name: "n"}]`;
    expect(await admin(`mutation { roster { addContacts(user: "alice@localhost", contacts: ${contacts}) } }`)).toEqual([
      "user_not_exist",
    ]);
    expect(await admin(LIST)).toMatchObject({ roster: { listContacts: [{ name: "b" }] } });
  });
});

describe("roster operations of users", () => {
  test("are about the caller's own roster", async () => {
    await alice(`mutation { roster { addContact(contact: "bob@localhost", name: "Bob") } }`);
    expect(await alice("{ roster { listContacts { jid } } }")).toEqual({
      roster: { listContacts: [{ jid: "bob@localhost" }] },
    });
    expect(await alice(`mutation { roster { deleteContacts(contacts: ["bob@localhost"]) } }`)).toEqual({
      roster: { deleteContacts: ["Contact bob@localhost deleted successfully"] },
    });
  });

  test("subscription asks the contact", async () => {
    await alice(`mutation { roster { subscription(contact: "bob@localhost", action: INVITE) } }`);
    bob.hears("<presence from='alice@localhost' to='bob@localhost/r' type='subscribe'/>");
  });
});
