// Some accounts tell all their contacts something: they publish (XEP-0163; the contacts' capabilities say `+notify`), or
// change their presence (`--what presence`). Over plain TCP. The accounts user0 .. userN with password "password" must
// exist; the first `--publishers` of them publish, the others are contacts of all of these.
//
//   bun test/bench/fan-out.ts --port 5222 --pid PID --subscribers 200 --seconds 8
//
// Prints one JSON line; CPU is the server's, all threads, user and system, while the publishers keep `--outstanding`
// publications each on their way. A delivered copy is one event that arrived at one contact.

import { parseArgs } from "node:util";
import { attribute, LoadClient } from "../fault/client.ts";
import { cpuMicros } from "../support/binary.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "5222" },
    pid: { type: "string" },
    what: { type: "string", default: "pep" },
    publishers: { type: "string", default: "8" },
    subscribers: { type: "string", default: "200" },
    outstanding: { type: "string", default: "4" },
    warmup: { type: "string", default: "2" },
    seconds: { type: "string", default: "8" },
  },
});
const port = Number(values.port);
const pid = Number(values.pid);
const publishers = Number(values.publishers);
const subscribers = Number(values.subscribers);
const NODE = "http://jabber.org/protocol/tune";
const INFO = "http://jabber.org/protocol/disco#info";

const client = "<identity category='client' type='pc' name='bench'/>";
const features = [INFO, `${NODE}+notify`].map((f) => `<feature var='${f}'/>`).join("");
const ver = new Bun.CryptoHasher("sha1").update(`client/pc//bench<${INFO}<${NODE}+notify<`).digest("base64");
const caps = `<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:bench' ver='${ver}'/>`;

let delivered = 0;
let subscribed = 0;

/** What every contact does: agrees to be seen, says what it can, counts events. */
async function contact(n: number): Promise<LoadClient> {
  const me: LoadClient = await LoadClient.login(
    port,
    `user${n}`,
    "bench",
    {
      acknowledged() {},
      stanza(s) {
        if (s.startsWith("<message")) {
          if (s.includes(NODE)) delivered++;
        } else if (s.startsWith("<iq")) {
          if (s.includes(INFO)) {
            const node = / node=(['"])(.*?)\1/.exec(s)?.[2];
            const query = `<query xmlns='${INFO}'${node === undefined ? "" : ` node='${node}'`}>${client}${features}</query>`;
            me.send(`<iq type='result' id='${attribute(s, "id")}' to='${attribute(s, "from")}'>${query}</iq>`);
          } else if (attribute(s, "type") === "set") me.send(`<iq type='result' id='${attribute(s, "id")}'/>`);
        } else if (values.what === "presence" && s.includes("<status>")) delivered++;
        else if (attribute(s, "type") === "subscribe") {
          me.send(`<presence type='subscribed' to='${attribute(s, "from")}'/>`);
        } else if (attribute(s, "type") === "subscribed") subscribed++;
      },
    },
    false,
  );
  await me.ask("r", "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
  me.send(`<presence>${caps}</presence>`);
  return me;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 120_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`${what}: not in two minutes (${subscribed}, ${delivered})`);
    await Bun.sleep(20);
  }
}

async function publisher(n: number): Promise<LoadClient> {
  const me: LoadClient = await LoadClient.login(
    port,
    `user${n}`,
    "bench",
    {
      acknowledged() {},
      stanza(s) {
        if (attribute(s, "type") === "subscribe") {
          me.send(`<presence type='subscribed' to='${attribute(s, "from")}'/>`);
        } else if (s.startsWith("<iq") && attribute(s, "type") === "set") {
          me.send(`<iq type='result' id='${attribute(s, "id")}'/>`);
        }
      },
    },
    false,
  );
  await me.ask("r", "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
  me.send("<presence/>");
  return me;
}

const sources: LoadClient[] = [];
for (let n = 0; n < publishers; n++) sources.push(await publisher(n));
const contacts: LoadClient[] = [];
for (let n = publishers; n < publishers + subscribers; n++) contacts.push(await contact(n));
for (let p = 0; p < publishers; p++) {
  const before = subscribed;
  for (const c of contacts) c.send(`<presence type='subscribe' to='user${p}@localhost'/>`);
  await until("subscriptions", () => subscribed >= before + subscribers);
  for (let n = publishers; n < publishers + subscribers; n++) {
    sources[p].send(`<presence type='subscribe' to='user${n}@localhost'/>`);
  }
  await sources[p].settled("s");
}
await Bun.sleep(3000);

let published = 0;
let running = true;

/** Sends one thing that all contacts are to hear of. */
async function send(source: LoadClient, id: string): Promise<void> {
  if (values.what === "presence") {
    source.send(`<presence id='${id}'><show>away</show><status>${id}</status></presence>`);
    return;
  }
  const tune = `<tune xmlns='${NODE}'><artist>Yes</artist><length>686</length><title>Heart of the Sunrise ${id}</title></tune>`;
  const answer = await source.ask(
    id,
    `<iq type='set' id='${id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='${NODE}'><item id='current'>${tune}</item></publish></pubsub></iq>`,
  );
  if (attribute(answer, "type") !== "result") throw new Error(`Cannot publish: ${answer}`);
}

// Makes the nodes: ejabberd 23.01 loses publications that come while it does.
for (const [n, source] of sources.entries()) await send(source, `first${n}`);
await Bun.sleep(1000);
delivered = 0;

const most = publishers * Number(values.outstanding);
/** Publishes, one item after the other, with no more than `most` events on their way to any contact. */
async function publish(source: LoadClient, line: number): Promise<void> {
  while (running) {
    const mine = ++published;
    await send(source, `p${line}-${mine}`);
    const end = Date.now() + 5000;
    while (running && delivered < (published - most) * subscribers && Date.now() < end) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
const lines = sources.flatMap((source, s) =>
  Array.from({ length: Number(values.outstanding) }, (_, line) => publish(source, s * 100 + line)),
);
await Bun.sleep(Number(values.warmup) * 1000);
const before = { cpu: cpuMicros(pid), delivered, published, at: performance.now() };
await Bun.sleep(Number(values.seconds) * 1000);
const spent = cpuMicros(pid) - before.cpu;
const copies = delivered - before.delivered;
const items = published - before.published;
const seconds = (performance.now() - before.at) / 1000;
running = false;
await Promise.all(lines);
for (const [n, source] of sources.entries()) await source.settled(`end${n}`);
await Bun.sleep(2000);
console.log(
  JSON.stringify({
    scenario: values.what,
    subscribers,
    measured: { delivered_per_s: copies / seconds, published_per_s: items / seconds },
    lost: published * subscribers - delivered,
    server: { cpu_us_per_delivered: spent / copies, cpu_util: spent / 1e6 / seconds },
  }),
);
process.exit(0);
