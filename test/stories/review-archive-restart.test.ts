// The archive is switched off and on while messages come.
import { describe, expect } from "vitest";
import { asks } from "../support/archive.ts";
import { HeldWrites } from "../support/held-writes.ts";
import { stage } from "../support/story.ts";

describe("an archive that is stopped and started while messages come", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {}, max_result_limit: 1000 }, mod_inbox: {} } });

  story(
    "keeps what it was given, once and in order, and every message is delivered",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const host = server.node.hosts.get("localhost")!;
      const { def, ctx } = host.modules.get("mod_mam")!;
      const say = (id: number): void =>
        alice.says(`<message to="${bob.full}" type="chat" id="${id}"><body>${id}</body></message>`);
      const writes = HeldWrites.of(server);
      let said = 0;
      for (let i = 0; i < 20; i++) say(said++);
      await writes.next();
      await host.stopModule("mod_mam");
      for (let i = 0; i < 20; i++) say(said++);
      // Handled without the archive, behind what waits for it.
      await new Promise((resolve) => setTimeout(resolve, 100));
      await host.startModule(def, ctx.config);
      writes.open();
      for (let i = 0; i < 20; i++) say(said++);
      for (let id = 0; id < said; id++) await bob.hears(`<message id="${id}"/>`);
      const bodies = (await asks(bob, { rsm: "<max>1000</max>" })).bodies.map(Number);
      expect(bodies).toEqual([...new Set(bodies)].sort((a, b) => a - b));
      for (const id of [0, 19, 40, 59]) expect(bodies).toContain(id);
      expect((await asks(alice, { rsm: "<max>1000</max>" })).bodies.map(Number)).toEqual(bodies);
    },
  );
});
