// XEP-0198: acknowledgements, and streams that outlive their connection.
import { describe, expect } from "vitest";
import { type Client, plain } from "../support/client.ts";
import { childOf, find, textOf, type XElement } from "../support/match.ts";
import { type Scene, stage } from "../support/story.ts";

const NS_SM = "urn:xmpp:sm:3";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const DELAY = `<delay xmlns="urn:xmpp:delay" from="localhost" stamp="{any}"/>`;

const failed = (condition: string): string => `<failed xmlns="${NS_SM}"><${condition} xmlns="${NS_STANZAS}"/></failed>`;
const chat = (to: string, body: string | number): string =>
  `<message to="${to}" type="chat" id="m${body}"><body>${body}</body></message>`;
const bodyOf = (e: XElement): string => textOf(find(e, "body")!);

/** Asks for the server's count of what `c` has sent. */
async function counts(c: Client, h: number): Promise<void> {
  c.sendsRaw(`<r xmlns="${NS_SM}"/>`);
  await c.hears(`<a xmlns="${NS_SM}" h="${h}"/>`);
}

/** A new connection of the same account, authenticated, that wants the stream of `lost` back. */
async function returns(
  lost: Client,
  { another, server, door }: Scene,
  { h = lost.received, previd = lost.resumeId, over = door } = {},
): Promise<Client> {
  const c = another(lost);
  c.received = h;
  await c.connects(server.target(over));
  await c.opens();
  await c.authenticates();
  c.sendsRaw(`<resume xmlns="${NS_SM}" previd="${previd}" h="${h}"/>`);
  return c;
}

async function resumes(lost: Client, scene: Scene, options: Parameters<typeof returns>[2] = {}): Promise<Client> {
  const c = await returns(lost, scene, options);
  await c.hears(`<resumed xmlns="${NS_SM}" h="{any}" previd="${lost.resumeId}"/>`);
  c.full = lost.full;
  c.managed = true;
  c.resumeId = lost.resumeId;
  return c;
}

/** `c` comes online and finds these messages waiting: bodies, each marked as delayed; and nothing else. */
async function findsWaiting(c: Client, bodies: readonly string[]): Promise<void> {
  c.sends`<presence/>`;
  const found: string[] = [];
  while (found.length < bodies.length) {
    const e = await c.next();
    if (e.name === "message")
      found.push(`${bodyOf(e)}${childOf(e, "delay", "urn:xmpp:delay") ? "" : " (not delayed)"}`);
  }
  expect(found).toEqual(bodies);
  expect((await c.settles()).filter((e) => e.name === "message")).toEqual([]);
}

const { story } = stage();

describe("enabling", () => {
  story(
    "XEP-0198 §3: the feature is announced after authentication",
    { romeo: 1 },
    async ({ romeo }) => {
      expect(childOf(romeo.features!, "sm", NS_SM)).toBeDefined();
      romeo.tally.assertions++;
    },
    { covers: ["sm_SUITE:server_announces_sm"] },
  );

  story(
    "XEP-0198 §3: without resume the stream is managed and has no id",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sendsRaw(`<enable xmlns="${NS_SM}"/>`);
      await romeo.receives`<enabled xmlns="${NS_SM}"/>`;
      await counts(romeo, 0);
    },
    { covers: ["sm_SUITE:server_enables_sm_after_session"] },
  );

  for (const value of ["true", "1"]) {
    story(
      `XEP-0198 §5: resume="${value}" gives an id and the seconds that the server will wait`,
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.sendsRaw(`<enable xmlns="${NS_SM}" resume="${value}"/>`);
        await romeo.receives`<enabled xmlns="${NS_SM}" id="{any}" max="600" resume="true"/>`;
      },
      { covers: ["sm_SUITE:server_enables_resumption"] },
    );
  }

  story(
    "XEP-0198 §3: <enable/> before authentication is an unexpected-request",
    {},
    async ({ stranger, server, door }) => {
      const c = await stranger().connects(server.target(door));
      await c.opens();
      c.sendsRaw(`<enable xmlns="${NS_SM}"/>`);
      await c.hears(failed("unexpected-request"));
    },
    { covers: ["sm_SUITE:server_returns_failed_after_start"] },
  );

  story(
    "XEP-0198 §3: <enable/> before binding is an unexpected-request, after it is not",
    {},
    async ({ actor, server, door }) => {
      const c = await (await actor("romeo")).connects(server.target(door));
      await c.opens();
      await c.authenticates();
      c.sendsRaw(`<enable xmlns="${NS_SM}"/>`);
      await c.hears(failed("unexpected-request"));
      await c.binds();
      await c.managesStream();
    },
    { covers: ["sm_SUITE:server_returns_failed_after_auth"] },
  );

  story(
    "XEP-0198 §3: a second <enable/> is an unexpected-request",
    { romeo: 1 },
    async ({ romeo }) => {
      await romeo.managesStream();
      romeo.sendsRaw(`<enable xmlns="${NS_SM}"/>`);
      await romeo.hears(failed("unexpected-request"));
    },
    { covers: ["sm_SUITE:client_enables_sm_twice_fails_with_correct_error_stanza"] },
  );

  story(
    "XEP-0198 §3: <r/> on a stream that is not managed is an unexpected-request",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sendsRaw(`<r xmlns="${NS_SM}"/>`);
      await romeo.hears(failed("unexpected-request"));
    },
  );

  story(
    "XEP-0198 §5: <resume/> on a stream that has a resource is an unexpected-request",
    { romeo: 2 },
    async ({ romeo: [laptop, phone] }) => {
      await laptop.managesStream();
      phone.sendsRaw(`<resume xmlns="${NS_SM}" previd="${laptop.resumeId}" h="0"/>`);
      await phone.hears(failed("unexpected-request"));
    },
  );
});

