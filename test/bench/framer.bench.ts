// What reading and writing a stanza costs: `bun test/bench/framer.bench.ts`.
import { bench, run, summary } from "mitata";
import type { Stanza } from "../../core/stanza.ts";
import { Framer, type FrameSink, ScanPool } from "../../core/xml/framer.ts";
import { DEFAULT_LIMITS } from "../../core/xml/scan.ts";
import { encode, Scratch } from "../../core/xml/writer.ts";

const HEADER =
  "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const CHAT = Buffer.from(
  "<message from='alice@example.com/balcony-4f1d' to='bob@example.com' id='0c1b9f52-7a2e-4c80-9f0e-3a6d5d0d4c11' type='chat'>" +
    "<body>Wherefore art thou, Romeo? Deny thy father and refuse thy name; or if thou wilt not</body>" +
    "<active xmlns='http://jabber.org/protocol/chatstates'/>" +
    "<origin-id xmlns='urn:xmpp:sid:0' id='0c1b9f52-7a2e-4c80-9f0e-3a6d5d0d4c11'/></message>",
);
const PING = Buffer.from("<iq id='p-1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
const PREFIXED = Buffer.from(
  "<message xmlns:x='urn:example:x' to='bob@example.com'><body>hello</body><x:y z='1'/></message>",
);

let last: Stanza | undefined;
const sink: FrameSink = {
  header: () => true,
  element(s) {
    last = s;
    return true;
  },
  end() {},
  malformed(condition, what) {
    throw new Error(`${condition}: ${what}`);
  },
};

function opened(): Framer {
  const framer = new Framer(sink, new ScanPool(), DEFAULT_LIMITS);
  framer.feed(Buffer.from(HEADER));
  return framer;
}

const framer = opened();
const ten = Buffer.concat(Array.from({ length: 10 }, () => CHAT));
const half = CHAT.length >> 1;
const halves = [CHAT.subarray(0, half), CHAT.subarray(half)];
const scratch = new Scratch();
framer.feed(CHAT);
const chat = last!;

console.log(`chat stanza: ${CHAT.length} bytes, three children`);
summary(() => {
  bench("frame a chat stanza", () => framer.feed(CHAT)).gc("inner");
  bench("frame ten chat stanzas in one piece", () => framer.feed(ten)).gc("inner");
  bench("frame a chat stanza in two pieces", () => {
    framer.feed(halves[0]);
    framer.feed(halves[1]);
  }).gc("inner");
  bench("frame a ping", () => framer.feed(PING)).gc("inner");
  bench("frame a stanza that must be rewritten (prefix)", () => framer.feed(PREFIXED)).gc("inner");
});
summary(() => {
  bench("ask for three children by name and namespace", () => {
    chat.has("body");
    chat.has("origin-id", "urn:xmpp:sid:0");
    return chat.has("received", "urn:xmpp:receipts");
  });
  bench("toIs, fromIs", () => chat.toIs("bob@example.com") && chat.fromIs("alice@example.com/balcony-4f1d"));
  bench("encode with from replaced", () => encode(scratch, chat, " from='alice@example.com/balcony-4f1d'", "", false));
  bench("encode with from and to replaced", () =>
    encode(scratch, chat, " from='alice@example.com/balcony-4f1d'", " to='bob@example.com/x'", false),
  );
});

await run();
