// Scripts of clients of other authors against the compiled executable: what they find is counted.

import { join } from "node:path";
import { BinaryServer } from "../support/binary.ts";

/** What a script found: a line of JSON on its output. */
interface Fact {
  readonly fact: string;
  readonly holds: boolean;
  readonly seen: string | null;
}

const PASSWORD = "wherefore art thou";

/** What a script is told of its two accounts, which are its own. */
export interface Parts {
  readonly alice: string;
  readonly bob: string;
  readonly password: string;
  /** File of the certificate that the server's is signed with. */
  readonly ca: string;
}

export class Play {
  private passed = 0;
  private failed = 0;
  private readonly server: BinaryServer;

  /** @param port answers when the server is up */
  constructor(
    private readonly name: string,
    options: { readonly config: string; readonly port: number },
  ) {
    this.server = new BinaryServer(options);
  }

  private check({ fact, holds, seen }: Fact): void {
    if (holds) this.passed++;
    else this.failed++;
    console.log(holds ? `    ✓ ${fact}` : `    ✗ ${fact}: saw ${seen}`);
  }

  private async accounts(act: string): Promise<[string, string]> {
    const names = [`alice-${act}`, `bob-${act}`] as const;
    for (const name of names) {
      const made = await this.server.ctl(
        ...["account", "registerUser", "--domain", "localhost", "--username", name, "--password", PASSWORD],
      );
      this.check({ fact: `mongooseimctl makes the account ${name}@localhost`, holds: made.code === 0, seen: made.out });
    }
    return [`${names[0]}@localhost`, `${names[1]}@localhost`];
  }

  /** Runs a client's script and takes its facts. */
  async perform(act: string, words: (parts: Parts) => string[]): Promise<void> {
    console.log(`\n  ${act}`);
    const { ca } = this.server;
    const [alice, bob] = await this.accounts(act);
    const child = Bun.spawn(words({ alice, bob, password: PASSWORD, ca }), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, NODE_EXTRA_CA_CERTS: ca, PYTHONUNBUFFERED: "1" },
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    const code = await child.exited;
    clearTimeout(timer);
    const facts = out.split("\n").filter((line) => line.startsWith("{"));
    for (const line of facts) this.check(JSON.parse(line) as Fact);
    const whole = code === 0 && facts.length > 0;
    this.check({ fact: `${act} comes to its end`, holds: whole, seen: err.trim().split("\n").slice(-6).join(" | ") });
  }

  /** Starts the server, plays the acts, and ends it; the process ends with what came of it. */
  async run(acts: (play: Play) => Promise<void>): Promise<never> {
    const { server } = this;
    try {
      await server.start();
      await acts(this);
      const code = await server.stop();
      this.check({ fact: "the server ends in order", holds: code === 0, seen: server.log });
      const errors = /level=(error|critical|alert|emergency)/.test(server.log);
      this.check({ fact: "its log has no error", holds: !errors, seen: server.log });
    } finally {
      await server.kill();
      server.remove();
    }
    console.log(`\n${this.name}: ${this.passed} passed, ${this.failed} failed`);
    process.exit(this.failed === 0 ? 0 : 1);
  }
}

export const script = (name: string): string => join(import.meta.dir, name);
export const python = (name: string): string[] => ["/usr/bin/python3", script(name)];
export const node = (name: string): string[] => ["node", "--experimental-websocket", "--no-warnings", script(name)];
