// What a client is told of its archive: features (XEP-0313 §8), metadata (§5), and both at once with Bind 2 (XEP-0386).
import { describe, expect } from "vitest";
import { asks, NS_MAM, talk, writes } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, find } from "../support/match.ts";
import { arrives, authenticates, bind, NS_BIND2, SECURE_DOORS } from "../support/sasl2.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("mam_SUITE");
const NS_INFO = "http://jabber.org/protocol/disco#info";

async function featuresOf(client: Client, jid: string): Promise<string[]> {
  client.says(`<iq type="get" id="info" to="${jid}"><query xmlns="${NS_INFO}"/></iq>`);
  const answer = await client.hears('<iq type="result" id="info"/>');
  return childrenOf(childOf(answer, "query", NS_INFO)!)
    .filter((e) => e.name === "feature")
    .map((e) => e.attrs["var"]);
}
async function metadataOf(client: Client) {
  client.says(`<iq type="get" id="meta"><metadata xmlns="${NS_MAM}"/></iq>`);
  const answer = await client.hears('<iq type="result" id="meta"/>');
  return childrenOf(childOf(answer, "metadata", NS_MAM)!).map(({ name, attrs }) => ({ name, ...attrs }));
}

describe("an archive", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} } } });

  story(
    "is announced by the server and by the account, to who may use it",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      for (const jid of ["localhost", alice.bare]) {
        const features = await featuresOf(alice, jid);
        expect(features).toEqual(
          expect.arrayContaining([NS_MAM, "urn:xmpp:mam:1", `${NS_MAM}#extended`, `${NS_MAM}#groupchat-field`]),
        );
        expect(features).not.toContain(`${NS_MAM}#groupchat-available`);
        const retraction = ["urn:xmpp:message-retract:0", "urn:xmpp:message-retract:0#tombstone"];
        expect(features).toEqual(expect.arrayContaining(retraction));
      }
      alice.says(`<iq type="get" id="info" to="${bob.bare}"><query xmlns="${NS_INFO}"/></iq>`);
      await alice.receives`<iq type="error" id="info"><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
    },
    covers(
      "mam_service_discovery",
      "mam_service_discovery_to_client_bare_jid",
      "mam_service_discovery_to_different_client_bare_jid_results_in_error",
    ),
  );

  story(
    "tells its ends, or nothing when it is empty",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      expect(await metadataOf(alice)).toEqual([]);
      writes(alice, bob, "OH, HAI!");
      await bob.receives`<message><body>OH, HAI!</body></message>`;
      const [one] = (await asks(alice)).messages;
      const { id, stamp: timestamp } = one;
      expect(await metadataOf(alice)).toEqual([
        { name: "start", id, timestamp },
        { name: "end", id, timestamp },
      ]);
      await talk(alice, bob, 4);
      const last = (await asks(alice)).messages.at(-1)!;
      expect(await metadataOf(alice)).toEqual([
        { name: "start", id, timestamp },
        { name: "end", id: last.id, timestamp: last.stamp },
      ]);
    },
    covers("metadata_archive_request_empty", "metadata_archive_request_one_message", "metadata_archive_request"),
  );
});

describe("an archive with messages of rooms", () => {
  const { story } = stage({ modules: { mod_mam: { pm: { archive_groupchats: true } } } });
  story("says that they may be asked for", { alice: 1 }, async ({ alice }) => {
    const features = await featuresOf(alice, alice.bare);
    expect(features).toEqual(expect.arrayContaining([`${NS_MAM}#groupchat-field`, `${NS_MAM}#groupchat-available`]));
  });

  story(
    "has those that came from the room, once; what goes to one comes back from it",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      alice.says(`<message to="${bob.full}" type="groupchat" id="m"><body>all</body></message>`);
      await bob.receives`<message type="groupchat" id="m"><body>all</body></message>`;
      expect((await asks(bob)).bodies).toEqual(["all"]);
      expect((await asks(bob, { fields: { "include-groupchat": "false" } })).bodies).toEqual([]);
      expect((await asks(alice)).bodies).toEqual([]);
    },
  );
});

describe("no archive", () => {
  const { story } = stage({ modules: { mod_mam: {} } });
  story("is announced and asked where users have none", { alice: 1 }, async ({ alice }) => {
    expect((await featuresOf(alice, alice.bare)).filter((name) => name.startsWith("urn:xmpp:mam"))).toEqual([]);
    expect((await asks(alice)).error).toBe("cancel service-unavailable");
  });
});

