// Scripts of clients of other authors against the compiled executable: what they find is counted.

import { join } from "node:path";
import { BinaryServer, freePort } from "../support/binary.ts";
import { auth, c2s, general, tls, webSocket } from "../support/config-text.ts";

/** What a script found: a line of JSON on its output. */
interface Fact {
  readonly fact: string;
  readonly holds: boolean;
  readonly seen: string | null;
}

const PASSWORD = "wherefore art thou";

/**
 * Starts a server that lets clients in by STARTTLS and by WebSocket, has the scripts talk to it, each with two accounts of
 * its own, and ends it; the process ends with what came of it.
 * @param config what is configured beside its doors
 * @param scripts files of this folder: one in Python is told PORT CA ALICE BOB PASSWORD, one for Node URL ALICE BOB PASSWORD
 */
export async function play(name: string, config: string, scripts: readonly string[]): Promise<never> {
  const [port, ws] = [await freePort(), await freePort()];
  const doors = `${c2s(port, tls("starttls_required"))}${webSocket(ws)}`;
  const server = new BinaryServer({ config: `${general()}${doors}${auth("internal")}${config}`, port });
  return new Play(name, server, port, `ws://127.0.0.1:${ws}/ws-xmpp`).run(scripts);
}

class Play {
  private passed = 0;
  private failed = 0;

  constructor(
    private readonly name: string,
    private readonly server: BinaryServer,
    private readonly port: number,
    private readonly url: string,
  ) {}

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

  private words(script: string, ca: string): string[] {
    const file = join(import.meta.dir, script);
    return script.endsWith(".py")
      ? ["/usr/bin/python3", file, String(this.port), ca]
      : ["node", "--experimental-websocket", "--no-warnings", file, this.url];
  }

  /** Runs a client's script and takes its facts. */
  private async perform(script: string): Promise<void> {
    const act = script.replace(/_.*/, "");
    console.log(`\n  ${act}`);
    const { ca } = this.server;
    const accounts = await this.accounts(act);
    const child = Bun.spawn([...this.words(script, ca), ...accounts, PASSWORD], {
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

  async run(scripts: readonly string[]): Promise<never> {
    const { server } = this;
    try {
      await server.start();
      for (const script of scripts) await this.perform(script);
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
