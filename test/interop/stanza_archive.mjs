// StanzaJS reads archives over WebSocket. Runs on Node.
//
//     stanza_archive.mjs URL ALICE BOB PASSWORD
//
// Every fact is a line {"fact", "holds", "seen"} on stdout.

import { createClient } from "stanza";
import { fact, play } from "./acts.mjs";

const [url, ALICE, BOB, password] = process.argv.slice(2);

function connect(jid) {
  const client = createClient({ jid, password, transports: { websocket: url, bosh: false }, autoReconnect: false });
  client.heard = [];
  client.on("chat", (message) => client.heard.push(message));
  const started = new Promise((resolve, reject) => {
    client.on("session:started", resolve);
    client.on("auth:failed", () => reject(new Error("auth:failed")));
    client.on("disconnected", () => reject(new Error("disconnected")));
  });
  client.connect();
  return started.then(() => {
    client.sendPresence();
    return client;
  });
}

async function heard(client, body) {
  for (const until = Date.now() + 8000; Date.now() < until; ) {
    if (client.heard.some((message) => message.body === body)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${body} did not come`);
}

const bodies = ({ results }) => results.map(({ item }) => item.message.body);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const acts = {
  async reading(alice, bob) {
    for (let n = 1; n <= 12; n++) {
      const [from, to] = n % 2 === 1 ? [alice, bob] : [bob, alice];
      from.sendMessage({ to: to.jid, type: "chat", body: `Message #${n}` });
      await heard(to, `Message #${n}`);
    }
    const all = Array.from({ length: 12 }, (_, i) => `Message #${i + 1}`);
    const found = await alice.searchHistory({ with: BOB });
    fact("a search gives the conversation", same(bodies(found), all), bodies(found));
    fact("and says that it is complete", found.complete === true, found.complete);
    fact(
      "each message has its time",
      found.results.every(({ item }) => item.delay?.timestamp instanceof Date),
    );
    const page = await alice.searchHistory({ paging: { max: 5 } });
    fact("a page is as long as it was asked for", same(bodies(page), all.slice(0, 5)), bodies(page));
    fact("and says how many there are", page.paging.count === 12, page.paging);
    const next = await alice.searchHistory({ paging: { max: 5, after: page.paging.last } });
    fact("the next follows", same(bodies(next), all.slice(5, 10)), bodies(next));
    const last = await alice.searchHistory({ paging: { max: 5, before: "" } });
    fact("the last is the newest", same(bodies(last), all.slice(7)), bodies(last));
    const { timestamp } = found.results[3].item.delay;
    const later = await alice.searchHistory({ start: timestamp });
    fact("a search has a time to begin with", bodies(later).length >= 9 && bodies(later).length <= 10, bodies(later));
    const form = await alice.getHistorySearchForm(ALICE);
    fact(
      "the form tells the fields",
      form.fields.some(({ name }) => name === "after-id"),
      form,
    );
    const refused = await alice.searchHistory(BOB).then(
      () => "",
      (error) => error?.error?.condition,
    );
    fact("another's archive is not given", refused === "forbidden", refused);
  },
  async preferring(alice, bob) {
    const before = await alice.getHistoryPreferences();
    fact("everything is archived by default", before.default === "always", before);
    await alice.setHistoryPreferences({ default: "always", never: [BOB] });
    const after = await alice.getHistoryPreferences();
    fact("preferences are set", after.default === "always" && same(after.never, [BOB]), after);
    alice.sendMessage({ to: bob.jid, type: "chat", body: "off the record" });
    await heard(bob, "off the record");
    const found = await alice.searchHistory({ with: BOB });
    fact("and followed", !bodies(found).includes("off the record"), bodies(found));
    const theirs = await bob.searchHistory({ with: ALICE });
    fact("by one's own archive alone", bodies(theirs).includes("off the record"), bodies(theirs));
  },
};

const [alice, bob] = await Promise.all([connect(ALICE), connect(BOB)]);
await play(acts, alice, bob);
