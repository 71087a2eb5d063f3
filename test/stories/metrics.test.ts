// MongooseIM's metrics, as Prometheus reads them, before and after what clients do.
import { describe, expect } from "vitest";
import { renderMetrics } from "../../core/node-metrics.ts";
import type { Client } from "../support/client.ts";
import { stage } from "../support/story.ts";
import { STORIES_DB } from "../support/story-database.ts";
import type { StoryServer } from "../support/story-server.ts";

const C2S = `{connection_type="c2s",host_type="localhost"}`;
const HOST = `{host_type="localhost"}`;

type Sample = `${string}`;
function read(server: StoryServer, sample: Sample): number {
  const line = renderMetrics(server.node)
    .split("\n")
    .find((l) => l.startsWith(`${sample} `));
  expect(line, `there is a sample ${sample}`).toBeDefined();
  return Number(line!.slice(sample.length + 1));
}

/** What samples grow by while `act` is done; the clients' other stanzas are done with before and after. */
async function growth(
  server: StoryServer,
  samples: readonly Sample[],
  act: () => Promise<unknown>,
): Promise<Record<Sample, number>> {
  const before = samples.map((sample) => read(server, sample));
  await act();
  return Object.fromEntries(samples.map((sample, i) => [sample, read(server, sample) - before[i]]));
}

const element = (direction: "in" | "out", what: string): Sample => `xmpp_element_${direction}_${what}${C2S}`;
const bytes = (direction: "in" | "out"): Sample => `xmpp_element_${direction}_byte_size_sum${C2S}`;

/** Checks how the counters of elements grow; of those not named the errors must not grow at all. */
async function elements(
  server: StoryServer,
  expected: Record<string, number>,
  act: () => Promise<unknown>,
): Promise<void> {
  const kinds = ["stanza", "message", "presence", "iq", "error", "message_error", "presence_error", "iq_error"];
  const all = (["in", "out"] as const).flatMap((d) =>
    kinds.map((kind) => [`${d} ${kind}`, element(d, `${kind}_count`)]),
  );
  const grown = await growth(server, [...all.map(([, sample]) => sample), bytes("in"), bytes("out")], act);
  const named = Object.fromEntries(all.map(([name, sample]) => [name, grown[sample]]));
  expect(named).toEqual({ ...Object.fromEntries(all.map(([name]) => [name, 0])), ...expected });
  expect(grown[bytes("in")]).toBeGreaterThan(0);
  expect(grown[bytes("out")]).toBeGreaterThan(0);
}

const counted = (suite: string, ...cases: string[]) => ({ covers: cases.map((name) => `${suite}:${name}`) });

