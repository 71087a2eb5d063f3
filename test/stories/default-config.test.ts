// MongooseIM's default configuration, rendered with its default values, is read and starts. Only ports and the names
// of certificate files are replaced, as they are for MongooseIM's own test nodes.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { moduleSchemas, type RunningServer, startServer } from "../../cmd/server.ts";
import { formatProblem, parseConfig } from "../../core/config/index.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import { selfSigned } from "../../core/tls/selfsigned.ts";
import { Client } from "../support/client.ts";

const FIXTURE = new URL("../unit/core/config/mongooseim-default.toml", import.meta.url);

describe("MongooseIM's default configuration", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "default-config-"));
  const sink = new MemorySink();
  let server: RunningServer;
  let warnings: string[];
  let unbuilt: readonly string[];

  beforeAll(async () => {
    const tls = join(stateDir, "priv");
    mkdirSync(tls);
    const pair = selfSigned(["localhost"], Date.now());
    writeFileSync(join(tls, "fake_cert.pem"), pair.certificate);
    writeFileSync(join(tls, "fake_key.pem"), pair.key);
    const text = readFileSync(FIXTURE, "utf8")
      .replaceAll(/^(\s*port = )\d+$/gm, "$10")
      .replaceAll("priv/ssl/", `${tls}/`);
    const parsed = parseConfig(text, { file: "mongooseim.toml", modules: moduleSchemas() });
    expect(parsed.problems.map(formatProblem)).toEqual([]);
    if (parsed.config === undefined) throw new Error("no configuration came of it");
    warnings = parsed.warnings.map(formatProblem);
    unbuilt = parsed.config.unbuilt;
    server = await startServer(parsed.config, { stateDir }, new Log({ sink, level: "info", format: "json" }));
  });
  afterAll(async () => {
    await server?.close();
    rmSync(stateDir, { recursive: true });
  });

  const logged = (what: string): Record<string, unknown>[] =>
    sink.lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line["what"] === what);

  test("is read with a line for each key that does nothing", () => {
    expect(warnings.map((line) => line.split(" ")[0])).toEqual([
      "listen.http[0].transport.num_acceptors",
      // MongooseIM's file names these two lists without having them.
      "access.max_user_offline_messages[0].acl",
      "access.c2s[0].acl",
    ]);
  });

  test("starts with one line for each section that this build has nothing behind", () => {
    expect(logged("feature_not_in_this_build").map(({ section }) => section)).toEqual([...unbuilt]);
  });

  test("starts without an error", () => {
    const levels = sink.lines.map((line) => (JSON.parse(line) as { level: string }).level);
    expect(levels.filter((level) => !["debug", "info", "notice", "warning"].includes(level))).toEqual([]);
  });

  test("starts every feature that this build has", () => {
    const configured = Object.keys(server.node.hosts.get("localhost")?.config.modules ?? {});
    const running = [...(server.node.hosts.get("localhost")?.modules.keys() ?? [])];
    const missing = configured.filter((name) => !running.includes(name));
    expect(missing.filter((name) => !unbuilt.includes(`modules.${name}`))).toEqual([]);
  });

  test("warns that passwords may travel in clear text, as this configuration allows", () => {
    expect(logged("plain_text_authentication_possible")).toHaveLength(1);
  });

  const account = async (local: string): Promise<Client> => {
    expect(await server.node.hostOf("localhost")?.auth.create(local, "localhost", "secret")).toBe("ok");
    return new Client({ local, domain: "localhost", password: "secret" }, { assertions: 0 });
  };

  test("lets two clients talk, over TCP and WebSocket", async () => {
    const alice = await account("alice");
    await alice.logsIn({ door: "tcp", port: server.listeners.tcp[0].port });
    const bob = await account("bob");
    await bob.logsIn({ door: "websocket", port: server.listeners.http[0].port });
    await bob.comesOnline();
    alice.sends`<message to="bob@localhost" type="chat"><body>Hi</body></message>`;
    await bob.receives`<message from="${alice.full}"><body>Hi</body></message>`;
    await alice.leaves();
    await bob.leaves();
  });

  test("offers STARTTLS with the certificate it names", async () => {
    const client = await account("carol");
    await client.connects({ door: "tcp", port: server.listeners.tcp[0].port });
    const features = await client.opens();
    expect(features.children.map((child) => (typeof child === "string" ? child : child.name))).toContain("starttls");
    client.wire.cut();
  });

  test("serves metrics and the admin's GraphQL", async () => {
    const ports = server.listeners.http.map((listener) => listener.port);
    const answers = await Promise.all(
      ports
        .map((port) => fetch(`http://127.0.0.1:${port}/metrics`).then((response) => response.status))
        .map((p) => p.catch(() => 0)),
    );
    expect(answers.filter((status) => status === 200)).toHaveLength(1);
    const asked = await Promise.all(
      ports.map((port) =>
        fetch(`http://127.0.0.1:${port}/api/graphql`, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            host: "localhost",
            authorization: `Basic ${btoa("admin:secret")}`,
          },
          body: JSON.stringify({ query: '{ account { countUsers(domain: "localhost") } }' }),
        })
          .then((response) => response.json() as Promise<unknown>)
          .catch(() => undefined),
      ),
    );
    expect(asked).toContainEqual({ data: { account: { countUsers: expect.any(Number) as number } } });
  });
});
