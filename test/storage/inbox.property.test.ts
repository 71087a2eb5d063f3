// Whole inboxes held against a naive model: three users with two clients each talk, read, mute, archive, throw away and
// empty, over real connections, on each database and with both back ends. After every step each inbox must be the
// model's, and at the end every client must have been told of what has changed by itself.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { change, NS_CONVERSATION, NS_INBOX, request } from "../support/inbox.ts";
import { childOf, textOf, type XElement } from "../support/match.ts";
import type { StoryServer } from "../support/story-server.ts";
import { onEachServer } from "./server_each.ts";

const NAMES = ["a", "b", "c"];
const BOXES = ["inbox", "archive", "bin", "other"] as const;
const HOUR = 3600;

/** What a message has beside its id, and whether it is one that inboxes keep. */
const MESSAGES: readonly (readonly [attributes: string, children: string, kept: boolean])[] = [
  ["type='chat'", "<body>hi</body>", true],
  ["type='chat'", "<body>hi</body><markable xmlns='urn:xmpp:chat-markers:0'/>", true],
  ["", "<body>hi</body>", true],
  ["type='normal'", "<store xmlns='urn:xmpp:hints'/>", true],
  ["type='chat'", "<body>hi</body><no-store xmlns='urn:xmpp:hints'/>", false],
  ["type='chat'", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false],
  ["type='chat'", "<received xmlns='urn:xmpp:receipts' id='1'/>", false],
  ["type='headline'", "<body>hi</body>", false],
];

const who = fc.nat({ max: 2 });
const client = fc.nat({ max: 1 });
const sends = (kind: fc.Arbitrary<number>) =>
  fc.record({ what: fc.constant("send"), who, client, to: who, full: fc.boolean(), kind });
const step = fc.oneof(
  { weight: 8, arbitrary: sends(fc.nat({ max: 3 })) },
  { weight: 1, arbitrary: sends(fc.integer({ min: 4, max: 7 })) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant("mark"),
      who,
      client,
      to: who,
      nth: fc.nat({ max: 2 }),
      marker: fc.constantFrom("displayed", "displayed", "received", "acknowledged"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("burst"), who, each: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constant("box"), who, client, to: who, box: fc.constantFrom(...BOXES) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("archive"), who, client, to: who, value: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("read"), who, client, to: who, value: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("mute"), who, client, to: who, hours: fc.nat({ max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("reset"), who, client, to: who }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("empty"), who, client }) },
) as fc.Arbitrary<Step>;

type Step =
  | { what: "send"; who: number; client: number; to: number; full: boolean; kind: number }
  | { what: "mark"; who: number; client: number; to: number; nth: number; marker: string }
  | { what: "burst"; who: number; each: number }
  | { what: "box"; who: number; client: number; to: number; box: string }
  | { what: "archive" | "read"; who: number; client: number; to: number; value: boolean }
  | { what: "mute"; who: number; client: number; to: number; hours: number }
  | { what: "reset"; who: number; client: number; to: number }
  | { what: "empty"; who: number; client: number };

interface Entry {
  remote: string;
  unread: number;
  box: string;
  muted: boolean;
  id: string;
}

/** A user's inbox in the plainest way: entries, the oldest first. */
class Inbox {
  entries: Entry[] = [];
  /** How often a message has brought an entry back from the archive. */
  returns = 0;

  of(remote: string): Entry | undefined {
    return this.entries.find((entry) => entry.remote === remote);
  }

  put(remote: string, id: string, unread: (before: number) => number): void {
    const before = this.of(remote) ?? { remote, unread: 0, box: "inbox", muted: false, id };
    if (before.box === "archive") this.returns++;
    const box = before.box === "archive" ? "inbox" : before.box;
    this.entries = this.entries.filter((entry) => entry !== before);
    this.entries.push({ ...before, box, id, unread: unread(before.unread) });
  }
}

