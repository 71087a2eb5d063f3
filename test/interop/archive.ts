// Archives read by clients of other authors: slixmpp's plugin for XEP-0313 over STARTTLS, StanzaJS over WebSocket, against
// the compiled executable.
//
//   bun test/interop/archive.ts        needs dist/mongooseimctl, python3-slixmpp, node
//
// The last line is `archive: N passed, N failed`; exit code 1 when anything failed.

import { play } from "./play.ts";

const config = `
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

await play("archive", config, ["slixmpp_archive.py", "stanza_archive.mjs"]);