describe("counting", () => {
  story(
    "XEP-0198 §4: messages, presence and iq are counted, nothing else",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, door }) => {
      await romeo.managesStream();
      await counts(romeo, 0);
      romeo.says(chat(juliet.full, 1));
      await counts(romeo, 1);
      romeo.sends`<presence><show>away</show></presence>`;
      await romeo.skipsTo((e) => e.name === "presence");
      await counts(romeo, 2);
      romeo.sends`<iq type="get" id="1" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
      await romeo.receives`<iq type="result" id="1"/>`;
      await counts(romeo, 3);
      romeo.sendsRaw(`<a xmlns="${NS_SM}" h="1"/>`);
      romeo.sendsRaw(`<inactive xmlns="urn:xmpp:csi:0"/>`);
      romeo.sendsRaw(`<active xmlns="urn:xmpp:csi:0"/>`);
      if (door === "tcp") romeo.sendsRaw("  \n ");
      await counts(romeo, 3);
    },
    {
      covers: [
        "sm_SUITE:basic_ack",
        "sm_SUITE:h_ok_after_presence",
        "sm_SUITE:h_ok_after_iq",
        "sm_SUITE:h_ok_after_a_chat",
        "sm_SUITE:h_ok_after_non_xmpp_stanza",
        "sm_SUITE:h_ok_before_session",
        "sm_SUITE:h_ok_after_session_enabled_after_session",
      ],
    },
  );

  story("XEP-0198 §4: stanzas that are answered with an error are counted too", { romeo: 1 }, async ({ romeo }) => {
    await romeo.managesStream();
    romeo.sends`<message to="@@@" id="1"/>`;
    await romeo.receives`<message type="error" id="1"/>`;
    romeo.sends`<iq type="get" id="2"/>`;
    await romeo.receives`<iq type="error" id="2"/>`;
    romeo.sends`<message to="nobody@nowhere.example" id="3"/>`;
    await romeo.receives`<message type="error" id="3"/>`;
    await counts(romeo, 3);
  });

  story(
    "XEP-0198 §4: a message that is stored is counted when it is safe",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      await romeo.managesStream();
      for (let i = 1; i <= 20; i++) romeo.says(chat(juliet.bare, i));
      await counts(romeo, 20);
      await findsWaiting(
        await juliet.comes(),
        Array.from({ length: 20 }, (_, i) => `${i + 1}`),
      );
    },
  );

  story(
    "XEP-0198 §4: the server asks after each stanza (ack_freq = 1)",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await juliet.managesStream();
      juliet.showsRequests = true;
      for (const i of [1, 2]) {
        romeo.says(chat(juliet.full, i));
        await juliet.receives`<message id="m${i}"/>`;
        await juliet.receives`<r xmlns="${NS_SM}"/>`;
        juliet.sendsRaw(`<a xmlns="${NS_SM}" h="${i}"/>`);
      }
    },
    { covers: ["sm_SUITE:server_requests_ack", "sm_SUITE:server_requests_ack_after_session"] },
  );

  story(
    "XEP-0198 §4: who acknowledges more than was sent is told so, and the stream ends",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await juliet.managesStream();
      romeo.says(chat(juliet.full, 1));
      await juliet.receives`<message id="m1"/>`;
      juliet.sendsRaw(`<a xmlns="${NS_SM}" h="99"/>`);
      await juliet.receivesStreamError(
        "undefined-condition",
        `<handled-count-too-high xmlns="${NS_SM}" h="99" send-count="1"/>`,
      );
    },
    { covers: ["sm_SUITE:client_acks_more_than_sent"] },
  );

  for (const attribute of ["", ` h=""`, ` h="-1"`, ` h="many"`, ` h="4294967296"`]) {
    story(
      `XEP-0198 §4: <a${attribute}/> ends the stream`,
      { romeo: 1 },
      async ({ romeo }) => {
        await romeo.managesStream();
        romeo.sendsRaw(`<a xmlns="${NS_SM}"${attribute}/>`);
        const error = await romeo.next();
        expect(error.name).toBe("error");
        await romeo.receivesEnd();
      },
      { covers: ["sm_SUITE:h_non_given_closes_stream_gracefully"] },
    );
  }
});

describe("resuming", () => {
  story(
    "XEP-0198 §5: what was not acknowledged comes again, in order, and then what came meanwhile",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      for (const i of [1, 2, 3]) romeo.says(chat(juliet.full, i));
      for (const i of [1, 2, 3]) await juliet.receives`<message id="m${i}"/>`;
      await juliet.breaks();
      for (const i of [4, 5]) romeo.says(chat(juliet.bare, i));
      await romeo.receivesNothing();
      const back = await resumes(juliet, scene, { h: 1 });
      for (const i of [2, 3, 4, 5])
        await back.receives`<message id="m${i}" from="${romeo.full}"><body>${i}</body></message>`;
      romeo.says(chat(juliet.full, 6));
      await back.receives`<message id="m6"/>`;
      await back.receivesNothing();
    },
    {
      covers: [
        "sm_SUITE:resume_session",
        "sm_SUITE:resend_unacked_on_reconnection",
        "sm_SUITE:messages_are_properly_flushed_during_resumption",
        "sm_SUITE:resume_session_state_send_message_without_ack",
      ],
    },
  );

  story(
    "XEP-0198 §5: what was acknowledged does not come again",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      for (const i of [1, 2]) romeo.says(chat(juliet.full, i));
      for (const i of [1, 2]) await juliet.receives`<message id="m${i}"/>`;
      juliet.sendsRaw(`<a xmlns="${NS_SM}" h="2"/>`);
      await juliet.receivesNothing();
      await juliet.breaks();
      const back = await resumes(juliet, scene);
      await back.receivesNothing();
    },
    { covers: ["sm_SUITE:resume_session_state_send_message_with_ack"] },
  );

  story(
    "XEP-0198 §5: the counters go on, on both sides",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      for (const i of [1, 2]) juliet.says(chat(romeo.full, i));
      await counts(juliet, 2);
      await juliet.breaks();
      const back = await returns(juliet, scene);
      await back.hears(`<resumed xmlns="${NS_SM}" h="2" previd="${juliet.resumeId}"/>`);
      back.says(chat(romeo.full, 3));
      await counts(back, 3);
      await romeo.receives`<message id="m1" from="${juliet.full}"/>`;
      await romeo.receives`<message id="m2"/>`;
      await romeo.receives`<message id="m3" from="${juliet.full}"/>`;
    },
  );

  for (const [from, to] of [
    ["tcp", "websocket"],
    ["websocket", "tcp"],
  ] as const) {
    story(
      `XEP-0198 §5: a stream that was lost at the ${from} door can be resumed at the ${to} door`,
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, ...scene }) => {
        await juliet.managesStream();
        romeo.says(`<message to="${juliet.full}" id="m1" type="chat"><body>è &lt;1&gt; 🎭</body></message>`);
        await juliet.receives`<message id="m1"/>`;
        juliet.sends`<iq type="get" id="unread" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
        await juliet.receives`<iq id="unread"/>`;
        await juliet.breaks();
        romeo.says(chat(juliet.full, 2));
        await romeo.receivesNothing();
        const back = await resumes(juliet, scene, { over: to, h: 0 });
        await back.receives`<message id="m1" from="${romeo.full}"><body>è &lt;1&gt; 🎭</body></message>`;
        await back.receives`<iq id="unread" type="result"/>`;
        await back.receives`<message id="m2"/>`;
        back.says(chat(romeo.full, 3));
        await romeo.receives`<message id="m3" from="${juliet.full}"/>`;
      },
      { door: from },
    );
  }

  story(
    "XEP-0198 §5: the stream can be resumed while the old connection still lives; that one ends with a conflict",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      romeo.says(chat(juliet.full, 1));
      await juliet.receives`<message id="m1"/>`;
      const back = await resumes(juliet, scene);
      await juliet.receivesStreamError("conflict");
      await back.receivesNothing();
      romeo.says(chat(juliet.full, 2));
      await back.receives`<message id="m2"/>`;
    },
    {
      covers: [
        "sm_SUITE:resume_session_kills_old_C2S_gracefully",
        "sm_SUITE:session_resumed_then_old_session_is_closed_gracefully_with_correct_error_stanza",
        "sm_SUITE:session_resumed_and_old_session_dead_doesnt_route_error_to_new_session",
      ],
    },
  );

  story(
    "XEP-0198 §5: nobody else sees that a stream was lost and resumed",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend, ...scene }) => {
      await befriend(romeo, juliet);
      await juliet.managesStream();
      await juliet.breaks();
      await romeo.receivesNothing();
      const back = await resumes(juliet, { befriend, ...scene });
      await romeo.receivesNothing();
      back.sends`<presence><show>dnd</show></presence>`;
      await romeo.receives`<presence from="${juliet.full}"><show>dnd</show></presence>`;
    },
  );

  story(
    "XEP-0198 §5: presence that came meanwhile is waiting",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend, ...scene }) => {
      await befriend(romeo, juliet);
      await juliet.managesStream();
      await juliet.breaks();
      romeo.sends`<presence><show>xa</show></presence>`;
      await romeo.settles();
      const back = await resumes(juliet, { befriend, ...scene });
      await back.receives`<presence from="${romeo.full}"><show>xa</show></presence>`;
    },
  );

  story(
    "XEP-0198 §5: requests for subscription wait as well",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      await juliet.breaks();
      romeo.sends`<presence to="${juliet.bare}" type="subscribe"/>`;
      await romeo.skipsTo((e) => e.name === "iq");
      await romeo.settles();
      const back = await resumes(juliet, scene);
      await back.receives`<presence type="subscribe" from="${romeo.bare}"/>`;
      await back.receivesNothing();
    },
    { covers: ["sm_SUITE:subscription_requests_are_buffered_properly"] },
  );

  story(
    "XEP-0198 §5: a stream can be lost and resumed again and again",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      let at = juliet;
      for (let i = 1; i <= 4; i++) {
        await at.breaks();
        romeo.says(chat(juliet.full, i));
        await romeo.receivesNothing();
        const lost = at;
        at = await resumes(lost, scene);
        await at.hears(`<message id="m${i}"/>`);
      }
    },
  );

  story(
    "XEP-0280: carbons that were on stay on",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone], ...scene }) => {
      await phone.enables("carbons");
      await phone.managesStream();
      await phone.breaks();
      romeo.says(chat(laptop.full, 1));
      await laptop.receives`<message id="m1"/>`;
      const back = await resumes(phone, scene);
      expect(
        bodyOf(
          await back.receives`<message from="${laptop.bare}"><received xmlns="urn:xmpp:carbons:2">{any}</received></message>`,
        ),
      ).toBe("1");
      romeo.says(chat(laptop.full, 2));
      await back.receives`<message from="${laptop.bare}"><received xmlns="urn:xmpp:carbons:2">{any}</received></message>`;
    },
    { covers: ["sm_SUITE:carboncopy_works_after_resume"] },
  );

  story(
    "XEP-0352: what was held back for an inactive client comes when it resumes",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      juliet.sendsRaw(`<inactive xmlns="urn:xmpp:csi:0"/>`);
      await juliet.receivesNothing();
      romeo.says(chat(juliet.full, 1));
      await juliet.receivesNothing();
      await juliet.breaks();
      const back = await resumes(juliet, scene);
      await back.receives`<message id="m1"/>`;
    },
    { covers: ["xep_0352_csi_SUITE:alice_gets_buffered_messages_after_stream_resumption"] },
  );
});