describe("clients' streams", () => {
  const { story } = stage({ modules: { mod_offline: null } });

  story(
    "a log-in: features, authentication, resource, session, presence",
    {},
    async ({ actor, server, door }) => {
      const alice = await actor("alice");
      await elements(
        server,
        { "in stanza": 3, "in iq": 2, "in presence": 1, "out stanza": 3, "out iq": 2, "out presence": 1 },
        async () => {
          await alice.logsIn(server.target(door));
          alice.sends`<iq type="set" id="s"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`;
          await alice.receives`<iq id="s" type="result"/>`;
          alice.sends`<presence/>`;
          await alice.receives`<presence from="${alice.full}"/>`;
        },
      );
    },
    counted("metrics_c2s_SUITE", "login"),
  );

  story(
    "a message is one in and one out",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const body = "x".repeat(1000);
      await elements(server, { "in stanza": 1, "in message": 1, "out stanza": 1, "out message": 1 }, async () => {
        alice.sends`<message to="${bob.full}" type="chat"><body>${body}</body></message>`;
        await bob.receives`<message><body>${body}</body></message>`;
      });
      const sizes = [bytes("in"), bytes("out"), element("in", "byte_size_count"), element("out", "byte_size_count")];
      const grown = await growth(server, sizes, async () => {
        alice.sends`<message to="${bob.full}" type="chat"><body>${body}</body></message>`;
        await bob.receives`<message/>`;
      });
      const [inBytes, outBytes, inCount, outCount] = sizes.map((sample) => grown[sample]);
      expect([inCount, outCount]).toEqual([1, 1]);
      expect(inBytes).toBeGreaterThan(1000);
      expect(outBytes).toBeGreaterThan(inBytes);
    },
    counted("metrics_c2s_SUITE", "message"),
  );

  story(
    "a message for nobody is a message in and an error out",
    { alice: 1 },
    async ({ alice, stranger, server }) => {
      const to = stranger().bare;
      const expected = { "in stanza": 1, "in message": 1, "out stanza": 1, "out error": 1, "out message_error": 1 };
      await elements(server, expected, async () => {
        alice.sends`<message to="${to}" type="chat"><body>Hi!</body></message>`;
        await alice.receives`<message type="error"/>`;
      });
    },
    counted("metrics_c2s_SUITE", "message_error"),
  );

  story(
    "presence to somebody is one in and one out",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await elements(server, { "in stanza": 1, "in presence": 1, "out stanza": 1, "out presence": 1 }, async () => {
        alice.sends`<presence to="${bob.full}" type="unavailable"/>`;
        await bob.receives`<presence from="${alice.full}" type="unavailable"/>`;
      });
    },
    counted("metrics_c2s_SUITE", "presence"),
  );

  story(
    "presence of no known type is answered with an error",
    { alice: 1 },
    async ({ alice, server }) => {
      const expected = { "in stanza": 1, "in presence": 1, "out stanza": 1, "out error": 1, "out presence_error": 1 };
      await elements(server, expected, async () => {
        alice.sends`<presence type="unbelievable"/>`;
        await alice.receives`<presence type="error"><error type="modify"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`;
      });
    },
    counted("metrics_c2s_SUITE", "presence_error"),
  );

  story(
    "a request and its answer, and one that is refused",
    { alice: 1 },
    async ({ alice, server }) => {
      await elements(server, { "in stanza": 1, "in iq": 1, "out stanza": 1, "out iq": 1 }, async () => {
        alice.sends`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`;
        await alice.receives`<iq type="result" id="r"/>`;
      });
      const expected = { "in stanza": 1, "in iq": 1, "out stanza": 1, "out error": 1, "out iq_error": 1 };
      await elements(server, expected, async () => {
        alice.sends`<iq type="get" id="b"><query xmlns="bad-ns"/></iq>`;
        await alice.receives`<iq type="error" id="b"/>`;
      });
    },
    counted("metrics_c2s_SUITE", "iq", "iq_error"),
  );

  story(
    "a message for who is not there is bounced",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      const samples = [`sm_message_bounced_count${HOST}`, element("out", "message_error_count")] as const;
      const grown = await growth(server, samples, async () => {
        alice.sends`<message to="${bob.bare}" type="chat"><body>Hi!</body></message>`;
        await alice.receives`<message type="error"/>`;
      });
      expect(Object.values(grown)).toEqual([1, 1]);
    },
    counted("metrics_c2s_SUITE", "message_bounced"),
  );

  story(
    "the certificate of a listener lasts for some days",
    { alice: 1 },
    async ({ alice, server }) => {
      await alice.settles();
      alice.tally.assertions++;
      const { port } = server.target("tcp", 1);
      expect(read(server, `tls_cert_remaining_days_count{listener_id="127.0.0.1@tcp/${port}"}`)).toBeGreaterThan(0);
    },
    counted("metrics_c2s_SUITE", "tls_cert_remaining_days"),
  );
});

