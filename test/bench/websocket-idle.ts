// Idle WebSocket sessions: logs in N users over RFC 7395 (PLAIN), holds them, and prints what the server's resident
// memory grew by for each. The accounts user0.. with password "password" must exist.
//
//   bun test/bench/websocket-idle.ts --url ws://127.0.0.1:5280/ws-xmpp --pid PID --clients 5000 [--hold 8]

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "ws://127.0.0.1:5280/ws-xmpp" },
    domain: { type: "string", default: "localhost" },
    pid: { type: "string" },
    clients: { type: "string", default: "1000" },
    window: { type: "string", default: "64" },
    hold: { type: "string", default: "8" },
  },
});

const NS = "xmlns='urn:ietf:params:xml:ns:xmpp-framing'";
const clients = Number(values.clients);

function rss(): number {
  const line = /^Rss:\s+(\d+)/m.exec(readFileSync(`/proc/${values.pid}/smaps_rollup`, "utf8"));
  return Number(line?.[1]) * 1024;
}

/** Logs one user in; resolves when its presence has come back. */
function logIn(n: number): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(values.url, { protocols: ["xmpp"] } as never);
    const open = `<open ${NS} to='${values.domain}' version='1.0'/>`;
    const password = btoa(`\0user${n}\0password`);
    let authenticated = false;
    const steps: [string, () => void][] = [
      [
        "<success",
        () => {
          authenticated = true;
          ws.send(open);
        },
      ],
      [
        "<stream:features",
        () => {
          if (authenticated) {
            ws.send(
              "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>w</resource></bind></iq>",
            );
          } else {
            ws.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${password}</auth>`);
          }
        },
      ],
      ["<iq", () => ws.send("<presence xmlns='jabber:client'/>")],
      ["<presence", () => resolve(ws)],
      ["<failure", () => reject(new Error(`user${n} cannot log in`))],
    ];
    ws.onopen = () => ws.send(open);
    ws.onmessage = ({ data }) => steps.find(([start]) => String(data).startsWith(start))?.[1]();
    ws.onclose = () => reject(new Error(`the server closed user${n}`));
    ws.onerror = () => reject(new Error(`user${n} cannot connect`));
  });
}

const before = rss();
const sockets: WebSocket[] = [];
let next = 0;
const begin = performance.now();
await Promise.all(
  Array.from({ length: Number(values.window) }, async () => {
    while (next < clients) sockets.push(await logIn(next++));
  }),
);
const seconds = (performance.now() - begin) / 1000;
const after = rss();
await Bun.sleep(Number(values.hold) * 1000);
const held = rss();
console.log(
  JSON.stringify({
    scenario: "websocket-idle",
    sessions: sockets.length,
    logins_per_s: Math.round(sockets.length / seconds),
    rss_per_conn: Math.round((after - before) / sockets.length),
    rss_per_conn_end: Math.round((held - before) / sockets.length),
  }),
);
process.exit(0);