describe("a session that begins with Bind 2", () => {
  const { story } = stage({ ...SECURE_DOORS, modules: { mod_mam: { user_prefs_store: "rdbms", pm: {} } } });

  story("XEP-0386 §2.2: is told that its archive is empty", {}, async ({ actor, server, door }) => {
    const romeo = await arrives(await actor("romeo"), server, door);
    const success = await authenticates(romeo, bind());
    const metadata = childOf(childOf(success, "bound", NS_BIND2)!, "metadata", NS_MAM)!;
    expect(childrenOf(metadata)).toEqual([]);
  });

  story(
    "XEP-0386 §2.2: is told what is in its archive, and has what waited for it from there",
    { juliet: 1 },
    async ({ juliet, actor, server, door, another }) => {
      const romeo = await arrives(await actor("romeo"), server, door);
      for (const n of [1, 2]) writes(juliet, romeo, `while you were away ${n}`);
      // Not in the archive: it has to come by itself.
      writes(juliet, romeo, "for your eyes only", '<no-permanent-store xmlns="urn:xmpp:hints"/>');
      await juliet.receivesNothing();
      const success = await authenticates(romeo, bind());
      const metadata = childOf(childOf(success, "bound", NS_BIND2)!, "metadata", NS_MAM)!;
      // What comes before the client is available is in its archive too, but it was not told so.
      writes(juliet, romeo, "in between");
      await juliet.receivesNothing();
      romeo.sendsRaw("<presence xmlns='jabber:client'/>");
      const came = await romeo.settles();
      const bodies = came.filter((e) => e.name === "message").map((e) => find(e, "body")?.children[0]);
      expect(bodies).toEqual(["for your eyes only", "in between"]);
      const all = await asks(romeo);
      expect(all.bodies).toEqual(["while you were away 1", "while you were away 2", "in between"]);
      expect(childrenOf(metadata).map(({ name, attrs }) => [name, attrs["id"]])).toEqual([
        ["start", all.ids[0]],
        ["end", all.ids[1]],
      ]);
      // They are gone from offline storage: the next client has them from the archive as well.
      await romeo.leaves();
      const next = await another(romeo).logsIn(server.target(door));
      await next.comesOnline();
      await next.receivesNothing();
    },
  );

  story("another way is sent what waited, as ever", { juliet: 1, romeo: 0 }, async ({ juliet, romeo }) => {
    writes(juliet, romeo, "while you were away");
    await juliet.receivesNothing();
    const client = await romeo.comes();
    client.sendsRaw("<presence xmlns='jabber:client'/>");
    await client.receives`<presence/><message><body>while you were away</body></message>`;
  });

  story("hears nothing before it is told", { juliet: 1 }, async ({ juliet, actor, server, door }) => {
    const romeo = await arrives(await actor("romeo"), server, door);
    const { store } = server.node.hosts.get("localhost")!.modules.get("mod_mam")!.ctx as {
      store: { pm: { backend: { bounds(owner: unknown): Promise<unknown> } } };
    };
    const { backend } = store.pm;
    // While the archive is asked, a message comes for the new session.
    const asked = backend.bounds.bind(backend);
    Object.assign(backend, {
      bounds: async (owner: unknown) => {
        const full = server.node.sessionsOf({ text: romeo.bare } as never)[0].jid.text;
        juliet.sends`<message to="${full}" type="chat"><body>early</body></message>`;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return asked(owner);
      },
    });
    try {
      await authenticates(romeo, bind());
    } finally {
      Object.assign(backend, { bounds: asked });
    }
    await romeo.receives`<message><body>early</body></message>`;
    expect((await asks(romeo)).bodies).toEqual(["early"]);
  });

  story(
    "begins all the same when the archive does not answer",
    {},
    async ({ actor, server, door }) => {
      const { store } = server.node.hosts.get("localhost")!.modules.get("mod_mam")!.ctx as {
        store: { pm: { backend: { bounds(owner: unknown): Promise<unknown> } } };
      };
      const { backend } = store.pm;
      const asked = backend.bounds.bind(backend);
      for (const answer of [() => Promise.reject(new Error("away")), () => new Promise(() => undefined)]) {
        const romeo = await arrives(await actor("romeo"), server, door);
        Object.assign(backend, { bounds: answer });
        try {
          const success = await authenticates(romeo, bind());
          expect(find(success, "metadata")).toBeUndefined();
        } finally {
          Object.assign(backend, { bounds: asked });
        }
        await romeo.receivesNothing();
      }
    },
    { logs: ["archive_lookup_failed"] },
  );
});
