// XEP-0352: an inactive client is left in peace.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS = "urn:xmpp:csi:0";
const { story } = stage({ modules: { mod_csi: { buffer_max: 3 } } });

/** Stream management, whose <r/> shows that nothing else came: an answer to a ping would let go what is held back. */
async function sleeps(c: Client): Promise<void> {
  await c.managesStream(false);
  c.sendsRaw(`<inactive xmlns="${NS}"/>`);
  await c.receivesNothing();
}
const chat = (to: Client, n: number) => `<message to="${to.full}" type="chat" id="m${n}"><body>${n}</body></message>`;

story(
  "XEP-0352 §4.1: the feature is announced",
  { romeo: 1 },
  async ({ romeo }) => {
    expect(childOf(romeo.features!, "csi", NS)).toBeDefined();
    romeo.tally.assertions++;
  },
  { covers: ["xep_0352_csi_SUITE:server_announces_csi"] },
);

story(
  "XEP-0352 §5: an inactive client hears nothing until it is active, then everything in order",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await sleeps(juliet);
    for (const n of [1, 2, 3]) romeo.says(chat(juliet, n));
    await juliet.receivesNothing();
    juliet.sendsRaw(`<active xmlns="${NS}"/>`);
    for (const n of [1, 2, 3]) await juliet.receives`<message id="m${n}" from="${romeo.full}"/>`;
  },
  {
    covers: [
      "xep_0352_csi_SUITE:alice_gets_msgs_after_activate",
      "xep_0352_csi_SUITE:alice_gets_msgs_after_activate_in_order",
    ],
  },
);

story(
  "XEP-0352 §5: when nothing came, nothing comes",
  { romeo: 1 },
  async ({ romeo }) => {
    await sleeps(romeo);
    romeo.sendsRaw(`<active xmlns="${NS}"/>`);
    await romeo.receivesNothing();
  },
  { covers: ["xep_0352_csi_SUITE:alice_is_inactive_and_no_stanza_arrived"] },
);

story(
  "one more than buffer_max lets all go",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await sleeps(juliet);
    for (const n of [1, 2, 3]) romeo.says(chat(juliet, n));
    await juliet.receivesNothing();
    romeo.says(chat(juliet, 4));
    for (const n of [1, 2, 3, 4]) await juliet.receives`<message id="m${n}"/>`;
  },
  { covers: ["xep_0352_csi_SUITE:alice_gets_message_after_buffer_overflow"] },
);

story(
  "XEP-0352 §5: an inactive client may talk, and is answered",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await sleeps(juliet);
    juliet.says(chat(romeo, 1));
    await romeo.receives`<message id="m1" from="${juliet.full}"/>`;
    juliet.sends`<iq type="get" id="p" to="localhost"><ping xmlns="urn:xmpp:ping"/></iq>`;
    await juliet.receives`<iq type="result" id="p"/>`;
  },
  { covers: ["xep_0352_csi_SUITE:bob_gets_msgs_from_inactive_alice"] },
);

story(
  "XEP-0198: <r/> of an inactive client is answered",
  { romeo: 1 },
  async ({ romeo }) => {
    await sleeps(romeo);
    romeo.sendsRaw(`<r xmlns="urn:xmpp:sm:3"/>`);
    await romeo.receives`<a xmlns="urn:xmpp:sm:3" h="0"/>`;
  },
  { covers: ["xep_0352_csi_SUITE:alice_is_inactive_but_sends_sm_req_and_recives_ack"] },
);

story(
  "XEP-0352 §5: saying it twice loses nothing",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await sleeps(juliet);
    romeo.says(chat(juliet, 1));
    await juliet.receivesNothing();
    juliet.sendsRaw(`<inactive xmlns="${NS}"/>`);
    romeo.says(chat(juliet, 2));
    await juliet.receivesNothing();
    juliet.sendsRaw(`<active xmlns="${NS}"/>`);
    for (const n of [1, 2]) await juliet.receives`<message id="m${n}"/>`;
  },
  { covers: ["xep_0352_csi_SUITE:inactive_twice_does_not_reset_buffer"] },
);

story(
  "XEP-0352 §5.1: of one sender's presence only the last waits",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    await sleeps(juliet);
    for (const show of ["away", "xa", "dnd"]) romeo.sends`<presence><show>${show}</show></presence>`;
    await romeo.settles();
    await juliet.receivesNothing();
    juliet.sendsRaw(`<active xmlns="${NS}"/>`);
    await juliet.receives`<presence from="${romeo.full}"><show>dnd</show></presence>`;
    await juliet.receivesNothing();
  },
);

story(
  "what was held back is not lost when the connection is",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, another, server, door }) => {
    await sleeps(juliet);
    for (const n of [1, 2]) romeo.says(chat(juliet, n));
    await juliet.receivesNothing();
    await juliet.breaks();
    const again = await another(juliet).logsIn(server.target(door));
    again.sends`<presence/>`;
    await again.receives`<presence from="${again.full}"/><message id="m1"/><message id="m2"/>`;
  },
  { covers: ["xep_0352_csi_SUITE:alice_gets_buffered_messages_after_reconnection_with_sm"] },
);

describe("without stream management", () => {
  story(
    "an unknown element of the namespace is refused",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sendsRaw(`<sleepy xmlns="${NS}"/>`);
      await romeo.receivesStreamError("unsupported-stanza-type");
    },
    { covers: ["xep_0352_csi_SUITE:invalid_csi_request_returns_error"] },
  );
});
