// Offline storage held against what it promises, over real connections and on each database: whatever its addressee's
// clients do, a message that may wait comes, and once unless a client did not say that it has it; what each sender has
// sent comes in order; what may not wait, or has waited for too long, does not.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import { Client } from "../support/client.ts";
import type { StoryServer } from "../support/story-server.ts";
import { onEachServer } from "./server_each.ts";

const SENDERS = 2;
/** What is in a message, and whether it waits for its addressee. */
const MESSAGES: readonly (readonly [attributes: string, children: string, waits: boolean])[] = [
  ["type='chat'", "<body>hi</body>", true],
  ["", "<body>hi</body>", true],
  ["type='chat'", "<received xmlns='urn:xmpp:receipts' id='1'/>", true],
  ["type='chat'", "<body>hi</body><no-store xmlns='urn:xmpp:hints'/>", false],
  ["type='chat'", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false],
  ["type='headline'", "<body>hi</body>", false],
];

/** How a client is there, and how it goes. */
type Stay = "plain, leaves" | "plain, breaks" | "acknowledges, leaves" | "acknowledges, breaks" | "is silent, breaks";
const STAYS = [
  "plain, leaves",
  "plain, breaks",
  "acknowledges, leaves",
  "acknowledges, breaks",
  "is silent, breaks",
] as const satisfies readonly Stay[];

type Step =
  | { what: "send"; by: number; kind: number; many: number }
  | { what: "comes"; stay: Stay; inactive: boolean }
  | { what: "goes" };

const kind = fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 2 }) }, fc.integer({ min: 3, max: MESSAGES.length - 1 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant("send"),
      by: fc.nat({ max: SENDERS - 1 }),
      kind,
      many: fc.constantFrom(1, 2, 5, 40),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constant("comes"), stay: fc.constantFrom(...STAYS), inactive: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("goes") }) },
) as fc.Arbitrary<Step>;

class World {
  private readonly senders: Client[] = [];
  private there: { client: Client; stay: Stay; had: Set<string> } | undefined;
  private sent = 0;
  /** Messages that are to come, and those that came once or more. */
  private readonly waiting = new Set<string>();
  private readonly came = new Map<string, number>();
  /** Messages that a client was given without saying that it has them: they may come again. */
  private readonly doubtful = new Set<string>();

  private constructor(
    private readonly server: StoryServer,
    private readonly local: string,
  ) {}

  static async start(server: StoryServer, run: number): Promise<World> {
    const world = new World(server, `bob${run}`);
    await server.addAccount(world.local, "localhost", "secret");
    for (let i = 0; i < SENDERS; i++) {
      const account = { local: `sender${i}-${run}`, domain: "localhost", password: "secret" };
      await server.addAccount(account.local, account.domain, account.password);
      const sender = new Client(account, { assertions: 0 });
      world.senders.push(await sender.logsIn(server.target("tcp")));
    }
    return world;
  }

  async step(step: Step): Promise<void> {
    if (step.what === "send") await this.send(step.by, step.kind, step.many);
    else if (step.what === "goes") await this.goes();
    else if (this.there === undefined) await this.comes(step.stay, step.inactive);
  }

  private async send(by: number, kind: number, many: number): Promise<void> {
    // The server ends a stream on which too much is not acknowledged.
    if (this.there?.stay.startsWith("is silent") && this.there.had.size + many > 60) await this.goes();
    const [attributes, children, waits] = MESSAGES[kind];
    const sender = this.senders[by];
    for (let i = 0; i < many; i++) {
      const id = `${by}-${this.sent++}`;
      sender.says(`<message to='${this.local}@localhost' id='${id}' ${attributes}>${children}</message>`);
      if (waits) this.waiting.add(id);
    }
    await sender.settles();
    if (this.there !== undefined) await this.reads();
  }

  private async comes(stay: Stay, inactive: boolean): Promise<void> {
    const client = new Client({ local: this.local, domain: "localhost", password: "secret" }, { assertions: 0 });
    // The same resource: a stream that is broken and may be resumed is given up.
    await client.logsIn(this.server.target("tcp"), "pc");
    if (!stay.startsWith("plain")) await client.managesStream();
    if (inactive) client.sendsRaw("<inactive xmlns='urn:xmpp:csi:0'/>");
    client.says("<presence/>");
    if (inactive) client.sendsRaw("<active xmlns='urn:xmpp:csi:0'/>");
    this.there = { client, stay, had: new Set() };
    await this.reads();
  }

  /** Takes what has come; nothing that is to come is missing then. */
  private async reads(): Promise<void> {
    const { client, stay, had } = this.there!;
    const seen: string[] = [];
    await expect
      .poll(async () => {
        for (const e of await client.settles()) if (e.name === "message") seen.push(e.attrs["id"]);
        return [...this.waiting].filter((id) => !seen.includes(id) && !had.has(id));
      })
      .toEqual([]);
    for (let by = 0; by < SENDERS; by++) {
      const numbers = seen.filter((id) => id.startsWith(`${by}-`)).map((id) => Number(id.slice(2)));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
    for (const id of seen) {
      const before = this.came.get(id) ?? 0;
      if (before > 0) expect(this.doubtful).toContain(id);
      expect(had).not.toContain(id);
      had.add(id);
      this.came.set(id, before + 1);
      if (stay.startsWith("is silent")) this.doubtful.add(id);
      else this.doubtful.delete(id);
    }
    // What nobody has acknowledged comes again.
    for (const id of [...this.waiting]) if (!this.doubtful.has(id)) this.waiting.delete(id);
    if (stay.startsWith("acknowledges")) client.sendsRaw(`<a xmlns='urn:xmpp:sm:3' h='${client.received}'/>`);
  }

  async goes(): Promise<void> {
    if (this.there === undefined) return;
    const { client, stay } = this.there;
    this.there = undefined;
    if (stay.endsWith("leaves")) await client.leaves();
    else {
      await client.settles();
      await client.breaks();
    }
    // The server has seen it when nobody is there any more, but for a stream that may be resumed.
    const gone = (): boolean => this.server.node.sessionsOf(parseBareJid(client.bare)).every((s) => s.detached);
    await expect.poll(gone).toBe(true);
  }

  /** In the end everything has come. */
  async ends(): Promise<void> {
    await this.goes();
    await this.comes("plain, leaves", false);
    await this.goes();
    expect(this.waiting).toEqual(new Set());
    for (const sender of this.senders) sender.wire.cut();
  }
}

onEachServer("messages that wait", { modules: { mod_offline: { backend: "rdbms" } } }, (server) => {
  let runs = 0;

  test("come, in order, and once unless it is not known that they came", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25, size: "max" }), async (steps) => {
        const world = await World.start(server(), runs++);
        for (const one of steps) await world.step(one);
        await world.ends();
      }),
      { numRuns: 10, endOnFailure: true },
    );
    expect(server().logged.filter(({ level }) => level === "error")).toEqual([]);
  }, 120_000);
});
