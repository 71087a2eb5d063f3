// Measures our executable beside its peers, and prints tables of medians.
//
//   npm run bench -- [--only STEP,...] [--servers ours,ejabberd,prosody] [--reps N] [--seconds N] [--quick] [--out FILE]
//
// Steps: micro cold idle idle-tls idle-websocket login login-storm chat chat-half chat-19k offline presence pep presence-groups domains (all by default).
// --quick takes small numbers, to see that everything works. --out is where the JSON lines are appended
// (mongooseim-bench.jsonl in the temporary directory). Peers come from Debian: `$BENCH_DIR/peers/run-peers.sh install ejabberd` as root. The machine needs
// two cores and nothing else to do.

import { appendFileSync, existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LoadClient } from "../fault/client.ts";
import { tables } from "./table.ts";
import { benchDir, GENERATOR_CPU, generate, lastLine, Ours, Peer, type Row, type Target } from "./targets.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    servers: { type: "string", default: "ours,ejabberd,prosody" },
    reps: { type: "string" },
    seconds: { type: "string" },
    quick: { type: "boolean", default: false },
    out: { type: "string", default: join(tmpdir(), "mongooseim-bench.jsonl") },
  },
});
const { quick } = values;
const reps = Number(values.reps ?? (quick ? 1 : 3));
const seconds = Number(values.seconds ?? (quick ? 2 : 8));
/** A process may have 20,000 files open where this is measured. */
const many = quick ? 400 : 19_000;
const bun = process.execPath;
const rows: Row[] = [];

function add(row: Row): void {
  rows.push(row);
  appendFileSync(values.out, `${JSON.stringify(row)}\n`);
  console.error(`  ${JSON.stringify(row).slice(0, 200)}`);
}

