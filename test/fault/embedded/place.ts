// What the tests of the embedded store share: servers in scratch directories, senders that know what became of each of
// their messages, and the count of checks.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BinaryServer, binary, freePort } from "../../support/binary.ts";
import { auth, c2s, general, MANY_REGISTRATIONS } from "../../support/config-text.ts";
import { Checks } from "../../support/script.ts";
import { attribute, LoadClient } from "../client.ts";

export const checks = new Checks("embedded", true);
export const check = checks.check.bind(checks);

export const port = await freePort();
const config = `${general([MANY_REGISTRATIONS])}${c2s(port)}${auth("internal", { plain: true })}
[modules.mod_offline]
  max_user_messages = "infinity"
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_register]
[modules.mod_stream_management]

[access]
  register = [{acl = "all", value = "allow"}]
`;

export const servers: BinaryServer[] = [];
export const scratch = mkdtempSync(join(tmpdir(), "mongooseim-embedded-"));
export function serverIn(stateDir: string, { more = "" } = {}): BinaryServer {
  const server = new BinaryServer({ port, config: config + more, stateDir });
  servers.push(server);
  return server;
}
export const fresh = (name: string): BinaryServer => serverIn(join(scratch, name));

/** Sends messages to somebody who is offline, and knows what became of each. */
export class Sender {
  sent = 0;
  acked = 0;
  readonly refused = new Map<string, string>();
  private client!: LoadClient;
  private wake: () => void = () => {};

  constructor(
    readonly user: string,
    readonly to: string,
    /** Begins the ids of its messages. */
    readonly prefix = "m",
  ) {}

  async login(): Promise<void> {
    this.client = await LoadClient.login(port, this.user, "x", {
      stanza: (element) => {
        const id = attribute(element, "id");
        if (attribute(element, "type") === "error" && id !== undefined) this.refused.set(id, element);
      },
      acknowledged: (h) => {
        this.acked = h;
        this.wake();
      },
    });
  }

  /** Sends so many and waits until the server has handled them. */
  async burst(n: number, bytes: number): Promise<void> {
    const body = "x".repeat(bytes);
    let text = "";
    for (let i = 0; i < n; i++) {
      text += `<message to='${this.to}@localhost' id='${this.prefix}${this.sent++}' type='chat'><body>${body}</body></message>`;
    }
    const answered = new Promise<void>((resolve) => {
      this.wake = () => {
        if (this.acked >= this.sent) resolve();
      };
    });
    this.client.send(`${text}<r xmlns='urn:xmpp:sm:3'/>`);
    await within(10_000, `${this.user}: no acknowledgement`, Promise.race([answered, this.client.gone]));
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  /** Ids that the server took over: acknowledged and not answered with an error. */
  get stored(): string[] {
    return Array.from({ length: this.acked }, (_, i) => `${this.prefix}${i}`).filter((id) => !this.refused.has(id));
  }
}

export function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms));
  return Promise.race([work, late]);
}

/** Logs in and takes what waits; how often each id came. */
export async function fetchAll(user: string): Promise<Map<string, number>> {
  const got = new Map<string, number>();
  const client = await LoadClient.login(port, user, "x", {
    stanza(element) {
      const id = attribute(element, "id");
      if (element.startsWith("<message") && id !== undefined) got.set(id, (got.get(id) ?? 0) + 1);
    },
    acknowledged() {},
  });
  client.send("<presence/>");
  let before = -1;
  for (let i = 0; got.size > before; i++) {
    before = got.size;
    await client.settled(`s${i}`);
    await Bun.sleep(200);
  }
  await client.close();
  return got;
}

export const lost = (sender: Sender, got: ReadonlyMap<string, number>): string[] =>
  sender.stored.filter((id) => !got.has(id));
export const twice = (got: ReadonlyMap<string, number>): string[] =>
  [...got].filter(([, n]) => n > 1).map(([id]) => id);

/** Starts a server that must not start; what it said, and its exit code. */
export async function refusal(stateDir: string): Promise<{ code: number; lines: string[] }> {
  const file = join(stateDir, "mongooseim.toml");
  writeFileSync(file, config);
  const words = [binary(), "foreground", "--state-dir", stateDir, "--config", file];
  const run = Bun.spawn(words, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
  const code = await within(20_000, "the refusal of a server", run.exited);
  return { code, lines: `${out}${err}`.split("\n").filter((line) => line !== "") };
}

/** Where the database of a server is. */
export const fileOf = (server: BinaryServer): string => join(server.stateDir, "mongooseim.db");
