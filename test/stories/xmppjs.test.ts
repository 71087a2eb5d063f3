// @xmpp/client, which is not of our making, by its own choices: XEP-0388, XEP-0386, XEP-0484 and XEP-0198 together.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";
import { SECURE_DOORS, secure } from "../support/sasl2.ts";
import { stage } from "../support/story.ts";

const { story } = stage({ ...SECURE_DOORS, modules: { mod_fast_auth_token: {} } });

interface Shown {
  name: string;
  mechanism?: string;
  inline: string[];
}
interface Step {
  sent?: Shown;
  got?: Shown;
  error?: string;
  jid?: string;
  answers?: boolean;
  managed?: boolean;
  resumed?: boolean;
}

function run(service: string, user: string, password: string): Promise<{ steps: Step[]; token: { expiry: string } }> {
  const script = join(import.meta.dirname, "../interop/xmppjs_sasl2.mjs");
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_NO_WARNINGS: "1" };
    const options = { env, timeout: 20_000 };
    execFile("node", ["--experimental-websocket", script, service, user, password], options, (error, out, err) => {
      if (error) reject(new Error(`${error.message}\n${out}\n${err}`));
      else resolve(JSON.parse(out) as Awaited<ReturnType<typeof run>>);
    });
  });
}

story(
  "it logs in with its password, comes back with its token, and resumes its stream with it",
  {},
  async ({ account, server, door, stranger }) => {
    const romeo = await account("romeo");
    const { port } = secure(server, door);
    const service = door === "tcp" ? `xmpps://localhost:${port}` : `wss://localhost:${port}/ws-xmpp`;
    const { steps, token } = await run(service, romeo.local, romeo.account.password);
    const names = ["initial-response urn:xmpp:sasl:2", "user-agent urn:xmpp:sasl:2", "bind urn:xmpp:bind:0"];
    const bound = [
      { name: "success", inline: expect.arrayContaining(["bound urn:xmpp:bind:0"]) },
      { jid: expect.stringMatching(`^${romeo.bare}/xmppjs/`), answers: true, managed: true },
    ];
    expect(steps).toEqual([
      {
        sent: {
          name: "authenticate",
          mechanism: expect.stringMatching(/^(SCRAM|PLAIN)/),
          inline: expect.arrayContaining([...names, "request-token urn:xmpp:fast:0"]),
        },
      },
      { got: bound[0] },
      bound[1],
      {
        sent: {
          name: "authenticate",
          mechanism: "HT-SHA-256-NONE",
          inline: expect.arrayContaining([...names, "fast urn:xmpp:fast:0"]),
        },
      },
      { got: bound[0] },
      bound[1],
      {
        sent: {
          name: "authenticate",
          mechanism: "HT-SHA-256-NONE",
          inline: expect.arrayContaining(["resume urn:xmpp:sm:3", "fast urn:xmpp:fast:0"]),
        },
      },
      { got: { name: "success", inline: expect.arrayContaining(["resumed urn:xmpp:sm:3"]) } },
      { jid: steps[5].jid, answers: true, resumed: true },
    ]);
    expect(Date.parse(token.expiry)).toBeGreaterThan(Date.now());
    stranger().tally.assertions++;
  },
);
