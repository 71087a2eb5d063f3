// strophe.js uses the personal extensions over WebSocket. Runs on Node.
//
//     strophe_personal.mjs URL ALICE BOB PASSWORD
//
// Every fact is a line {"fact", "holds", "seen"} on stdout.

import { $build, $iq, $msg, $pres, Strophe } from "strophe.js";

const [url, ALICE, BOB, password] = process.argv.slice(2);
const domain = ALICE.split("@")[1];
const fact = (words, holds, seen) =>
  console.log(JSON.stringify({ fact: words, holds: Boolean(holds), seen: holds ? null : String(seen) }));
const text = (element) => (element === undefined ? "nothing" : Strophe.serialize(element));

function connect(jid) {
  const connection = new Strophe.Connection(url);
  connection.heard = [];
  return new Promise((resolve, reject) => {
    connection.connect(jid, password, (status) => {
      if (status === Strophe.Status.CONNECTED) {
        for (const name of ["message", "presence"]) {
          connection.addHandler((stanza) => connection.heard.push(stanza) > 0, null, name);
        }
        resolve(connection);
      } else if (status === Strophe.Status.AUTHFAIL || status === Strophe.Status.CONNFAIL)
        reject(new Error(`status ${status}`));
    });
  });
}

const ask = (connection, iq) =>
  new Promise((resolve) =>
    connection.sendIQ(
      iq,
      (answer) => resolve(answer),
      (error) => resolve(error ?? undefined),
      8000,
    ),
  );

async function sees(connection, which) {
  for (const until = Date.now() + 8000; Date.now() < until; ) {
    const at = connection.heard.findIndex(which);
    if (at >= 0) return connection.heard.splice(at, 1)[0];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

const [alice, bob] = await Promise.all([connect(ALICE), connect(BOB)]);
fact("both log in over WebSocket", true);
for (const connection of [alice, bob]) connection.send($pres());
const info = await ask(alice, $iq({ to: domain, type: "get" }).c("query", { xmlns: Strophe.NS.DISCO_INFO }));
fact("the server can be discovered", text(info).includes("urn:xmpp:blocking"), text(info));
await ask(alice, $iq({ type: "set" }).c("vCard", { xmlns: "vcard-temp" }).c("FN").t("Alice <&> co"));
const vcard = await ask(bob, $iq({ to: ALICE, type: "get" }).c("vCard", { xmlns: "vcard-temp" }));
fact("a vCard is read by others", vcard?.getElementsByTagName("FN")[0]?.textContent === "Alice <&> co", text(vcard));
const publish = $iq({ type: "set" })
  .c("pubsub", { xmlns: "http://jabber.org/protocol/pubsub" })
  .c("publish", { node: "urn:test:strophe" })
  .c("item", { id: "1" })
  .cnode($build("x", { xmlns: "urn:test:x" }).t("payload").tree());
const published = await ask(alice, publish);
fact("an item is published", published?.getAttribute("type") === "result", text(published));
const items = await ask(
  alice,
  $iq({ type: "get" })
    .c("pubsub", { xmlns: "http://jabber.org/protocol/pubsub" })
    .c("items", { node: "urn:test:strophe" }),
);
fact("and read again", text(items).includes("payload"), text(items));
await ask(alice, $iq({ type: "set" }).c("block", { xmlns: "urn:xmpp:blocking" }).c("item", { jid: BOB }));
bob.send($msg({ to: ALICE, type: "chat", id: "b1" }).c("body").t("Hello?"));
const back = await sees(bob, (s) => s.nodeName === "message" && s.getAttribute("type") === "error");
fact("who is blocked gets his message back", back !== undefined, text(back));
await ask(alice, $iq({ type: "set" }).c("unblock", { xmlns: "urn:xmpp:blocking" }).c("item", { jid: BOB }));
bob.send($msg({ to: ALICE, type: "chat" }).c("body").t("Again"));
fact("unblocked, he is heard", await sees(alice, (s) => s.nodeName === "message" && s.textContent.includes("Again")));
for (const connection of [alice, bob]) connection.disconnect("done");
setTimeout(() => process.exit(0), 500);
