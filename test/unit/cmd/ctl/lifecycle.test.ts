import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { daemonLogPath, pidPath } from "../../../../transports/control/paths.ts";
import { type World, world } from "./world.ts";

let w: World;
beforeEach(() => {
  w = world();
});
afterEach(() => w.close());

describe("without a server", () => {
  test.each([
    ["status"],
    ["stop"],
    ["restart"],
    ["force_stop"],
    ["account"],
    ["account listUsers"],
    ["graphql {}"],
    ["completion bash"],
  ])("%s says so and ends with 3", async (line) => {
    const [code, out, err] = await w.run(...line.split(" "));
    expect([code, out]).toEqual([3, ""]);
    expect(err).toMatch(
      /^The server is not running: nothing answers on ".*control\.sock" \(another --state-dir\?\)\n$/,
    );
  });

  test("help still lists the commands that need none", async () => {
    const [code, out] = await w.run();
    expect([code, out.includes("start it first"), out.includes("foreground")]).toEqual([2, true, true]);
  });

  test("started gives up after two minutes, silently", async () => {
    expect(await w.run("started")).toEqual([1, "", ""]);
    expect(w.did.length).toBe(481);
  });

  test("stopped is content at once", async () => {
    expect(await w.run("stopped")).toEqual([0, "", ""]);
  });

  test("force_stop ends the process of the pid file, by and by", async () => {
    let alive = true;
    const mine = world({
      isAlive: () => alive,
      signal(_pid, signal) {
        alive = signal !== "SIGKILL";
      },
    });
    writeFileSync(pidPath(mine.stateDir, {}), "4321\n");
    expect(await mine.run("force_stop")).toEqual([0, "", ""]);
    expect(mine.did.length).toBe(600);
    await mine.close();
  });

  test("force_stop leaves alone a process that is no server", async () => {
    const mine = world({ isAlive: () => true, isServer: () => false });
    writeFileSync(pidPath(mine.stateDir, {}), "4321\n");
    expect((await mine.run("force_stop"))[0]).toBe(3);
    expect(mine.did).toEqual([]);
    await mine.close();
  });
});

describe("with a server", () => {
  beforeEach(() => w.serve());

  test("status shows it and ends with 0", async () => {
    expect(await w.run("status")).toEqual([
      0,
      `MongooseIM node mim@here:
    operating system pid: 1234
    Erlang VM status: started (of: starting | started | stopping)
    version: 1.2.3 (as mongooseim)
    uptime: 1 days 02:03:04
    logs:
        stdout
`,
      "",
    ]);
  });

  test("status ends with 1 while it starts", async () => {
    w.status = { ...w.status, state: "starting" };
    expect((await w.run("status"))[0]).toBe(1);
  });

  test("started is content at once, silently", async () => {
    expect(await w.run("started")).toEqual([0, "", ""]);
  });

  test("start refuses a second one", async () => {
    expect(await w.run("start")).toEqual([1, "", "The server is already running (pid 1234)\n"]);
  });

  test("restart asks for it", async () => {
    expect([await w.run("restart"), w.did]).toEqual([[0, "", ""], ["restart"]]);
  });

  test("stop asks for it and waits for the process to end", async () => {
    let checks = 0;
    const mine = world({ isAlive: (pid) => pid === 1234 && ++checks < 4 });
    await mine.serve();
    expect(await mine.run("stop")).toEqual([0, "", ""]);
    expect(mine.did).toEqual(["stop", "sleep 100", "sleep 100", "sleep 100"]);
    await mine.close();
  });
});

describe("start", () => {
  /** A program that is run in place of the server. */
  const program = (body: string): string => {
    const file = join(w.stateDir, "mongooseim-fake.ts");
    writeFileSync(file, body);
    return file;
  };
  const starting = (body: string) => {
    const self = [process.execPath, program(body)];
    return world({ self, sleep: (ms) => Bun.sleep(ms) });
  };
  const root = new URL("../../../../", import.meta.url).pathname;

  test("runs the server in the background and waits for it", async () => {
    const mine = starting(`
      import { openControlSocket } from "${root}transports/control/server.ts";
      import { buildSchema } from "${root}core/operations/schema.ts";
      import { coreOperations } from "${root}core/operations/index.ts";
      console.log(process.argv.slice(2).join(" "));
      const stateDir = process.argv[4];
      await openControlSocket({
        stateDir, pidFile: stateDir + "/mongooseim.pid", schema: buildSchema(coreOperations), node: { clock: () => 0 },
        status: () => ({ node: "n", pid: process.pid, state: "started", version: "1", uptime: 0, logs: [] }),
        stop: () => setTimeout(() => process.exit(0), 50), restart() {}, onError() {},
      });
    `);
    expect(await mine.run("start", "--config", "my.toml")).toEqual([0, "", ""]);
    expect(readFileSync(daemonLogPath(mine.stateDir), "utf8")).toBe(
      `foreground --state-dir ${mine.stateDir} --config my.toml\n`,
    );
    const pid = Number(readFileSync(pidPath(mine.stateDir, {}), "utf8"));
    expect(pid).not.toBe(process.pid);
    expect((await mine.run("stop"))[0]).toBe(0);
    await mine.close();
  });

  test("shows why the server did not start", async () => {
    const mine = starting(`console.error("Cannot bind 5222"); process.exit(4);`);
    const [code, out, err] = await mine.run("start");
    expect([code, out, err]).toEqual([
      1,
      "",
      "The server did not start: it ended with exit code 4\nCannot bind 5222\n",
    ]);
    await mine.close();
  });
});

