// What a user is shown of his archive (XEP-0313) and his inbox.

import { parseExternalId } from "../../../core/message-id.ts";
import { attribute, LoadClient } from "../client.ts";
import type { Ledger } from "./people.ts";

/** A message in an archive: its id there, and the sender's. */
interface Kept {
  readonly at: string;
  readonly id: string;
}

interface Page {
  readonly kept: readonly Kept[];
  readonly complete: boolean;
  readonly count: number;
}

/** An entry of an inbox. */
interface Conversation {
  readonly with: string;
  /** Id of its last message. */
  readonly last: string;
  readonly unread: number;
}

/** Messages of a page. */
const MAX = 40;

/** Looks at what is kept for a user, with a connection of its own that takes no messages. */
class Reader {
  private results: string[] = [];
  private asked = 0;

  private constructor(private readonly client: LoadClient) {}

  static async open(port: number, user: string): Promise<Reader> {
    const events = {
      stanza: (element: string) => {
        if (element.includes("<result")) reader.results.push(element);
      },
      acknowledged() {},
    };
    const reader = new Reader(await LoadClient.login(port, user, "reader", events, false));
    return reader;
  }

  private async ask(markup: string): Promise<{ results: string[]; end: string }> {
    this.results = [];
    const id = `ask${++this.asked}`;
    const end = await this.client.ask(id, `<iq type='set' id='${id}'>${markup}</iq>`);
    if (attribute(end, "type") !== "result") throw new Error(`Refused: ${end}`);
    return { results: this.results, end };
  }

