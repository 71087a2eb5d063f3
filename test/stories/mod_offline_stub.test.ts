// mod_offline_stub: no error for who is not there.
import { stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_offline: null, mod_offline_stub: {} } });

story(
  "RFC 6121 §8.5.2.2.1: a message for an account that is not there is taken without an error",
  { alice: 1, bob: 0 },
  async ({ alice, bob }) => {
    alice.sends`<message to="${bob.bare}" type="chat"><body>msgtxt</body></message>`;
    await alice.receivesNothing();
    const his = await bob.comes();
    his.sends`<presence/>`;
    await his.receives`<presence from="${his.full}"/>`;
    await his.receivesNothing();
  },
  { covers: ["offline_stub_SUITE:with_mod_offline_stub"] },
);

story("an account that does not exist is still told of", { alice: 1 }, async ({ alice, stranger }) => {
  alice.sends`<message to="${stranger().bare}" type="chat"><body>msgtxt</body></message>`;
  await alice.receives`<message type="error"><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
});