type Filter = (entry: Entry) => boolean;
const FILTERS: readonly (readonly [form: Record<string, string>, wanted: Filter])[] = [
  [{}, (e) => e.box !== "bin"],
  [{ box: "inbox" }, (e) => e.box === "inbox"],
  [{ box: "bin" }, (e) => e.box === "bin"],
  [{ box: "other", hidden_read: "true" }, (e) => e.box === "other" && e.unread > 0],
  [{ archive: "true" }, (e) => e.box === "archive"],
  [{ archive: "false" }, (e) => e.box === "inbox"],
  [{ hidden_read: "true" }, (e) => e.box !== "bin" && e.unread > 0],
  [{ box: "all", hidden_read: "1" }, (e) => e.unread > 0],
];

class World {
  readonly clients: Client[][] = [];
  readonly inboxes = NAMES.map(() => new Inbox());
  /** Announcements without an answer to go with, by client. */
  private readonly returned = new Map<Client, number>();
  private ids = 0;

  static async start(server: StoryServer, run: number): Promise<World> {
    const world = new World();
    for (const name of NAMES) {
      const account = { local: `${name}${run}`, domain: "localhost", password: "secret" };
      await server.addAccount(account.local, account.domain, account.password);
      const own: Client[] = [];
      for (const resource of ["laptop", "phone"]) {
        const client = new Client(account, { assertions: 0 });
        await client.logsIn(server.target("tcp"), resource);
        client.says("<presence/>");
        await client.settles();
        own.push(client);
      }
      world.clients.push(own);
    }
    return world;
  }

  cut(): void {
    for (const client of this.clients.flat()) client.wire.cut();
  }

  private readonly bare = (i: number): string => this.clients[i][0].bare;

  /** The next element that is for this conversation with the server; counts announcements. */
  private async next(client: Client): Promise<XElement> {
    for (;;) {
      const e = await client.next();
      if (!this.isNews(client, e)) return e;
    }
  }

  private isNews(client: Client, e: XElement): boolean {
    if (e.name === "presence") return true;
    if (e.name !== "message" || childOf(e, "result", NS_INBOX) !== undefined) return false;
    const x = childOf(e, "x", NS_CONVERSATION);
    if (x !== undefined && x.attrs["queryid"] === undefined) {
      this.returned.set(client, (this.returned.get(client) ?? 0) + 1);
      expect(textOf(childOf(x, "box")!)).toBe("inbox");
    }
    return x === undefined || x.attrs["queryid"] === undefined || x.attrs["queryid"] !== "mine";
  }

  async step(step: Step): Promise<void> {
    const inbox = this.inboxes[step.who];
    switch (step.what) {
      case "send": {
        const from = this.clients[step.who][step.client];
        this.send(from, step.to, step.full, step.kind);
        await from.settled();
        return;
      }
      case "burst":
        return this.burst(step.who, step.each);
      case "mark": {
        const from = this.clients[step.who][step.client];
        const entry = inbox.of(this.bare(step.to));
        const id = step.nth === 0 ? (entry?.id ?? "none") : `m${this.ids - step.nth}`;
        from.says(
          `<message to='${this.bare(step.to)}'><${step.marker} xmlns='urn:xmpp:chat-markers:0' id='${id}'/></message>`,
        );
        if (step.marker === "displayed" && entry?.id === id) entry.unread = 0;
        await from.settled();
        return;
      }
      case "reset": {
        const from = this.clients[step.who][step.client];
        from.says(`<iq type='set' id='reset'><reset xmlns='${NS_CONVERSATION}' jid='${this.bare(step.to)}'/></iq>`);
        expect((await this.next(from)).attrs).toMatchObject({ type: "result", id: "reset" });
        const entry = inbox.of(this.bare(step.to));
        if (entry !== undefined) entry.unread = 0;
        return;
      }
      case "empty": {
        const from = this.clients[step.who][step.client];
        from.says(`<iq type='set' id='empty'><empty-bin xmlns='${NS_INBOX}'/></iq>`);
        const iq = await this.next(from);
        const gone = inbox.entries.filter((entry) => entry.box === "bin").length;
        expect(textOf(childOf(childOf(iq, "empty-bin", NS_INBOX)!, "num")!)).toBe(`${gone}`);
        inbox.entries = inbox.entries.filter((entry) => entry.box !== "bin");
        return;
      }
      case "box":
        return this.change(step, "box", step.box, (entry) => {
          entry.box = step.box;
        });
      case "archive":
        return this.change(step, "archive", `${step.value}`, (entry) => {
          entry.box = step.value ? "archive" : "inbox";
        });
      case "read":
        return this.change(step, "read", `${step.value}`, (entry) => {
          entry.unread = step.value ? 0 : Math.max(1, entry.unread);
        });
      case "mute":
        return this.change(step, "mute", `${step.hours * HOUR}`, (entry) => {
          entry.muted = step.hours > 0;
        });
    }
  }