describe("resuming in haste", () => {
  story(
    "XEP-0198 §5: header, log-in, header and <resume/> may be sent at once",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await juliet.managesStream();
      await juliet.breaks();
      romeo.says(chat(juliet.full, 1));
      await romeo.receivesNothing();
      const c = await another(juliet).connects(server.target(door));
      const resume = `<resume xmlns="${NS_SM}" previd="${juliet.resumeId}" h="0"/>`;
      if (door === "tcp") {
        const header =
          "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
        c.sendsRaw(`${header}${plain(c.local, c.account.password)}${header}${resume}`);
      } else {
        c.sendsHeader();
        c.sendsRaw(plain(c.local, c.account.password));
        c.sendsHeader();
        c.sendsRaw(resume);
      }
      await c.hears("<stream:features/>");
      await c.hears(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`);
      await c.hears("<stream:features/>");
      await c.hears(`<resumed xmlns="${NS_SM}" h="0" previd="${juliet.resumeId}"/>`);
      await c.hears(`<message id="m1" from="${romeo.full}"/>`);
    },
    { covers: ["sm_SUITE:aggressively_pipelined_resume", "sm_SUITE:aggressively_pipelined_resume_ws"] },
  );

  story(
    "RFC 6120 §8.2.3: an answer to what was asked before the loss reaches the asker",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      romeo.sends`<iq type="get" id="q" to="${juliet.full}"><query xmlns="urn:own"/></iq>`;
      await juliet.receives`<iq id="q"/>`;
      await juliet.breaks();
      const back = await resumes(juliet, scene, { h: 1 });
      back.sends`<iq type="result" id="q" to="${romeo.full}"/>`;
      await romeo.receives`<iq type="result" id="q" from="${juliet.full}"/>`;
    },
    { covers: ["sm_SUITE:replies_are_processed_by_resumed_session", "sm_SUITE:wait_for_resumption"] },
  );

  story(
    "RFC 6121 §4.5.2: contacts see a managed client go that closes its stream",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      await juliet.managesStream();
      await juliet.leaves();
      await romeo.receives`<presence type="unavailable" from="${juliet.full}"/>`;
      await romeo.receivesNothing();
    },
    { covers: ["sm_SUITE:user_with_sm_goes_offline_cleanly_sends_unavailable_presence"] },
  );

  story(
    "RFC 6120 §7.7.2.2: when a lost session is replaced, the account's other sessions see it go",
    { juliet: 2 },
    async ({ juliet: [laptop, phone], another, server, door }) => {
      await phone.managesStream();
      await phone.breaks();
      await laptop.receivesNothing();
      const again = await another(phone).logsIn(server.target(door), phone.resource);
      await laptop.receives`<presence type="unavailable" from="${phone.full}"/>`;
      again.sends`<presence/>`;
      await laptop.receives`<presence from="${again.full}" type="{none}"/>`;
    },
    { covers: ["sm_SUITE:user_with_sm_multiple_resources_session_replacement_notifies_other_resources"] },
  );

  story(
    "XEP-0280: a lost session's carbons wait with the rest",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone], ...scene }) => {
      for (const c of [laptop, phone]) await c.enables("carbons");
      await phone.managesStream();
      laptop.says(chat(romeo.full, 1));
      await romeo.receives`<message id="m1"/>`;
      await phone.receives`<message><sent xmlns="urn:xmpp:carbons:2">{any}</sent></message>`;
      await phone.breaks();
      romeo.says(chat(laptop.full, 2));
      await laptop.receives`<message id="m2"/>`;
      const back = await resumes(phone, scene);
      await back.receives`<message><received xmlns="urn:xmpp:carbons:2">{any}</received></message>`;
      await back.receivesNothing();
    },
    { covers: ["sm_SUITE:carboncopy_works"] },
  );
});

describe("resuming in vain", () => {
  story(
    "XEP-0198 §5: an unknown previd is item-not-found, and a resource can be bound instead",
    { romeo: 1 },
    async ({ romeo, ...scene }) => {
      const c = await returns(romeo, scene, { previd: "nope", h: 0 });
      await c.hears(failed("item-not-found"));
      await c.binds();
      await c.managesStream();
    },
    { covers: ["sm_SUITE:resume_session_with_wrong_sid_returns_item_not_found"] },
  );

  story(
    "XEP-0198 §9: another user's previd is as unknown, and his stream unharmed",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      await juliet.breaks();
      const thief = await returns(romeo, scene, { previd: juliet.resumeId, h: 0 });
      await thief.hears(failed("item-not-found"));
      await resumes(juliet, scene);
    },
  );

  story(
    "XEP-0198 §5: a stream that was closed politely cannot be resumed",
    { romeo: 1 },
    async ({ romeo, ...scene }) => {
      await romeo.managesStream();
      await romeo.leaves();
      const c = await returns(romeo, scene);
      await c.hears(failed("item-not-found"));
    },
    { covers: ["sm_SUITE:resume_dead_session_results_in_item_not_found"] },
  );

  story(
    "XEP-0198 §5: an id is good for one stream at a time: after the session is over it is unknown",
    { romeo: 1 },
    async ({ romeo, ...scene }) => {
      await romeo.managesStream();
      const back = await resumes(romeo, scene);
      await back.leaves();
      await (await returns(romeo, scene)).hears(failed("item-not-found"));
    },
  );

  story(
    "XEP-0198 §4: an h higher than what was sent ends the new stream, and leaks no session",
    { romeo: 1 },
    async ({ romeo, ...scene }) => {
      await romeo.managesStream();
      await romeo.breaks();
      const c = await returns(romeo, scene, { h: 30 });
      await c.receivesStreamError(
        "undefined-condition",
        `<handled-count-too-high xmlns="${NS_SM}" h="30" send-count="0"/>`,
      );
      await resumes(romeo, scene);
      expect(scene.server.node.sessionsOf({ text: romeo.bare } as never)).toHaveLength(1);
    },
    { covers: ["sm_SUITE:resume_session_with_wrong_h_does_not_leak_sessions"] },
  );

  for (const [what, attributes] of [
    ["no h", ""],
    ["an h that is no number", ` h="x"`],
  ]) {
    story(
      `XEP-0198 §5: <resume/> with ${what} is a bad-request`,
      { romeo: 1 },
      async ({ romeo, another, server, door }) => {
        await romeo.managesStream();
        await romeo.breaks();
        const c = await another(romeo).connects(server.target(door));
        await c.opens();
        await c.authenticates();
        c.sendsRaw(`<resume xmlns="${NS_SM}" previd="${romeo.resumeId}"${attributes}/>`);
        await c.hears(failed("bad-request"));
        await c.binds();
      },
    );
  }

  story(
    "XEP-0198 §5: <resume/> before authentication is an unexpected-request",
    { romeo: 1 },
    async ({ romeo, another, server, door }) => {
      await romeo.managesStream();
      await romeo.breaks();
      const c = await another(romeo).connects(server.target(door));
      await c.opens();
      c.sendsRaw(`<resume xmlns="${NS_SM}" previd="${romeo.resumeId}" h="0"/>`);
      await c.hears(failed("unexpected-request"));
    },
  );

  story(
    "XEP-0198 §5: who binds the same resource anew gives the old stream up",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, ...scene }) => {
      await juliet.managesStream();
      await juliet.breaks();
      romeo.says(chat(juliet.full, 1));
      await romeo.receivesNothing();
      const again = await another(juliet).logsIn(scene.server.target(scene.door), juliet.resource);
      await findsWaiting(again, ["1"]);
      await (await returns(juliet, { another, ...scene })).hears(failed("item-not-found"));
    },
    { covers: ["sm_SUITE:resend_unacked_from_replaced_sessions", "sm_SUITE:relay_unacked_from_replaced_sessions"] },
  );
});

describe("unacknowledged", () => {
  story(
    "XEP-0198 §6: messages of a session that ended without being resumable are kept",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await juliet.managesStream(false);
      for (const i of [1, 2]) romeo.says(chat(juliet.full, i));
      for (const i of [1, 2]) await juliet.receives`<message id="m${i}"/>`;
      juliet.sendsRaw(`<a xmlns="${NS_SM}" h="1"/>`);
      await juliet.receivesNothing();
      await juliet.breaks();
      await findsWaiting(await another(juliet).logsIn(server.target(door)), ["2"]);
    },
    { covers: ["sm_SUITE:resend_unacked_from_terminated_sessions", "sm_SUITE:relay_unacked_from_terminated_sessions"] },
  );

  story(
    "XEP-0198 §6: the same when the stream was closed before they were acknowledged",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await juliet.managesStream();
      romeo.says(chat(juliet.full, 1));
      await juliet.receives`<message id="m1"/>`;
      await juliet.leaves();
      await findsWaiting(await another(juliet).logsIn(server.target(door)), ["1"]);
    },
    { covers: ["sm_SUITE:resend_unacked_from_stopped_sessions", "sm_SUITE:relay_unacked_from_stopped_sessions"] },
  );

  story(
    "XEP-0198 §6: they go to another session that is online, in order",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone] }) => {
      await laptop.managesStream(false);
      for (const i of [1, 2, 3]) romeo.says(chat(laptop.full, i));
      for (const i of [1, 2, 3]) await laptop.receives`<message id="m${i}"/>`;
      await laptop.breaks();
      const came: string[] = [];
      while (came.length < 3) {
        const e = await phone.next();
        if (e.name === "message") came.push(bodyOf(e));
      }
      expect(came).toEqual(["1", "2", "3"]);
      await phone.receivesNothing();
    },
  );

  story(
    "XEP-0198 §6: a request that was not acknowledged is answered with an error",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await juliet.managesStream(false);
      romeo.sends`<iq type="get" id="q" to="${juliet.full}"><query xmlns="urn:own"/></iq>`;
      await juliet.receives`<iq id="q"/>`;
      await juliet.breaks();
      await romeo.receives`<iq type="error" id="q" from="${juliet.full}"><error type="cancel"><service-unavailable xmlns="${NS_STANZAS}"/></error></iq>`;
    },
  );

  story(
    "XEP-0198 §6: presence and results that were not acknowledged are forgotten",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await juliet.managesStream(false);
      romeo.sends`<presence to="${juliet.full}"><status>directed</status></presence>`;
      await juliet.receives`<presence from="${romeo.full}"/>`;
      juliet.sends`<iq type="get" id="p" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
      await juliet.receives`<iq id="p"/>`;
      await juliet.breaks();
      await romeo.receivesNothing();
      await findsWaiting(await another(juliet).logsIn(server.target(door)), []);
    },
  );

  story(
    "XEP-0280: carbon copies that were not acknowledged are forgotten",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone], another, server, door }) => {
      await phone.enables("carbons");
      await phone.managesStream(false);
      romeo.says(chat(laptop.full, 1));
      await laptop.receives`<message id="m1"/>`;
      await phone.receives`<message><received xmlns="urn:xmpp:carbons:2">{any}</received></message>`;
      await phone.breaks();
      await laptop.receives`<presence type="unavailable" from="${phone.full}"/>`;
      await laptop.receivesNothing();
      await laptop.leaves();
      await findsWaiting(await another(laptop).logsIn(server.target(door)), []);
    },
    { covers: ["carboncopy_SUITE:dropped_client_doesnt_create_duplicate_carbons"] },
  );
});

