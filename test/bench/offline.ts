// One account sends to many who are not there, as a service that notifies its users does. Over plain TCP. The accounts
// user0 .. userN with password "password" must exist; the first sends, the others never come.
//
//   bun test/bench/offline.ts --port 5222 --pid PID --recipients 500 --rounds 20 [--outstanding 200]
//
// Each round is a message to everybody. `--outstanding` are on their way at most: sent, and not acknowledged (XEP-0198).
// A first round is not measured. Prints one JSON line; CPU is the server's, all threads, user and system.

import { parseArgs } from "node:util";
import { attribute, LoadClient } from "../fault/client.ts";
import { cpuMicros } from "../support/binary.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "5222" },
    pid: { type: "string" },
    recipients: { type: "string", default: "500" },
    rounds: { type: "string", default: "20" },
    outstanding: { type: "string", default: "200" },
  },
});
const port = Number(values.port);
const pid = Number(values.pid);
const recipients = Number(values.recipients);
const outstanding = Number(values.outstanding);
/** Messages after each of which an acknowledgement is asked for. */
const PART = Math.min(20, outstanding);

let acknowledged = 0;
let refused = 0;
let wake = (): void => {};
const sender = await LoadClient.login(port, "user0", "bench", {
  stanza(s) {
    if (attribute(s, "type") === "error") refused++;
  },
  acknowledged(h) {
    acknowledged = h;
    wake();
  },
});
const body = "x".repeat(80);
let sent = 0;

async function atMost(waiting: number): Promise<void> {
  while (sent - acknowledged > waiting) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

async function send(count: number): Promise<void> {
  for (let left = count; left > 0; ) {
    const some = Math.min(PART, left);
    await atMost(outstanding - some);
    let text = "";
    for (let i = 0; i < some; i++, sent++) {
      const to = `user${1 + (sent % recipients)}@localhost`;
      text += `<message to='${to}' id='m${sent}' type='chat'><body>${body}</body></message>`;
    }
    sender.send(`${text}<r xmlns='urn:xmpp:sm:3'/>`);
    left -= some;
  }
  await atMost(0);
}

await send(recipients);
const cpuBefore = cpuMicros(pid);
const begun = performance.now();
const count = recipients * Number(values.rounds);
await send(count);
const seconds = (performance.now() - begun) / 1000;
const cpu = cpuMicros(pid) - cpuBefore;
sender.cut();
console.log(
  JSON.stringify({
    scenario: "offline",
    measured: { delivered_per_s: count / seconds },
    lost: refused,
    server: { cpu_us_per_delivered: cpu / count, cpu_util: cpu / 1e6 / seconds },
  }),
);
process.exit(0);
