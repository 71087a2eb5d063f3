// Users who chat, and know what became of each of their messages.

import { attribute, LoadClient } from "../client.ts";

/** A message that was sent. Messages are numbered by their sender. */
export interface Sent {
  readonly from: string;
  readonly to: string;
  readonly id: string;
  acked: boolean;
}

/** All messages of a run, in the order in which they were sent. */
export class Ledger {
  readonly sent: Sent[] = [];
  readonly refused = new Set<string>();

  /** What the server has taken over. */
  get taken(): Sent[] {
    return this.sent.filter(({ acked, id }) => acked && !this.refused.has(id));
  }
}

/** A user with one connection at a time. */
export class Person {
  client!: LoadClient;
  /** How often each message came, in the order of their first coming. */
  readonly got = new Map<string, number>();
  /** Pings of the server. */
  pings = 0;
  /** Sent on this stream. */
  private mine: Sent[] = [];
  private wake: () => void = () => {};
  private n = 0;

  constructor(
    readonly name: string,
    private readonly port: number,
    private readonly ledger: Ledger,
  ) {}

  get jid(): string {
    return `${this.name}@localhost`;
  }

  private readonly events = {
    stanza: (element: string): void => {
      const id = attribute(element, "id") ?? "";
      if (element.includes("urn:xmpp:ping")) {
        this.pings++;
        this.client.send(`<iq type='result' id='${id}'/>`);
      } else if (element.startsWith("<message")) {
        if (attribute(element, "type") === "error") this.ledger.refused.add(id);
        else this.got.set(id, (this.got.get(id) ?? 0) + 1);
      }
    },
    acknowledged: (h: number): void => {
      for (const message of this.mine.slice(0, h)) message.acked = true;
      this.wake();
    },
  };

  /** Logs in and is available. */
  async login(): Promise<this> {
    this.mine = [];
    this.client = await LoadClient.login(this.port, this.name, "x", this.events);
    // Presence counts for the acknowledgement too: it is sent before the messages, and settled.
    this.mine.push({ from: this.name, to: "", id: "", acked: true });
    this.client.send("<presence/>");
    return this;
  }

  /** Takes the stream up again that broke; false when it is gone. */
  async resume(): Promise<boolean> {
    const resumed = await LoadClient.resume(this.port, this.client, this.events);
    if (resumed !== undefined) this.client = resumed;
    return resumed !== undefined;
  }

  /** Sends so many messages at once; resolves when the server has acknowledged them or the connection is gone. */
  async say(to: Person, many = 1): Promise<void> {
    let text = "";
    for (let i = 0; i < many; i++) {
      const message: Sent = { from: this.name, to: to.name, id: `${this.name}-${++this.n}`, acked: false };
      this.ledger.sent.push(message);
      this.mine.push(message);
      text += `<message to='${to.jid}' id='${message.id}' type='chat'><body>${message.id}</body></message>`;
    }
    const last = this.mine.at(-1);
    const answered = new Promise<void>((resolve) => {
      this.wake = () => {
        if (last?.acked) resolve();
      };
    });
    this.client.send(`${text}<r xmlns='urn:xmpp:sm:3'/>`);
    await Promise.race([answered, this.client.gone, lateness(`${this.name}: no acknowledgement`)]);
  }
}

/** Fails after a time in which every server answers. */
export const lateness = (what: string, ms = 10_000): Promise<never> =>
  new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms).unref());