describe("buffer_max = 2", () => {
  const { story } = stage({ modules: { mod_stream_management: { buffer_max: 2 } } });

  story(
    "XEP-0198 §4: a client that never acknowledges is cut off; nothing is lost",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      await juliet.managesStream();
      for (const i of [1, 2, 3]) romeo.says(chat(juliet.full, i));
      for (const i of [1, 2, 3]) await juliet.receives`<message id="m${i}"/>`;
      await juliet.receivesStreamError("resource-constraint");
      await findsWaiting(await another(juliet).logsIn(server.target(door)), ["1", "2", "3"]);
    },
    { covers: ["sm_SUITE:too_many_unacked_stanzas"] },
  );

  story("XEP-0198 §4: acknowledging makes room again", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
    await juliet.managesStream();
    for (let i = 1; i <= 8; i++) {
      romeo.says(chat(juliet.full, i));
      await juliet.receives`<message id="m${i}"/>`;
      juliet.sendsRaw(`<a xmlns="${NS_SM}" h="${i}"/>`);
      await juliet.receivesNothing();
    }
  });

  story(
    "XEP-0198 §6: more offline messages than the buffer holds come through, and none twice",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      for (let i = 1; i <= 6; i++) romeo.says(chat(juliet.bare, i));
      await romeo.receivesNothing();
      const seen: string[] = [];
      for (let attempt = 0; attempt < 10 && seen.length < 6; attempt++) {
        const c = await juliet.comes("r");
        await c.managesStream();
        c.sends`<presence/>`;
        let h = 0;
        for (;;) {
          const e = await c.next().catch(() => undefined);
          if (e === undefined || e.name === "error") break;
          c.sendsRaw(`<a xmlns="${NS_SM}" h="${++h}"/>`);
          if (e.name === "message") seen.push(bodyOf(e));
          if (seen.length === 6) break;
        }
        c.wire.cut();
      }
      expect(new Set(seen)).toEqual(new Set(["1", "2", "3", "4", "5", "6"]));
      romeo.tally.assertions++;
    },
    { covers: ["sm_SUITE:resend_more_offline_messages_than_buffer_size"] },
  );
});

