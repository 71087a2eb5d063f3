// Log-ins over plain TCP, with PLAIN or SCRAM: what one costs the server. xmppload knows PLAIN only. The accounts
// user0.. with password "password" must exist.
//
//   bun test/bench/login.ts --port 5222 --pid PID --mechanism SCRAM-SHA-256 --clients 1000
//
// Prints one JSON line; CPU is the server's, user and system, from the first connection to the last session.

import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { parseArgs, promisify } from "node:util";
import type { Socket } from "bun";
import { cpuMicros } from "../support/binary.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "5222" },
    domain: { type: "string", default: "localhost" },
    pid: { type: "string" },
    mechanism: { type: "string", default: "PLAIN" },
    clients: { type: "string", default: "1000" },
    window: { type: "string", default: "64" },
  },
});
const clients = Number(values.clients);
const pid = Number(values.pid);
const { mechanism } = values;
const hash = mechanism.replace("SCRAM-", "").replace("-", "").toLowerCase();

const hmac = (key: Uint8Array, text: string): Buffer => createHmac(hash, key).update(text).digest();

/** The client's final message of RFC 5802. */
async function proof(bare: string, challenge: string): Promise<string> {
  const [, nonce, salt, rounds] = /^r=([^,]*),s=([^,]*),i=(\d+)/.exec(challenge)!;
  const length = createHash(hash).digest().length;
  const salted = await promisify(pbkdf2)("password", Buffer.from(salt, "base64"), Number(rounds), length, hash);
  const key = hmac(salted, "Client Key");
  const final = `c=biws,r=${nonce}`;
  const signature = hmac(createHash(hash).update(key).digest(), `${bare},${challenge},${final}`);
  return `${final},p=${Buffer.from(key.map((b, i) => b ^ signature[i])).toString("base64")}`;
}

const SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
const header = `<?xml version='1.0'?><stream:stream to='${values.domain}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;
const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Logs one user in and binds a resource; gives the open connection. */
function logIn(user: string): Promise<Socket<undefined>> {
  return new Promise((resolve, reject) => {
    let text = "";
    let authenticated = false;
    const bare = `n=${user},r=${randomBytes(12).toString("hex")}`;
    const take = (pattern: RegExp): RegExpExecArray | undefined => {
      const found = pattern.exec(text);
      if (found === null) return undefined;
      text = text.slice(found.index + found[0].length);
      return found;
    };
    const step = async (socket: Socket<undefined>): Promise<void> => {
      if (/<failure|<stream:error/.test(text)) {
        reject(new Error(`${user} cannot log in: ${text}`));
        socket.terminate();
      } else if (take(/<\/stream:features>/)) {
        if (authenticated) {
          socket.write("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        } else {
          const initial = base64(mechanism === "PLAIN" ? `\0${user}\0password` : `n,,${bare}`);
          socket.write(`<auth ${SASL} mechanism='${mechanism}'>${initial}</auth>`);
        }
      } else if (take(/<success[^>]*(\/>|>[^<]*<\/success>)/)) {
        authenticated = true;
        socket.write(header);
      } else if (/<iq [^>]*type='result'[\s\S]*<\/iq>/.test(text)) {
        resolve(socket);
      } else {
        const challenge = take(/<challenge[^>]*>([^<]*)<\/challenge>/);
        if (challenge === undefined) return;
        const answer = await proof(bare, Buffer.from(challenge[1], "base64").toString());
        socket.write(`<response ${SASL}>${base64(answer)}</response>`);
      }
    };
    const failed = (): void => reject(new Error(`${user}: the connection is gone`));
    Bun.connect({
      hostname: "127.0.0.1",
      port: Number(values.port),
      socket: {
        open: (socket) => void socket.write(header),
        data: (socket, bytes) => {
          text += Buffer.from(bytes).toString();
          step(socket).catch(reject);
        },
        close: failed,
        error: failed,
      },
    }).catch(reject);
  });
}

const before = cpuMicros(pid);
const begin = performance.now();
const times: number[] = [];
let ok = 0;
let next = 0;
await Promise.all(
  Array.from({ length: Number(values.window) }, async () => {
    while (next < clients) {
      const at = performance.now();
      await logIn(`user${next++}`);
      times.push(performance.now() - at);
      ok++;
    }
  }),
);
const seconds = (performance.now() - begin) / 1000;
const spent = cpuMicros(pid) - before;
times.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    scenario: "login",
    mechanism,
    login: {
      ok,
      failed: clients - ok,
      per_s: ok / seconds,
      cpu_us_per_login: spent / ok,
      time_us: { p50: times[Math.floor(ok / 2)] * 1000, p99: times[Math.floor(ok * 0.99)] * 1000 },
    },
  }),
);
process.exit(0);
