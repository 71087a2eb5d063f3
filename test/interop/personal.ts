// The personal extensions used by clients of other authors: slixmpp's plugins over STARTTLS, StanzaJS and strophe.js over
// WebSocket, against the compiled executable with every module of this kind on.
//
//   bun test/interop/personal.ts        needs dist/mongooseimctl, python3-slixmpp, node
//
// The last line is `personal: N passed, N failed`; exit code 1 when anything failed.

import { freePort } from "../support/binary.ts";
import { auth, c2s, general, tls, webSocket } from "../support/config-text.ts";
import { node, Play, python } from "./play.ts";

const starttls = await freePort();
const ws = await freePort();

const config = `
${general()}
${c2s(starttls, tls("starttls_required"))}
${webSocket(ws)}
${auth("internal")}
[modules.mod_adhoc]
[modules.mod_amp]
[modules.mod_bind2]
[modules.mod_blocking]
[modules.mod_caps]
[modules.mod_carboncopy]
[modules.mod_csi]
[modules.mod_disco]
[modules.mod_last]
[modules.mod_offline]
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_privacy]
[modules.mod_private]
[modules.mod_pubsub]
[modules.mod_register]
[modules.mod_roster]
[modules.mod_sasl2]
[modules.mod_service_admin]
[modules.mod_sic]
[modules.mod_stanzaid]
[modules.mod_stream_management]
[modules.mod_time]
[modules.mod_vcard]
[modules.mod_version]

[acl]
  admin = [{user = "root", server = "localhost"}]

[access]
  configure = [{acl = "admin", value = "allow"}]
`;

const url = `ws://127.0.0.1:${ws}/ws-xmpp`;
await new Play("personal", { config, port: starttls }).run(async (play) => {
  await play.perform("slixmpp", ({ ca, alice, bob, password }) => [
    ...python("slixmpp_personal.py"),
    ...[String(starttls), ca, alice, bob, password],
  ]);
  for (const library of ["stanza", "strophe"]) {
    await play.perform(library, ({ alice, bob, password }) => [
      ...node(`${library}_personal.mjs`),
      ...[url, alice, bob, password],
    ]);
  }
});
