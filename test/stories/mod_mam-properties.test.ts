// Random messages go into archives as they were sent, and come out page by page: every one once, in order, unchanged.
import fc from "fast-check";
import { describe, expect } from "vitest";
import { parseExternalId } from "../../core/message-id.ts";
import { escapeXml } from "../../core/xml/markup.ts";
import { type Answer, asks } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { find } from "../support/match.ts";
import { stage } from "../support/story.ts";

/** Text that XML can carry, and that does not begin or end with white space, which tells nothing. */
const text = fc
  .oneof(fc.string({ unit: "grapheme", maxLength: 200 }), fc.string({ unit: "binary", maxLength: 1000 }))
  .map((any) => any.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "").trim());
const MESSAGE = fc.record({
  to: fc.constantFrom("bob", "carol", "nobody@elsewhere.example/some resource"),
  body: text.map((body) => `_${body}_`),
  originId: fc.option(text.filter((id) => id !== "" && id.length < 100)),
  type: fc.constantFrom("chat", "normal"),
});
const RUNS = 4;
const MESSAGES = 60;

async function pages(client: Client, max: number, backwards: boolean, fields?: Record<string, string>) {
  const found: Answer["messages"][number][] = [];
  for (let at = ""; ; ) {
    const place = backwards ? `<before>${at}</before>` : at === "" ? "" : `<after>${at}</after>`;
    const answer = await asks(client, { rsm: `<max>${max}</max>${place}`, ...(fields && { fields }) });
    if (backwards) found.unshift(...answer.messages);
    else found.push(...answer.messages);
    if (answer.complete) return found;
    at = (backwards ? answer.first : answer.last) ?? "";
  }
}

describe.each(["mam_message_xml", "mam_message_compressed_eterm"])("messages kept as %s", (db_message_format) => {
  const { story } = stage({ modules: { mod_mam: { pm: { db_message_format } } } });

  story(
    "whatever is sent comes back, in pages of any size, in either direction",
    { alice: 1, bob: 1, carol: 1 },
    async ({ alice, bob, carol }) => {
      const sent: { to: string; body: string; originId: string | null }[] = [];
      for (const batch of fc.sample(fc.array(MESSAGE, { minLength: MESSAGES, maxLength: MESSAGES }), RUNS)) {
        for (const { to, body, originId, type } of batch) {
          const address = to === "bob" ? bob.bare : to === "carol" ? carol.bare : to;
          const origin = originId === null ? "" : `<origin-id xmlns="urn:xmpp:sid:0" id="${escapeXml(originId)}"/>`;
          alice.says(`<message to="${address}" type="${type}"><body>${escapeXml(body)}</body>${origin}</message>`);
          sent.push({ to: address, body, originId });
        }
        const max = 1 + (sent.length % 17);
        // What has come, or has come back, is kept.
        for (const { to } of batch) {
          if (to === "bob") await bob.skipsTo((e) => e.name === "message");
          else if (to === "carol") await carol.skipsTo((e) => e.name === "message");
          else await alice.skipsTo((e) => e.attrs["type"] === "error");
        }
        for (const backwards of [false, true]) {
          const found = await pages(alice, max, backwards);
          expect(found.map(({ body }) => body)).toEqual(sent.map(({ body }) => body));
          expect(found.map(({ message }) => find(message, "origin-id")?.attrs["id"] ?? null)).toEqual(
            sent.map(({ originId }) => originId),
          );
          const ids = found.map(({ id }) => parseExternalId(id) ?? -1n);
          expect(ids.every((id, i) => id > 0n && (i === 0 || id > ids[i - 1]))).toBe(true);
          for (const client of [bob, carol]) {
            const own = sent.filter(({ to }) => to === client.bare).map(({ body }) => body);
            expect((await pages(client, max, backwards)).map(({ body }) => body)).toEqual(own);
            const theirs = await pages(alice, max, backwards, { with: client.bare });
            expect(theirs.map(({ body }) => body)).toEqual(own);
          }
        }
      }
    },
    { covers: ["mam_proper_SUITE:async_writer_store"] },
  );
});