describe("sessions", () => {
  const { story } = stage();
  const sessions = ["sm_session_logins", "sm_session_logouts", "sm_session_count"].map((name) => `${name}${HOST}`);
  const totals = ["sm_total_sessions_count", "sm_unique_sessions_count", "sm_node_sessions_count"];

  story(
    "log-ins and log-outs are counted",
    {},
    async ({ actor, server, door }) => {
      const clients = [await actor("alice"), await actor("bob")];
      const come = await growth(server, sessions, async () => {
        for (const client of clients) await client.logsIn(server.target(door));
      });
      expect(Object.values(come)).toEqual([2, 0, 2]);
      for (const client of clients) {
        const go = await growth(server, sessions, () => client.leaves());
        expect(Object.values(go)).toEqual([0, 1, -1]);
      }
    },
    counted("metrics_session_SUITE", "login_one", "login_many"),
  );

  story(
    "an authentication that failed is no log-in",
    {},
    async ({ actor, server, door }) => {
      const alice = await actor("alice");
      const samples = [`c2s_auth_failed_count${HOST}`, ...sessions];
      const grown = await growth(server, samples, async () => {
        await alice.connects(server.target(door));
        await alice.opens();
        const data = Buffer.from(`\0${alice.local}\0mazabe`).toString("base64");
        alice.sendsRaw(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">${data}</auth>`);
        await alice.receives`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`;
      });
      expect(Object.values(grown)).toEqual([1, 0, 0, 0]);
    },
    counted("metrics_session_SUITE", "auth_failed"),
  );

  story(
    "sessions in all, of different users, and on this node",
    {},
    async ({ actor, another, server, door }) => {
      const alice = await actor("alice");
      const bob = await actor("bob");
      const target = server.target(door);
      // Those of the stories before this one have ended when their ends are stored.
      await expect.poll(() => totals.map((sample) => read(server, sample))).toEqual([0, 0, 0]);
      const change = async (client: Client): Promise<number[]> =>
        Object.values(await growth(server, totals, () => client.logsIn(target)));
      expect(await change(alice)).toEqual([1, 1, 1]);
      expect(await change(another(alice))).toEqual([1, 0, 1]);
      expect(await change(bob)).toEqual([1, 1, 1]);
    },
    counted("metrics_session_SUITE", "session_global", "session_unique", "session_node"),
  );
});

describe("rosters", () => {
  const { story } = stage();
  const of = `mod_roster_${STORIES_DB === undefined ? "mnesia" : "rdbms"}`;
  const backend = (fn: string): Sample => `${of}_count{function="${fn}",host_type="localhost"}`;
  const subscriptions = (kind: string): Sample => `sm_presence_subscription_${kind}_count${HOST}`;

  story(
    "presence reads the lists of contacts, a request the roster",
    { alice: 0 },
    async ({ alice, server }) => {
      const c = await alice.comes();
      const time = `${of}_time_count{function="get_subscription_lists",host_type="localhost"}`;
      const lists = [backend("get_subscription_lists"), time];
      for (const n of Object.values(await growth(server, lists, () => c.comesOnline()))) expect(n).toBeGreaterThan(0);
      const grown = await growth(server, [backend("get_roster"), `mod_roster_get_count${HOST}`], async () => {
        c.sends`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`;
        await c.receives`<iq type="result" id="r"/>`;
      });
      expect(Object.values(grown)).toEqual([1, 1]);
    },
    counted("metrics_roster_SUITE", "get_roster"),
  );

  const add = (c: Client, contact: string): void =>
    c.says(
      `<iq type="set" id="add"><query xmlns="jabber:iq:roster"><item jid="${contact}" name="Bobby"><group>friends</group></item></query></iq>`,
    );

  story(
    "a contact that is added is a change, and a push to each session",
    { alice: 2, bob: 1 },
    async ({ alice: [one, two], bob, server }) => {
      for (const c of [one, two]) {
        c.sends`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`;
        await c.receives`<iq type="result" id="r"/>`;
      }
      const grown = await growth(server, [`mod_roster_set_count${HOST}`, `mod_roster_push_count${HOST}`], async () => {
        add(one, bob.bare);
        await one.receives`<iq type="set"/><iq type="result" id="add"/>`;
        await two.receives`<iq type="set"/>`;
      });
      expect(Object.values(grown)).toEqual([1, 2]);
    },
    counted("metrics_roster_SUITE", "add_contact", "roster_push"),
  );

  const asks = async (alice: Client, bob: Client): Promise<void> => {
    alice.sends`<presence to="${bob.bare}" type="subscribe"/>`;
    await bob.receives`<presence from="${alice.bare}" type="subscribe"/>`;
  };

  story(
    "subscriptions that are given and taken back",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await asks(alice, bob);
      const both = [subscriptions("subscription"), subscriptions("unsubscription")];
      const given = await growth(server, both, async () => {
        bob.sends`<presence to="${alice.bare}" type="subscribed"/>`;
        await alice.skipsTo((e) => e.name === "presence" && e.attrs["from"] === bob.full);
        await bob.settles();
      });
      expect(Object.values(given)).toEqual([1, 0]);
      const taken = await growth(server, both, async () => {
        alice.sends`<presence to="${bob.bare}" type="unsubscribe"/>`;
        await bob.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "unsubscribe");
        await alice.settles();
      });
      expect(Object.values(taken)).toEqual([0, 1]);
    },
    counted("metrics_roster_SUITE", "subscribe", "unsubscribe"),
  );

  story(
    "a subscription that is declined",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await asks(alice, bob);
      const grown = await growth(server, [subscriptions("unsubscription")], async () => {
        bob.sends`<presence to="${alice.bare}" type="unsubscribed"/>`;
        await alice.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "unsubscribed");
        await bob.settles();
      });
      expect(grown[subscriptions("unsubscription")]).toBe(1);
    },
    counted("metrics_roster_SUITE", "decline_subscription"),
  );
});

describe("WebSocket", () => {
  const { story } = stage();
  story(
    "bytes of the connection and of the elements, and the time of messages",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const samples = ["websocket_data_received_byte_size", "websocket_data_sent_byte_size", bytes("in"), bytes("out")];
      const times = [`c2s_message_processed_time_count${HOST}`, `c2s_message_processed_time_sum${HOST}`];
      // One message in 32 is timed.
      const grown = await growth(server, [...samples, ...times], async () => {
        for (let i = 0; i < 33; i++) {
          alice.sends`<message to="${bob.full}" type="chat"><body>Hi!</body></message>`;
          await bob.receives`<message><body>Hi!</body></message>`;
        }
        await alice.settles();
      });
      for (const [sample, n] of Object.entries(grown)) expect(n, sample).toBeGreaterThan(0);
    },
    { door: "websocket", ...counted("websockets_SUITE", "metrics_test") },
  );
});
