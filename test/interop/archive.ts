// Archives read by clients of other authors: slixmpp's plugin for XEP-0313 over STARTTLS, StanzaJS over WebSocket, against
// the compiled executable.
//
//   bun test/interop/archive.ts        needs dist/mongooseimctl, python3-slixmpp, node
//
// The last line is `archive: N passed, N failed`; exit code 1 when anything failed.

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
[modules.mod_carboncopy]
[modules.mod_disco]
[modules.mod_offline]
[modules.mod_presence]
[modules.mod_roster]
[modules.mod_stanzaid]
[modules.mod_stream_management]

[modules.mod_mam]
  user_prefs_store = "rdbms"
  [modules.mod_mam.pm]
`;

const url = `ws://127.0.0.1:${ws}/ws-xmpp`;
await new Play("archive", { config, port: starttls }).run(async (play) => {
  await play.perform("slixmpp", ({ ca, alice, bob, password }) => [
    ...python("slixmpp_archive.py"),
    ...[String(starttls), ca, alice, bob, password],
  ]);
  await play.perform("stanza", ({ alice, bob, password }) => [
    ...node("stanza_archive.mjs"),
    ...[url, alice, bob, password],
  ]);
});