describe("other commands", () => {
  test("foreground runs the server and ends as it does", async () => {
    expect((await w.run("foreground", "--config", "a.toml"))[0]).toBe(7);
    expect(w.did).toEqual([`foreground {"configFile":"a.toml","stateDir":"${w.stateDir}"}`]);
  });

  test("EJABBERD_CONFIG_PATH names the configuration when --config does not", async () => {
    const mine = world({ env: { EJABBERD_CONFIG_PATH: "/etc/mim.toml" } });
    await mine.run("foreground");
    expect(mine.did[0]).toContain('"configFile":"/etc/mim.toml"');
    await mine.close();
  });

  test.each(["live", "debug", "join_cluster", "leave_cluster", "remove_from_cluster", "escript", "bootstrap"])(
    "%s has no meaning here and says why",
    async (command) => {
      const [code, out, err] = await w.run(command, "x");
      expect([code, out]).toEqual([1, ""]);
      expect(err).toMatch(new RegExp(`^No "${command}" here: .+\n$`));
    },
  );

  test("print_install_dir", async () => expect(await w.run("print_install_dir")).toEqual([0, "/opt/mim\n", ""]));
  test("version", async () => expect(await w.run("version")).toEqual([0, "1.2.3\n", ""]));
  test("an unknown option of the program", async () => expect((await w.run("--bogus"))[0]).toBe(1));
  test("an unknown option of a command", async () => {
    expect(await w.run("stop", "--bogus")).toEqual([1, "", expect.stringContaining("unknown option '--bogus'")]);
  });
  test("help of a command", async () => {
    expect(await w.run("start", "--help")).toEqual([0, expect.stringContaining("--config <file>"), ""]);
  });
});

describe("config check", () => {
  const check = (text: string) => {
    const file = join(w.stateDir, "mongooseim.toml");
    writeFileSync(file, text);
    return w.run("config", "check", file);
  };

  test("is content with a valid file", async () => {
    const [code, out] = await check('[general]\n  hosts = ["localhost"]\n  default_server_domain = "localhost"\n');
    expect([code, out]).toEqual([0, expect.stringContaining("is a valid configuration")]);
  });

  test("reports all problems at once and ends with 1", async () => {
    const [code, out, err] = await check("[general]\n  hosts = 5\n  bogus = 1\n");
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/hosts[\s\S]*bogus/);
  });

  test("finds what a start refuses: a pool for domains that is nowhere", async () => {
    const general = '[general]\n  hosts = ["a"]\n  default_server_domain = "a"\n';
    const [code, out, err] = await check(`${general}[services.service_domain_db]\n  db_pool = "nowhere"\n`);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^Cannot use "nowhere" as services\.service_domain_db\.db_pool: /);
  });

  test("warns of a file that is named and not here", async () => {
    const tls = '[[listen.c2s]]\n  port = 1\n  tls.certfile = "/nonexistent.pem"\n  tls.keyfile = "/nonexistent.key"\n';
    const [code, , err] = await check(`[general]\n  hosts = ["a"]\n  default_server_domain = "a"\n${tls}`);
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(/^Warning: .*tls\.certfile: there is no such file .*:6\)$/m),
    ]);
  });

  test("warns of features that the build does not have", async () => {
    const [code, , err] = await check('[general]\n  hosts = ["a"]\n  default_server_domain = "a"\n[modules.mod_muc]\n');
    expect([code, err]).toEqual([0, "Warning: modules.mod_muc is not in this build: it does nothing\n"]);
  });

  test("says when there is no file", async () => {
    const [code, , err] = await w.run("config", "check", "/nonexistent.toml");
    expect([code, err]).toEqual([1, expect.stringContaining('Cannot read "/nonexistent.toml"')]);
  });

  test("leaves nothing behind", () => expect(existsSync(pidPath(w.stateDir, {}))).toBe(false));
});
