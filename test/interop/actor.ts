// A real XMPP client in a process of its own, driven by JSON lines: what it is told to do, and what happens to it.

import { join } from "node:path";
import type { Subprocess } from "bun";

/** What a client tells. Which members are there depends on the event. */
export interface Happening {
  readonly event:
    | "ready"
    | "online"
    | "resumed"
    | "offline"
    | "message"
    | "presence"
    | "roster"
    | "tick"
    | "failed"
    | "error";
  readonly client?: string;
  readonly mechanism?: string;
  /** Version of TLS, null where the client cannot tell or there is none. */
  readonly tls?: string | null;
  readonly from?: string;
  readonly body?: string;
  /** When the server took a delayed message, null for one that was not delayed. */
  readonly delayed?: string | null;
  readonly type?: string;
  /** JID -> subscription. */
  readonly items?: Readonly<Record<string, string>>;
  readonly why?: string;
}

export type Kind = "slixmpp" | "xmppjs";

const WAIT_MS = 15_000;

export class Actor {
  /** The library and its version. */
  client = "";
  /** Everything that happened and was not looked at yet. */
  private pending: Happening[] = [];
  private wake: (() => void) | undefined = undefined;
  private ended = false;

  private constructor(
    readonly name: string,
    readonly jid: string,
    private readonly process: Subprocess<"pipe", "pipe", "pipe">,
  ) {}

  /** Starts the client's process. `ca` is the certificate file that it is to trust. */
  static async start(kind: Kind, name: string, jid: string, ca: string): Promise<Actor> {
    const words =
      kind === "slixmpp"
        ? ["/usr/bin/python3", join(import.meta.dir, "slixmpp_client.py")]
        : ["node", "--experimental-websocket", "--no-warnings", join(import.meta.dir, "xmppjs_client.mjs")];
    const process = Bun.spawn(words, {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...globalThis.process.env, NODE_EXTRA_CA_CERTS: ca, PYTHONUNBUFFERED: "1" },
    });
    const actor = new Actor(name, jid, process);
    void actor.listen();
    actor.client = (await actor.sees("ready")).client!;
    return actor;
  }

  private async listen(): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of this.process.stdout) {
      text += decoder.decode(bytes, { stream: true });
      const lines = text.split("\n");
      text = lines.pop()!;
      for (const line of lines) if (line.startsWith("{")) this.pending.push(JSON.parse(line) as Happening);
      this.wake?.();
    }
    this.ended = true;
    this.wake?.();
  }

  tell(command: Readonly<Record<string, unknown>> & { readonly do: string }): void {
    this.process.stdin.write(`${JSON.stringify(command)}\n`);
    this.process.stdin.flush();
  }

  /**
   * Waits for an event, and forgets what came before it of other kinds (a client tells more than a scene asks for).
   * Throws a sentence when it does not come.
   */
  async sees(event: Happening["event"], which: (h: Happening) => boolean = () => true): Promise<Happening> {
    const until = Date.now() + WAIT_MS;
    for (;;) {
      const at = this.pending.findIndex((h) => h.event === event && which(h));
      if (at >= 0) return this.pending.splice(at, 1)[0];
      if (this.ended) throw new Error(`${this.name}'s client ended: ${await this.lastWords()}`);
      if (Date.now() > until) {
        throw new Error(`${this.name} saw no "${event}" in ${WAIT_MS / 1000} s, but ${JSON.stringify(this.pending)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Events of a kind that have come and were not waited for; they are forgotten. */
  took(event: Happening["event"]): Happening[] {
    const found = this.pending.filter((h) => h.event === event);
    this.pending = this.pending.filter((h) => h.event !== event);
    return found;
  }

  private async lastWords(): Promise<string> {
    return (await new Response(this.process.stderr).text()).trim().split("\n").slice(-3).join(" | ");
  }

  async stop(): Promise<void> {
    this.process.stdin.end();
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 3_000);
    await this.process.exited;
    clearTimeout(timer);
  }
}
