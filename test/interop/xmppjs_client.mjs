// An actor of test/interop that speaks through @xmpp/client, over direct TLS or WebSocket. Runs on Node.
// Commands come in on stdin and events go out on stdout, one JSON object a line (see actor.ts).

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { client, jid, xml } from "@xmpp/client";

const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const { version } = createRequire(import.meta.url)("@xmpp/client/package.json");

let xmpp;

function login({ service, jid: address, password }) {
  const { local, domain } = jid(address);
  let mechanism;
  xmpp = client({
    service,
    domain,
    credentials: (authenticate, mechanisms) => {
      // Its own order of preference.
      mechanism = mechanisms[0];
      return authenticate({ username: local, password }, mechanism);
    },
  });
  xmpp.reconnect.delay = 200;
  // Reconnecting fails while the cable is cut; the library tries again.
  xmpp.on("error", (error) => tell("error", { why: error.message }));
  xmpp.on("disconnect", () => tell("offline"));
  xmpp.on("online", async () => {
    const tls = xmpp.socket.socket?.getProtocol?.() ?? null;
    await xmpp.iqCaller.get(xml("query", "jabber:iq:roster"));
    tell("online", { mechanism, tls });
  });
  xmpp.streamManagement.on("resumed", () => tell("resumed"));
  // @xmpp/client 0.14 does not count the answers to its own requests (its iq-caller keeps them from its stream
  // management), so that it would ask for stanzas again that it has had.
  xmpp.on("element", (element) => {
    if (element.is("iq") && ["result", "error"].includes(element.attrs.type)) xmpp.streamManagement.inbound++;
  });
  xmpp.on("stanza", (stanza) => {
    const from = stanza.attrs.from === undefined ? "" : jid(stanza.attrs.from).bare().toString();
    if (stanza.is("message") && stanza.getChild("body")) {
      const delayed = stanza.getChild("delay", "urn:xmpp:delay")?.attrs.stamp ?? null;
      tell("message", { from, body: stanza.getChildText("body"), delayed });
    } else if (stanza.is("presence") && from !== xmpp.jid.bare().toString()) {
      tell("presence", { from, type: stanza.attrs.type ?? "available" });
    }
  });
  xmpp.start().catch((error) => tell("error", { why: error.message }));
}

const commands = {
  login,
  async logout() {
    xmpp.reconnect.stop();
    await xmpp.stop();
  },
  presence: ({ to, type }) => xmpp.send(xml("presence", { to, type })),
  say: ({ to, body }) => xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, body))),
  tick: () => tell("tick"),
  async roster() {
    const query = await xmpp.iqCaller.get(xml("query", "jabber:iq:roster"));
    const items = query.getChildren("item").map(({ attrs }) => [attrs.jid, attrs.subscription]);
    tell("roster", { items: Object.fromEntries(items) });
  },
};

tell("ready", { client: `@xmpp/client ${version}` });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  await commands[command.do](command);
}
process.exit(0);