  private async page(set: string): Promise<Page> {
    const rsm = `<set xmlns='http://jabber.org/protocol/rsm'><max>${MAX}</max>${set}</set>`;
    const { results, end } = await this.ask(`<query xmlns='urn:xmpp:mam:2'>${rsm}</query>`);
    const kept = results.map((text) => ({
      at: /<result[^>]* id=['"]([^'"]*)/.exec(text)?.[1] ?? "",
      id: attribute(text.slice(text.indexOf("<message", 1)), "id") ?? "",
    }));
    return { kept, complete: /complete=['"]true/.test(end), count: Number(/<count>(\d+)</.exec(end)?.[1]) };
  }

  /** The whole archive from its first message on. */
  async forwards(): Promise<{ kept: Kept[]; count: number }> {
    const all: Kept[] = [];
    for (;;) {
      const { kept, complete, count } = await this.page(all.length === 0 ? "" : `<after>${all.at(-1)?.at}</after>`);
      all.push(...kept);
      if (complete || kept.length === 0) return { kept: all, count };
    }
  }

  /** The whole archive from its last message back, in the order of `forwards`. */
  async backwards(): Promise<Kept[]> {
    let all: Kept[] = [];
    for (;;) {
      const { kept, complete } = await this.page(`<before>${all[0]?.at ?? ""}</before>`);
      all = [...kept, ...all];
      if (complete || kept.length === 0) return all;
    }
  }

  /** The inbox, the newest conversation first. */
  async inbox(): Promise<Conversation[]> {
    const { results } = await this.ask("<inbox xmlns='erlang-solutions.com:xmpp:inbox:0'/>");
    return results.map((text) => {
      const message = text.slice(text.indexOf("<message", 1));
      const [from, to] = ["from", "to"].map((name) => attribute(message, name)?.split("@")[0] ?? "");
      return {
        with: attribute(text, "to")?.split("@")[0] === from ? to : from,
        last: attribute(message, "id") ?? "",
        unread: Number(/ unread=['"](\d+)/.exec(text)?.[1]),
      };
    });
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/**
 * What is wrong with the archive and the inbox of a user: messages that were acknowledged and are not in the archive
 * once, another order than that of sending, by either way of paging, and conversations that do not show their last
 * message. Of a sender that was cut off the last messages may be there or not.
 */
export async function problemsOf(port: number, user: string, ledger: Ledger): Promise<string[]> {
  const problems: string[] = [];
  const wrong = (what: string): void => void problems.push(`${user}: ${what}`);
  const reader = await Reader.open(port, user);
  try {
    const { kept, count } = await reader.forwards();
    if (count !== kept.length) wrong(`${kept.length} messages and a count of ${count}`);
    if (JSON.stringify(await reader.backwards()) !== JSON.stringify(kept)) wrong("another archive when read backwards");
    const numbers = kept.map(({ at }) => parseExternalId(at) ?? -1n);
    for (const [i, number] of numbers.entries()) {
      if (i > 0 && number <= numbers[i - 1]) wrong(`id ${kept[i].at} comes after ${kept[i - 1].at}`);
    }
    const places = new Map<string, number>();
    for (const [place, { id }] of kept.entries()) {
      if (places.has(id)) wrong(`${id} is there twice`);
      places.set(id, place);
    }
    for (const { id } of ledger.taken.filter(({ from, to }) => from === user || to === user)) {
      if (!places.has(id)) wrong(`${id} is not there`);
    }
    outOfOrder(user, ledger, places).forEach(wrong);
    wrongInbox(await reader.inbox(), inboxOf(user, ledger, kept)).forEach(wrong);
  } finally {
    await reader.close();
  }
  return problems;
}

/**
 * Messages before others that were sent earlier. Two senders' order is known only where the first had its
 * acknowledgement before the second sent, which the ledger does not say: a sender's own messages are compared, and those
 * of two who take turns.
 */
function outOfOrder(user: string, { sent }: Ledger, places: ReadonlyMap<string, number>): string[] {
  const found: string[] = [];
  const last = new Map<string, { id: string; place: number }>();
  for (const { from, to, id } of sent) {
    const place = places.get(id);
    if (place === undefined || (from !== user && to !== user)) continue;
    const line = takesTurns(from) ? "turns" : from;
    const before = last.get(line);
    if (before !== undefined && before.place > place) found.push(`${id} is before ${before.id}`);
    last.set(line, { id, place });
  }
  return found;
}

/** Who sends only when all that was sent before is acknowledged. */
export const takesTurns = (user: string): boolean => user.startsWith("turn");

/** What an inbox has to show of a conversation. */
interface Meant {
  readonly with: string;
  readonly last: string;
  /** Messages that were acknowledged, and all that are in the archive. */
  readonly unread: readonly [least: number, most: number];
}

/**
 * The inbox that an archive leads to, the newest conversation first. A message that was archived when the server was
 * killed, and not acknowledged, may be in the inbox or not.
 */
function inboxOf(user: string, { sent }: Ledger, kept: readonly Kept[]): Meant[] {
  const byId = new Map(sent.map((message) => [message.id, message]));
  const found = new Map<string, Meant>();
  for (const { id } of kept) {
    const message = byId.get(id);
    if (message === undefined) continue;
    const own = message.from === user;
    const other = own ? message.to : message.from;
    const [least, most] = found.get(other)?.unread ?? [0, 0];
    // The one that was spoken in last is the first.
    found.delete(other);
    found.set(other, { with: other, last: id, unread: own ? [0, 0] : [least + (message.acked ? 1 : 0), most + 1] });
  }
  return [...found.values()].reverse();
}

function wrongInbox(shown: readonly Conversation[], meant: readonly Meant[]): string[] {
  const line = (list: readonly { with: string; last: string }[]): string =>
    list.map((c) => `${c.with} (${c.last})`).join(", ");
  if (line(shown) !== line(meant)) return [`inbox ${line(shown)} in place of ${line(meant)}`];
  return shown.flatMap(({ with: other, unread }, i) => {
    const [least, most] = meant[i].unread;
    return unread >= least && unread <= most ? [] : [`${unread} unread of ${other} in place of ${least} to ${most}`];
  });
}