describe("ack_freq = 2", () => {
  const { story } = stage({ modules: { mod_stream_management: { ack_freq: 2 } } });

  story(
    "XEP-0198 §4: the server asks after every second stanza",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await juliet.managesStream();
      juliet.showsRequests = true;
      for (const round of [0, 1]) {
        for (const i of [1, 2]) romeo.says(chat(juliet.full, 2 * round + i));
        for (const i of [1, 2]) await juliet.receives`<message id="m${2 * round + i}"/>`;
        await juliet.receives`<r xmlns="${NS_SM}"/>`;
      }
    },
    { covers: ["sm_SUITE:server_requests_ack_freq_2"] },
  );
});

describe("ack = false", () => {
  const { story } = stage({ modules: { mod_stream_management: { ack: false } } });

  story(
    "the server never asks, and resends all the same",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      juliet.showsRequests = true;
      romeo.says(chat(juliet.full, 1));
      await juliet.receives`<message id="m1"/>`;
      await juliet.receivesNothing();
      await juliet.breaks();
      const back = await resumes(juliet, scene, { h: 0 });
      await back.receives`<message id="m1"/>`;
    },
  );
});

describe("buffer = false", () => {
  const { story } = stage({ modules: { mod_stream_management: { buffer: false } } });

  story("streams are counted and cannot be resumed", { romeo: 1 }, async ({ romeo }) => {
    romeo.sendsRaw(`<enable xmlns="${NS_SM}" resume="true"/>`);
    await romeo.receives`<enabled xmlns="${NS_SM}"/>`;
    await counts(romeo, 0);
  });
});

