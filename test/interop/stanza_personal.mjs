// StanzaJS uses the personal extensions over WebSocket. Runs on Node.
//
//     stanza_personal.mjs URL ALICE BOB PASSWORD
//
// Every fact is a line {"fact", "holds", "seen"} on stdout.

import { createHash } from "node:crypto";
import { createClient } from "stanza";
import { fact, play } from "./acts.mjs";

const [url, ALICE, BOB, password] = process.argv.slice(2);
const domain = ALICE.split("@")[1];

/** What went wrong with a request, "" for nothing. */
const condition = (promise) =>
  promise.then(
    () => "",
    (error) => error?.error?.condition ?? String(error?.message ?? error),
  );

function connect(jid) {
  const client = createClient({ jid, password, transports: { websocket: url, bosh: false }, autoReconnect: false });
  client.heard = [];
  for (const event of [
    "pubsub:published",
    "pubsub:event",
    "avatar",
    "chat",
    "available",
    "unavailable",
    "message:error",
    "block",
    "unblock",
  ]) {
    client.on(event, (what) => client.heard.push({ event, what }));
  }
  client.disco.addFeature("http://jabber.org/protocol/tune+notify");
  client.disco.addFeature("urn:xmpp:avatar:metadata+notify");
  const started = new Promise((resolve, reject) => {
    client.on("session:started", resolve);
    client.on("auth:failed", () => reject(new Error("auth:failed")));
    client.on("disconnected", () => reject(new Error("disconnected")));
  });
  client.connect();
  return started.then(() => client);
}

async function sees(client, event, which = () => true) {
  for (const until = Date.now() + 8000; Date.now() < until; ) {
    const at = client.heard.findIndex((h) => h.event === event && which(h.what));
    if (at >= 0) return client.heard.splice(at, 1)[0].what;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

const bare = (jid) => String(jid).split("/")[0];

const acts = {
  async befriend(alice, bob) {
    for (const client of [alice, bob]) {
      await client.getRoster();
      client.on("subscribe", ({ from }) => client.acceptSubscription(from));
      client.updateCaps();
      client.sendPresence({ legacyCapabilities: client.disco.getCaps() });
    }
    alice.subscribe(BOB);
    bob.subscribe(ALICE);
    fact("alice sees bob", await sees(alice, "available", (p) => bare(p.from) === BOB));
    fact("bob sees alice", await sees(bob, "available", (p) => bare(p.from) === ALICE));
    await new Promise((resolve) => setTimeout(resolve, 500));
  },
  async eventing(alice, bob) {
    await alice.publishTune({ artist: "Orff", title: "O Fortuna" });
    const event = await sees(
      bob,
      "pubsub:published",
      (m) => m.pubsub?.items?.node === "http://jabber.org/protocol/tune",
    );
    const content = event?.pubsub.items.published[0].content;
    fact("a contact hears what is published", content?.artist === "Orff" && bare(event.from) === ALICE, event);
    const items = await bob.getItems(ALICE, "http://jabber.org/protocol/tune");
    fact("and may read it", items.items?.[0]?.content?.title === "O Fortuna", items);
    const refused = await condition(
      bob.publish(ALICE, "http://jabber.org/protocol/tune", {
        itemType: "http://jabber.org/protocol/tune",
        artist: "x",
      }),
    );
    fact("nobody else publishes", refused === "forbidden", refused);
  },
  async avatars(alice, bob) {
    const data = Buffer.from("89504e470d0a1a0a", "hex");
    const id = createHash("sha1").update(data).digest("hex");
    await alice.publishAvatar(id, data);
    await alice.useAvatars([{ id, bytes: data.length, mediaType: "image/png" }]);
    const told = await sees(bob, "avatar", (a) => bare(a.jid) === ALICE);
    fact("a contact hears of an avatar", told?.avatars?.[0]?.id === id, told);
    const got = await bob.getAvatar(ALICE, id);
    fact("and fetches it", Buffer.compare(Buffer.from(got.content.data), data) === 0, got);
  },
  async nodes(alice) {
    const own = bare(alice.jid);
    await alice.createNode(own, "urn:test:node");
    const config = await alice.getNodeConfig(own, "urn:test:node");
    fact(
      "a node has a configuration",
      config.fields?.some((f) => f.name === "pubsub#access_model"),
      config,
    );
    await alice.publish(own, "urn:test:node", { itemType: "http://jabber.org/protocol/nick", nick: "n" }, "one");
    fact("an item is retracted", (await condition(alice.retract(own, "urn:test:node", "one", true))) === "");
    fact("a node is purged", (await condition(alice.purgeNode(own, "urn:test:node"))) === "");
    fact("a node is deleted", (await condition(alice.deleteNode(own, "urn:test:node"))) === "");
    const gone = await condition(alice.getNodeConfig(own, "urn:test:node"));
    fact("and is gone", gone === "item-not-found", gone);
  },
  async blocking(alice, bob) {
    await alice.block(BOB);
    fact("who is blocked sees the other go", await sees(bob, "unavailable", (p) => bare(p.from) === ALICE));
    const list = await alice.getBlocked();
    fact("the block list has him", list.jids?.length === 1 && bare(list.jids[0]) === BOB, list);
    bob.sendMessage({ to: ALICE, type: "chat", body: "Hello?" });
    fact("his messages come back", await sees(bob, "message:error"));
    await alice.unblock(BOB);
    bob.sendMessage({ to: ALICE, type: "chat", body: "Again" });
    fact("unblocked, he is heard", await sees(alice, "chat", (m) => m.body === "Again"));
  },
  async vcards(alice, bob) {
    await alice.publishVCard({ fullName: "Alice", name: { family: "Liddell", given: "Alice" } });
    const vcard = await bob.getVCard(ALICE);
    fact("a vCard is read by others", vcard.fullName === "Alice", vcard);
  },
  async smallOnes(alice) {
    fact("the server says what it is", (await alice.getSoftwareVersion(domain)).name === "MongooseIM");
    fact("and what time it is", (await alice.getTime(domain)).utc !== undefined);
    fact("carbons are enabled", (await condition(alice.enableCarbons())) === "");
    const services = await alice.getDiscoInfo(domain);
    fact("the server can be discovered", services.features.includes("urn:xmpp:ping"), services);
    const commands = await alice.getCommands(domain);
    fact(
      "and has commands",
      commands.items.some((i) => i.node === "ping"),
      commands,
    );
  },
};

const [alice, bob] = await Promise.all([connect(ALICE), connect(BOB)]);
await play(acts, alice, bob);
