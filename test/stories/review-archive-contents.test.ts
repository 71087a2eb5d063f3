// What a message may hold, and addresses of any length: the archive gives back what was delivered.
import { describe, expect } from "vitest";
import { asks, type Question } from "../support/archive.ts";
import { childOf, textOf } from "../support/match.ts";
import { stage } from "../support/story.ts";

// A character of each plane that has some, the last that XML allows, and what has meaning in XML and in SQL.
const PLANES = `é\u{FFFD}\u{D7FF}\u{E000}\u{1F600}\u{20000}\u{30000}\u{E0001}\u{F0000}\u{10FFFD} %_\\'"&amp;&lt;]]&gt;`;

describe("an archive", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} }, mod_inbox: {} } });

  story("gives back every character, long texts and many children", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    const children = Array.from({ length: 1000 }, (_, i) => `<x xmlns="urn:x:${i % 7}" n="${i}"/>`).join("");
    for (const inside of [
      `<body>${PLANES}</body>`,
      `<body>${"é".repeat(30_000)}</body>`,
      `<body>many</body>${children}`,
      "<body><![CDATA[<&>]]> and more</body>",
    ]) {
      alice.says(`<message to="${bob.bare}" type="chat">${inside}</message>`);
      const came = await bob.next();
      expect(came.name).toBe("message");
      for (const client of [alice, bob]) {
        const { messages } = await asks(client, { rsm: "<max>1</max><before/>" });
        const kept = messages[0].message;
        expect(textOf(childOf(kept, "body")!)).toBe(textOf(childOf(came, "body")!));
        expect(kept.children.filter((c) => typeof c !== "string" && c.name === "x").length).toBe(
          came.children.filter((c) => typeof c !== "string" && c.name === "x").length,
        );
      }
    }
  });

  story(
    "has what goes to a very long resource, in its order with the others",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const long = `${bob.bare}/${"r".repeat(300)}`;
      const ids = ["1", "2", "3", "4"];
      for (const id of ids) {
        const to = id === "2" || id === "4" ? long : bob.full;
        alice.says(`<message to="${to}" type="chat" id="${id}"><body>${id}</body></message>`);
      }
      for (const id of ids) await bob.hears(`<message id="${id}"/>`);
      for (const client of [alice, bob]) expect((await asks(client)).bodies).toEqual(ids);
    },
  );

  story("is nobody else's, whatever address is asked", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    alice.says(`<message to="${alice.bare}" type="chat"><body>private</body></message>`);
    await alice.hears("<message><body>private</body></message>");
    const questions: Question[] = [{}, { fields: { with: alice.bare } }, { rsm: "<max>1</max><before/>" }];
    for (const question of questions) {
      const { error, messages } = await asks(bob, { ...question, to: alice.bare });
      expect([error, messages]).toEqual(["auth forbidden", []]);
    }
    const [own] = (await asks(alice)).ids;
    expect((await asks(bob, { fields: { ids: [own] } })).messages).toEqual([]);
    for (const dir of ["after", "before"]) {
      expect((await asks(bob, { rsm: `<${dir}>${own}</${dir}>` })).messages).toEqual([]);
    }
  });
});