describe("resume_timeout = 1", () => {
  const { story } = stage({
    modules: {
      mod_stream_management: { resume_timeout: 1, stale_h: { enabled: true, repeat_after: 1000, geriatric: 1000 } },
    },
  });

  story(
    "XEP-0198 §5: after the time-out contacts see the client gone, and its messages are kept",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend, ...scene }) => {
      await befriend(romeo, juliet);
      await juliet.managesStream();
      juliet.says(chat(romeo.full, "last words"));
      await romeo.receives`<message/>`;
      romeo.says(chat(juliet.full, 1));
      await juliet.receives`<message id="m1"/>`;
      await juliet.breaks();
      romeo.says(chat(juliet.bare, 2));
      romeo.sends`<iq type="get" id="q" to="${juliet.full}"><query xmlns="urn:own"/></iq>`;
      await romeo.receivesNothing();
      await romeo.receives`<presence type="unavailable" from="${juliet.full}"/><iq type="error" id="q"/>`;
      // The server still knows how much it handled, so that the client need not send it again (§5, stale_h).
      const c = await returns(juliet, { befriend, ...scene });
      await c.hears(`<failed xmlns="${NS_SM}" h="1"><item-not-found xmlns="${NS_STANZAS}"/></failed>`);
      await c.binds();
      await findsWaiting(c, ["1", "2"]);
    },
    {
      slow: true,
      covers: [
        "sm_SUITE:resend_unacked_after_resume_timeout",
        "sm_SUITE:resume_expired_session_returns_correct_h",
        "sm_SUITE:user_with_sm_killed_connection_sends_unavailable_presence_after_resume_timeout",
      ],
    },
  );

  story(
    "XEP-0198 §6: after the time-out another session of the account gets them",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone] }) => {
      await laptop.managesStream();
      await laptop.breaks();
      romeo.says(chat(laptop.full, 1));
      await phone.receives`<presence type="unavailable" from="${laptop.full}"/><message id="m1" from="${romeo.full}">${DELAY}</message>`;
    },
    { slow: true, covers: ["sm_SUITE:resend_unacked_to_different_res_after_resume_timeout"] },
  );

  story(
    "a stream that was resumed in time does not end when the time-out of the first loss comes",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, ...scene }) => {
      await juliet.managesStream();
      await juliet.breaks();
      await new Promise((resolve) => setTimeout(resolve, 700));
      const back = await resumes(juliet, scene);
      await back.breaks();
      await new Promise((resolve) => setTimeout(resolve, 700));
      const again = await resumes(back, scene);
      romeo.says(chat(juliet.full, 1));
      await again.receives`<message id="m1"/>`;
    },
    { slow: true },
  );
});