  private send(from: Client, to: number, full: boolean, kind: number): string {
    const [attributes, children, kept] = MESSAGES[kind];
    const id = `m${this.ids++}`;
    const address = full ? this.clients[to][1].full : this.bare(to);
    from.says(`<message to='${address}' id='${id}' ${attributes}>${children}</message>`);
    if (!kept) return id;
    const sender = this.clients.findIndex((own) => own.includes(from));
    this.inboxes[sender].put(this.bare(to), id, () => 0);
    if (to !== sender) this.inboxes[to].put(this.bare(sender), id, (n) => n + 1);
    return id;
  }

  /** All clients of the others write to one user at once: which of them is the last is for the server to say. */
  private async burst(to: number, each: number): Promise<void> {
    const senders = [0, 1, 2].filter((i) => i !== to);
    const last = senders.map(() => [] as string[]);
    for (let n = 0; n < each; n++) {
      for (const [s, sender] of senders.entries()) {
        for (const [c, client] of this.clients[sender].entries()) last[s][c] = this.send(client, to, n % 2 === 0, 0);
      }
    }
    await Promise.all(senders.flatMap((s) => this.clients[s].map((client) => client.settled())));
    const found = (await this.ask(this.clients[to][0], { form: { order: "asc", box: "all" } })).entries;
    const inbox = this.inboxes[to];
    for (const [s, sender] of senders.entries()) {
      const entry = inbox.of(this.bare(sender))!;
      const id = found.find(({ remote }) => remote === entry.remote)!.id;
      expect(last[s]).toContain(id);
      entry.id = id;
      this.inboxes[sender].of(this.bare(to))!.id = id;
    }
    // They were the last two in one order or the other.
    const order = found.map(({ remote }) => remote);
    inbox.entries.sort((a, b) => order.indexOf(a.remote) - order.indexOf(b.remote));
    expect(order.slice(-2).sort()).toEqual(senders.map(this.bare).sort());
  }

  private async change(
    { who, client, to }: { who: number; client: number; to: number },
    name: string,
    value: string,
    apply: (entry: Entry) => void,
  ): Promise<void> {
    const from = this.clients[who][client];
    const entry = this.inboxes[who].of(this.bare(to));
    from.says(change(this.bare(to), `<${name}>${value}</${name}>`, { id: "change", queryid: "mine" }));
    if (entry === undefined) {
      expect((await this.next(from)).attrs).toMatchObject({ type: "error", id: "change" });
      return;
    }
    apply(entry);
    const told = await this.next(from);
    expect(shownOf(childOf(told, "x", NS_CONVERSATION)!)).toEqual(shownAs(entry));
    expect((await this.next(from)).attrs).toMatchObject({ type: "result", id: "change" });
    // The other client is told the same.
    const other = this.clients[who][1 - client];
    expect(shownOf(childOf(await this.next(other), "x", NS_CONVERSATION)!)).toEqual(shownAs(entry));
  }