/** A measurement that fails is told, and the others go on. */
async function attempt(what: string, run: () => Promise<void>): Promise<void> {
  console.error(`${new Date().toISOString().slice(11, 19)} ${what}`);
  try {
    await run();
  } catch (error) {
    console.error(`  failed: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}

const repeat = async (what: string, run: () => Promise<void>): Promise<void> => {
  for (let i = 1; i <= reps; i++) await attempt(`${what} ${i}/${reps}`, run);
};

/**
 * Pings the server every 10 ms while something else goes on: the longest round trip bounds its longest stall. What
 * counts is the measured phase, the last seconds of the work.
 */
async function pinging(port: number, work: Promise<Row>): Promise<Row> {
  const pings: { at: number; ms: number }[] = [];
  let over = false;
  const probe = async (): Promise<void> => {
    await LoadClient.register(port, "probe");
    const client = await LoadClient.login(port, "probe", "p", { stanza() {}, acknowledged() {} }, false);
    for (let i = 0; !over; i++) {
      const begin = performance.now();
      await client.settled(`p${i}`);
      pings.push({ at: begin, ms: performance.now() - begin });
      await Bun.sleep(10);
    }
    client.cut();
  };
  const probing = probe();
  const row = await work.finally(() => {
    over = true;
  });
  const from = performance.now() - seconds * 1000;
  await probing;
  // The generator takes its connections down before it ends: those seconds are not what is measured.
  const times = pings
    .filter(({ at }) => at >= from - TEARDOWN_MS && at < from + seconds * 1000 - TEARDOWN_MS)
    .map(({ ms }) => ms);
  times.sort((a, b) => a - b);
  const p99_ms = times[Math.floor(times.length * 0.99)];
  return { ...row, stall: { pings: times.length, p99_ms, max_ms: times[times.length - 1] } };
}

/** More than the generator needs to end its sessions. */
const TEARDOWN_MS = 3000;

const measured = ["--warmup", "2", "--settle", "1", "--seconds", String(seconds)];

const fanOut = (target: Target, what: "presence" | "pep"): Promise<void> =>
  repeat(`${what} ${target.name}`, async () => {
    const subscribers = quick ? 20 : 200;
    const publishers = 8;
    const { port, pid } = await target.fresh(publishers + subscribers);
    const words = ["--port", String(port), "--pid", String(pid), "--subscribers", String(subscribers), "--what", what];
    const out = await generate([bun, join(import.meta.dir, "fan-out.ts"), ...words, "--seconds", String(seconds)]);
    add({ ...lastLine(out), peer: target.name, step: `${what}-to-${subscribers}` });
  });

/** Steps that every server can take. */
const common: Record<string, (target: Target) => Promise<void>> = {
  cold: (target) => repeat(`cold ${target.name}`, async () => add(await target.cold(quick ? 1 : 5))),
  idle: (target) =>
    repeat(`idle ${target.name}`, async () => {
      add(await target.load(`idle-${many}`, "idle", ["--clients", String(many), "--seconds", String(seconds)]));
    }),
  async chat(target) {
    for (const clients of quick ? [20] : [200, 1000]) {
      for (const outstanding of [1, 4, 16]) {
        const args = ["--clients", String(clients), "--outstanding", String(outstanding), ...measured];
        await repeat(`chat ${clients}x${outstanding} ${target.name}`, async () => {
          add(await target.load(`chat-${clients}x${outstanding}`, "chat", args));
        });
      }
    }
  },
  "chat-half": (target) =>
    repeat(`chat-half ${target.name}`, async () => {
      const args = ["--clients", quick ? "20" : "200", "--rate", quick ? "200" : "5500", ...measured];
      add(await target.load("chat-at-5500/s", "chat", args));
    }),
  /** One sender, many who are not there. */
  async offline(target) {
    const recipients = quick ? 20 : 500;
    for (const outstanding of [1, 200]) {
      await repeat(`offline x${outstanding} ${target.name}`, async () => {
        const { port, pid } = await target.fresh(1 + recipients);
        const where = ["--port", String(port), "--pid", String(pid), "--recipients", String(recipients)];
        const size = ["--rounds", outstanding === 1 || quick ? "4" : "20", "--outstanding", String(outstanding)];
        const out = await generate([bun, join(import.meta.dir, "offline.ts"), ...where, ...size]);
        add({ ...lastLine(out), peer: target.name, step: `offline-to-${recipients}-x${outstanding}` });
      });
    }
  },
  /** Presence and events to 200 contacts of one account, at saturation. */
  presence: (target) => fanOut(target, "presence"),
  pep: (target) => fanOut(target, "pep"),
  /**
   * The generator's own: mutual contacts who broadcast at a rate (open loop), one that every server can follow, and those
   * that ours can. Each time from the beginning: contacts that are friends already are not told so again.
   */
  async "presence-groups"(target) {
    const group = quick ? 10 : 101;
    const rates = quick ? [5] : target.name === "ours" ? [200, 1500, 3500] : [200];
    for (const rate of rates) {
      await repeat(`presence-groups ${rate}/s ${target.name}`, async () => {
        const { port, pid } = await target.fresh(group);
        const where = ["--port", String(port), "--pid", String(pid), "--domain", "localhost"];
        const size = ["--clients", String(group), "--group", String(group), "--setup-timeout", "280"];
        const words = [join(benchDir, "xmppload"), "presence", ...where, ...size, "--rate", String(rate), ...measured];
        add({ ...lastLine(await generate(words)), peer: target.name, step: `presence-group-of-${group}-at-${rate}/s` });
      });
    }
  },
};

/** Steps for ours only. */
const own: Record<string, (ours: Ours) => Promise<void>> = {
  "idle-tls": (ours) =>
    repeat("idle-tls", async () => {
      const args = ["--clients", String(many), "--seconds", String(seconds)];
      add(await ours.load(`idle-tls-${many}`, "idle", args, { tls: true }));
    }),

  "idle-websocket": (ours) =>
    repeat("idle-websocket", async () => {
      await ours.restart({ auth: "plain", host: "localhost" });
      await ours.register(many);
      await ours.restart({ auth: "plain", host: "localhost" });
      const words = ["--url", ours.url, "--pid", String(ours.pid), "--clients", String(many), "--hold", "8"];
      const out = await generate([bun, join(import.meta.dir, "websocket-idle.ts"), ...words]);
      const { sessions, logins_per_s, rss_per_conn, rss_per_conn_end } = JSON.parse(out) as Record<string, number>;
      add({
        ...{ peer: "ours", step: `idle-websocket-${many}`, scenario: "websocket-idle" },
        login: { ok: sessions, failed: many - sessions, per_s: logins_per_s },
        server: { rss_per_conn, rss_per_conn_end },
      });
    }),

  async login(ours) {
    const clients = quick ? 100 : 2000;
    const cases = [
      ["plain", "PLAIN", "login-plain"],
      ["hashed", "SCRAM-SHA-256", "login-scram"],
      ["hashed", "PLAIN", "login-plain-hashed"],
    ] as const;
    for (const [auth, mechanism, step] of cases) {
      await repeat(step, async () => {
        await ours.restart({ auth, host: "localhost" });
        await ours.register(clients);
        await ours.restart({ auth, host: "localhost" });
        const words = ["--port", String(ours.port), "--pid", String(ours.pid), "--mechanism", mechanism];
        const file = join(import.meta.dir, "login.ts");
        add({ ...lastLine(await generate([bun, file, ...words, "--clients", String(clients)])), peer: "ours", step });
      });
    }
  },

  "login-storm": (ours) =>
    repeat("login-storm", async () => {
      const clients = quick ? 100 : 5000;
      const chatters = quick ? 20 : 200;
      await ours.restart({ auth: "hashed", host: "localhost" });
      await ours.register(chatters + clients);
      await ours.restart({ auth: "hashed", host: "localhost" });
      const rate = ["--clients", String(chatters), "--rate", quick ? "100" : "1000"];
      const long = ["--warmup", "1", "--settle", "1", "--seconds", quick ? "4" : "15"];
      const chat = ours.drive("chat-in-login-storm", "chat", [...rate, ...long], "localhost");
      // The conversation has to be under way.
      await Bun.sleep(quick ? 2500 : 4000);
      const storm = ["--first", String(chatters), "--clients", String(clients), "--seconds", "1"];
      const logins = await ours.drive("login-storm", "idle", storm, "localhost");
      add(await chat);
      add(logins);
    }),

  "chat-19k": (ours) =>
    repeat("chat-19k", async () => {
      await ours.restart({ auth: "plain", host: "localhost" });
      await ours.register(many);
      await ours.restart({ auth: "plain", host: "localhost" });
      const args = ["--clients", String(many - (many % 2)), "--rate", quick ? "200" : "5000", ...measured];
      add(await pinging(ours.port, ours.drive(`chat-on-${many}`, "chat", args, "localhost")));
    }),

  async domains(ours) {
    let have = 0;
    await ours.restart({ auth: "plain" });
    for (const n of quick ? [1, 100, 1000] : [1, 1000, 100_000]) {
      await attempt(`domains ${n}`, async () => {
        const begin = performance.now();
        const made = n - have;
        await addDomains(ours.controlSocket, have, n);
        have = n;
        const domains_per_minute = (made / (performance.now() - begin)) * 60_000;
        if (made > 1) add({ peer: "ours", step: `make-domains-${n}`, scenario: "domains", domains_per_minute });
      });
      const clients = quick ? 20 : 200;
      await ours.register(clients, "d0.example");
      await repeat(`chat with ${n} domains`, async () => {
        await ours.restart({ auth: "plain" });
        const args = ["--clients", String(clients), "--outstanding", "4", ...measured];
        add(await ours.drive(`chat-${clients}x4-domains-${n}`, "chat", args, "d0.example"));
      });
    }
  },
};

/** Makes d<from>.example up to d<to - 1>.example through the control socket, as `mongooseimctl domain addDomain` does. */
async function addDomains(socket: string, from: number, to: number): Promise<void> {
  const batch = 200;
  for (let i = from; i < to; i += batch) {
    const fields: string[] = [];
    for (let j = i; j < Math.min(to, i + batch); j++) {
      fields.push(`a${j}: addDomain(domain: "d${j}.example", hostType: "main") { domain }`);
    }
    const response = await fetch("http://control/graphql", {
      method: "POST",
      unix: socket,
      timeout: false,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query: `mutation { domain { ${fields.join(" ")} } }` }),
    });
    const body = (await response.json()) as { errors?: unknown };
    if (body.errors !== undefined) throw new Error(`addDomain: ${JSON.stringify(body.errors).slice(0, 300)}`);
  }
}

/** Micro-benchmarks print their own tables. */
async function micro(): Promise<void> {
  for (const file of (await readdir(import.meta.dir)).filter((name) => name.endsWith(".bench.ts")).sort()) {
    await attempt(file, async () => console.log(await generate([bun, join(import.meta.dir, file)], { NO_COLOR: "1" })));
  }
}

const all = ["micro", ...Object.keys(common), ...Object.keys(own)];
const wanted = values.only?.split(",") ?? all;
const unknown = wanted.filter((step) => !all.includes(step));
if (unknown.length > 0) {
  console.error(`Unknown step ${unknown.join(", ")}: there are ${all.join(" ")}`);
  process.exit(2);
}
if (wanted.includes("micro")) await micro();
if (wanted.some((step) => step !== "micro")) {
  if (!existsSync(join(benchDir, "xmppload"))) {
    console.error(
      `There is no xmppload in "${benchDir}": set BENCH_DIR to the directory that has it, and run make there`,
    );
    process.exit(2);
  }
  // This process pings and waits: it must not stand in the server's way.
  Bun.spawnSync(["taskset", "-a", "-p", "-c", String(GENERATOR_CPU), String(process.pid)]);
  for (const name of values.servers.split(",")) {
    const target = name === "ours" ? await Ours.make() : await Peer.make(name);
    try {
      for (const step of wanted) {
        if (Object.hasOwn(common, step)) await common[step](target);
        else if (target instanceof Ours && Object.hasOwn(own, step)) await own[step](target);
      }
    } finally {
      await target.remove();
    }
  }
  console.log(`${tables(rows)}\nEach run is a line of ${values.out}`);
}
