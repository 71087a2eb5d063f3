// The personal extensions used by clients of other authors: slixmpp's plugins over STARTTLS, StanzaJS and strophe.js over
// WebSocket, against the compiled executable with every module of this kind on.
//
//   bun test/interop/personal.ts        needs dist/mongooseimctl, python3-slixmpp, node
//
// The last line is `personal: N passed, N failed`; exit code 1 when anything failed.

import { join } from "node:path";
import { BinaryServer, freePort } from "../support/binary.ts";

interface Fact {
  readonly fact: string;
  readonly holds: boolean;
  readonly seen: string | null;
}

let passed = 0;
let failed = 0;

function check({ fact, holds, seen }: Fact): void {
  if (holds) passed++;
  else failed++;
  console.log(holds ? `    ✓ ${fact}` : `    ✗ ${fact}: saw ${seen}`);
}

const starttls = await freePort();
const ws = await freePort();

const config = `
[general]
  hosts = ["localhost"]
  default_server_domain = "localhost"
  loglevel = "warning"

[[listen.c2s]]
  port = ${starttls}
  ip_address = "127.0.0.1"
  tls.mode = "starttls_required"
  tls.verify_mode = "none"

[[listen.http]]
  port = ${ws}
  ip_address = "127.0.0.1"

  [[listen.http.handlers.mongoose_websocket_handler]]
    host = "_"
    path = "/ws-xmpp"

[auth]
  methods = ["internal"]

  [auth.internal]

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

const PASSWORD = "wherefore art thou";
const server = new BinaryServer({ config, port: starttls });

/** Two accounts of the act's own. */
async function accounts(act: string): Promise<[string, string]> {
  const names = [`alice-${act}`, `bob-${act}`] as const;
  for (const name of names) {
    const made = await server.ctl(
      ...["account", "registerUser", "--domain", "localhost", "--username", name, "--password", PASSWORD],
    );
    check({ fact: `mongooseimctl makes the account ${name}@localhost`, holds: made.code === 0, seen: made.out });
  }
  return [`${names[0]}@localhost`, `${names[1]}@localhost`];
}

/** Runs a client's script and takes its facts. */
async function perform(act: string, words: (alice: string, bob: string) => string[]): Promise<void> {
  console.log(`\n  ${act}`);
  const [alice, bob] = await accounts(act);
  const child = Bun.spawn(words(alice, bob), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NODE_EXTRA_CA_CERTS: server.ca, PYTHONUNBUFFERED: "1" },
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  clearTimeout(timer);
  const facts = out.split("\n").filter((line) => line.startsWith("{"));
  for (const line of facts) check(JSON.parse(line) as Fact);
  const whole = code === 0 && facts.length > 0;
  check({ fact: `${act} comes to its end`, holds: whole, seen: err.trim().split("\n").slice(-6).join(" | ") });
}

const script = (name: string): string => join(import.meta.dir, name);
const node = (name: string): string[] => ["node", "--experimental-websocket", "--no-warnings", script(name)];
const url = `ws://127.0.0.1:${ws}/ws-xmpp`;
try {
  await server.start();
  await perform("slixmpp", (alice, bob) => [
    ...["/usr/bin/python3", script("slixmpp_personal.py"), String(starttls), server.ca, alice, bob, PASSWORD],
  ]);
  await perform("stanza", (alice, bob) => [...node("stanza_personal.mjs"), url, alice, bob, PASSWORD]);
  await perform("strophe", (alice, bob) => [...node("strophe_personal.mjs"), url, alice, bob, PASSWORD]);
  const code = await server.stop();
  check({ fact: "the server ends in order", holds: code === 0, seen: server.log });
  const errors = /level=(error|critical|alert|emergency)/.test(server.log);
  check({ fact: "its log has no error", holds: !errors, seen: server.log });
} finally {
  await server.kill();
  server.remove();
}
console.log(`\npersonal: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
