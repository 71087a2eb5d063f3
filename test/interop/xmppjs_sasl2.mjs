// A client of @xmpp/client that logs in with its password (XEP-0388, XEP-0386), comes back with the token that it got
// (XEP-0484), loses its connection and takes its stream up again (XEP-0198), all of it by itself. Runs on Node:
//
//   node xmppjs_sasl2.mjs SERVICE USER PASSWORD
//
// Prints one JSON object: what happened, step by step.

import { client, xml } from "@xmpp/client";

const [service, username, password] = process.argv.slice(2);
const steps = [];
let token;

/** What it sent and got around authentication, without secrets. */
function watch(xmpp) {
  const shown = (el) => ({
    name: el.name,
    mechanism: el.attrs.mechanism,
    inline: el.getChildElements().map((e) => `${e.name} ${e.getNS() ?? ""}`.trim()),
  });
  xmpp.on("send", (el) => {
    if (el.name === "authenticate") steps.push({ sent: shown(el) });
  });
  xmpp.on("nonza", (el) => {
    if (["success", "failure"].includes(el.name)) steps.push({ got: shown(el) });
  });
}

function make() {
  const userAgent = xml("user-agent", { id: "d4565fa7-4d72-4749-b3d3-740edbf87770" });
  const xmpp = client({ service, domain: "localhost", resource: "xmppjs", username, password, userAgent });
  xmpp.reconnect.delay = 100;
  xmpp.fast.fetchToken = async () => token;
  xmpp.fast.saveToken = async (given) => {
    token = given;
  };
  xmpp.fast.deleteToken = async () => {
    token = undefined;
  };
  xmpp.on("error", (error) => steps.push({ error: error.message }));
  watch(xmpp);
  return xmpp;
}

const answers = async (xmpp) => {
  const pong = await xmpp.iqCaller.request(xml("iq", { type: "get" }, xml("ping", "urn:xmpp:ping")), 5000);
  // @xmpp/client 0.14 does not count the answers to its own requests.
  xmpp.streamManagement.inbound++;
  return pong.attrs.type === "result";
};

const first = make();
await first.start();
steps.push({ jid: first.jid.toString(), answers: await answers(first), managed: first.streamManagement.enabled });
first.reconnect.stop();
await first.stop();

const second = make();
await second.start();
steps.push({ jid: second.jid.toString(), answers: await answers(second), managed: second.streamManagement.enabled });

const resumed = new Promise((resolve) => second.streamManagement.once("resumed", resolve));
const { socket } = second.socket;
if (socket.destroy) socket.destroy();
else socket.close();
await resumed;
steps.push({ jid: second.jid.toString(), answers: await answers(second), resumed: true });
second.reconnect.stop();
await second.stop();

console.log(JSON.stringify({ steps, token: { mechanism: token.mechanism, expiry: token.expiry } }));
process.exit(0);
