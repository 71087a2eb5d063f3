// The personal extensions used by clients of other authors: slixmpp's plugins over STARTTLS, StanzaJS and strophe.js over
// WebSocket, against the compiled executable with every module of this kind on.
//
//   bun test/interop/personal.ts        needs dist/mongooseimctl, python3-slixmpp, node
//
// The last line is `personal: N passed, N failed`; exit code 1 when anything failed.

import { play } from "./play.ts";

const config = `
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

await play("personal", config, ["slixmpp_personal.py", "stanza_personal.mjs", "strophe_personal.mjs"]);
