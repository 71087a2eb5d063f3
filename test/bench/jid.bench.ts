// What a JID costs: `bun test/bench/jid.bench.ts`.
import { bench, run, summary } from "mitata";
import { JidCache, parseJid } from "../../core/jid.ts";

// As they come from the wire: a string of its own for each stanza.
const full = Buffer.from("juliet@example.com/balcony-4f1d");
const cache = new JidCache(10_000);

summary(() => {
  bench("parse an ASCII full JID", () => parseJid(full.latin1Slice())).gc("inner");
  bench("cache hit", () => cache.parse(full.latin1Slice())).gc("inner");
  bench("latin1Slice alone", () => full.latin1Slice()).gc("inner");
});
bench("parse an ASCII full JID with capitals", () => parseJid("Juliet@Example.com/balcony-4f1d"));
bench("parse a Cyrillic bare JID", () => parseJid("\u0436\u0443\u043A@example.com"));
bench("parse a JID with an international domain", () => parseJid("juliet@b\u00FCcher.example"));

await run();