  private async ask(client: Client, asked: Parameters<typeof request>[0]) {
    client.says(request(asked));
    const entries: Entry[] = [];
    for (;;) {
      const e = await this.next(client);
      if (e.name === "iq") {
        const fin = childOf(e, "fin", NS_INBOX)!;
        const number = (name: string): number => Number(textOf(childOf(fin, name)!));
        const unread = entries.reduce((n, entry) => n + entry.unread, 0);
        expect([number("count"), number("unread-messages"), number("active-conversations")]).toEqual([
          entries.length,
          unread,
          entries.filter((entry) => entry.unread > 0).length,
        ]);
        const last = childOf(childOf(fin, "set")!, "last");
        return { entries, last: last && textOf(last) };
      }
      entries.push(this.entryOf(client, childOf(e, "result", NS_INBOX)!));
    }
  }

  private entryOf(client: Client, result: XElement): Entry {
    const message = childOf(childOf(result, "forwarded", "urn:xmpp:forward:0")!, "message")!;
    const [from, to] = [message.attrs["from"], message.attrs["to"]].map((jid) => jid.split("/")[0]);
    const shown = shownOf(result);
    const unread = Number(result.attrs["unread"]);
    expect(shown.read).toBe(`${unread === 0}`);
    return {
      remote: from === client.bare ? to : from,
      unread,
      box: shown.box,
      muted: shown.muted,
      id: message.attrs["id"],
    };
  }

  /** Every inbox is the model's; one of them also by what a filter shows of it, and page by page. */
  async check(n: number): Promise<void> {
    for (const [i, inbox] of this.inboxes.entries()) {
      const client = this.clients[i][n % 2];
      const { entries } = await this.ask(client, { form: { order: "asc", box: "all" } });
      expect(entries).toEqual(inbox.entries);
      const [form, wanted] = FILTERS[(n + i) % FILTERS.length];
      const expected = inbox.entries.filter(wanted).reverse();
      expect((await this.ask(client, { form })).entries).toEqual(expected);
      if (n % 4 === 0) expect(await this.pages(client, form)).toEqual(expected);
    }
  }

  private async pages(client: Client, form: Record<string, string>): Promise<Entry[]> {
    const all: Entry[] = [];
    for (let after = ""; ; ) {
      const page: Record<string, string> = after === "" ? { max: "1" } : { max: "1", after };
      const { entries, last } = await this.ask(client, { form, page });
      if (last === undefined) return all;
      all.push(...entries);
      after = last;
    }
  }

  /** Each client has been told of each return once. */
  async wasTold(): Promise<void> {
    for (const [i, own] of this.clients.entries()) {
      for (const client of own) {
        await expect
          .poll(async () => {
            for (const e of await client.settles()) this.isNews(client, e);
            return this.returned.get(client) ?? 0;
          })
          .toBe(this.inboxes[i].returns);
      }
    }
  }
}

const shownOf = (e: XElement) => {
  const [read, box, archive, mute] = ["read", "box", "archive", "mute"].map((name) => textOf(childOf(e, name)!));
  expect(archive).toBe(`${box === "archive"}`);
  return { read, box, muted: mute !== "0" };
};
const shownAs = ({ unread, box, muted }: Entry) => ({ read: `${unread === 0}`, box, muted });

describe.each(["rdbms", "rdbms_async"])("%s", (backend) => {
  const changes = { modules: { mod_inbox: { backend, boxes: ["other"] } } };
  onEachServer("inboxes", changes, (server) => {
    let runs = 0;

    test("are the model's after every step", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: "max" }), async (steps) => {
          const world = await World.start(server(), runs++);
          try {
            for (const [n, one] of steps.entries()) {
              await world.step(one);
              await world.check(n);
            }
            await world.wasTold();
          } finally {
            world.cut();
          }
        }),
        { numRuns: 12, endOnFailure: true },
      );
      expect(server().logged.filter(({ level }) => level === "error")).toEqual([]);
    }, 120_000);
  });
});
