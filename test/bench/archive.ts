// Archives on: chat that is durable before it is acknowledged, and look-ups, ours beside the peers.
//
//   bun test/bench/archive.ts chat [--servers embedded,pgsql,ejabberd,prosody] [--stores plain,sql,pgsql]
//     [--reps N] [--seconds N] [--aged N]
//   bun test/bench/archive.ts lookup --state-dir DIR [--rate N] [--chat N] [--seconds N] [--free]
//   bun test/bench/archive.ts lookup-pgsql [--owners N] [--rate N] [--chat N] [--seconds N] [--free]
//   bun test/bench/archive.ts lookup-peers [--servers ejabberd,prosody] [--seconds N]
//
// `chat`: 200 accounts, saturated and at 10,000 messages a second; PostgreSQL's processes count as the server's. Each figure is
// of a fresh process, or with --aged of one that has had that load for N seconds, in runs of ten, each of which is shown.
// `lookup`: pages of five from a state directory that archive-fill.ts has filled, at a rate, while others chat; `lookup-pgsql`
// fills a PostgreSQL of its own with archives of 10,000.
// The server is pinned to one core, the generator to the other, PostgreSQL to none; with --free nothing is, and the machine
// is as its users have it.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SQL } from "bun";
import { BinaryServer, freePort } from "../support/binary.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import { archiveConfig, benchDir, generate, lastLine, Ours, Peer, type Row, SERVER_CPU } from "./targets.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    servers: { type: "string" },
    stores: { type: "string", default: "plain,sql,pgsql" },
    reps: { type: "string", default: "2" },
    seconds: { type: "string", default: "6" },
    "state-dir": { type: "string" },
    rate: { type: "string", default: "6000" },
    chat: { type: "string", default: "1000" },
    clients: { type: "string", default: "200" },
    owners: { type: "string", default: "1000" },
    free: { type: "boolean", default: false },
    aged: { type: "string", default: "0" },
  },
});
const seconds = ["--seconds", values.seconds];
const xmppload = join(benchDir, "xmppload");
/** Of the server that answers look-ups. */
const placed = values.free ? {} : { cpu: SERVER_CPU };

type Measured = Omit<Row, "peer" | "step">;

function show(name: string, what: string, row: Measured): void {
  const { measured, server, generator, latency_us: latency, lost, duplicated, out_of_order, other_cpu_util } = row;
  console.log(
    [
      name,
      what,
      `${Math.round(measured?.delivered_per_s ?? 0)}/s`,
      measured?.results_per_s === undefined ? "" : `${Math.round(measured.results_per_s)} results/s`,
      `CPU ${server?.cpu_us_per_delivered?.toFixed(1)} us`,
      `p50 ${((latency?.p50 ?? 0) / 1000).toFixed(1)} p99 ${((latency?.p99 ?? 0) / 1000).toFixed(1)} ms`,
      `lost ${lost ?? 0} doubled ${duplicated ?? 0} order ${out_of_order ?? 0}`,
      `generator ${generator?.cpu_util.toFixed(2)} other ${other_cpu_util?.toFixed(2)}`,
    ].join("\t"),
  );
}

type Load = readonly [what: string, args: readonly string[]];
const LOADS: readonly Load[] = [
  ["200 x 1", ["--outstanding", "1"]],
  ["200 x 4", ["--outstanding", "4"]],
  ["200 x 16", ["--outstanding", "16"]],
  ["10,000/s", ["--rate", "10000"]],
];
/** Peers are far from that rate. */
const PEER_LOADS = LOADS.slice(0, 3);

async function chat(): Promise<void> {
  const wanted = (values.servers ?? "embedded,pgsql,ejabberd,prosody").split(",");
  for (let i = 0; i < Number(values.reps); i++) {
    if (wanted.includes("embedded")) await ours("embedded", undefined);
    if (wanted.includes("pgsql")) await withPostgres((postgres) => ours("pgsql", postgres));
    for (const name of wanted.filter((x) => x === "ejabberd" || x === "prosody")) {
      for (const store of values.stores.split(",")) {
        for (const load of PEER_LOADS) {
          if (store === "pgsql")
            await withPostgres(async (its) => theirs(await Peer.onPostgres(name, its), store, load));
          else await theirs(await Peer.make(name), store === "sql" ? "sql" : "plain", load);
        }
      }
    }
  }
}

async function withPostgres(act: (postgres: OwnPostgres) => Promise<void>): Promise<void> {
  const postgres = await OwnPostgres.create(["shared_buffers=512MB", "max_wal_size=4GB"]);
  try {
    await act(postgres);
  } finally {
    await postgres.remove();
  }
}

async function theirs(peer: Peer, store: "plain" | "sql" | "pgsql", [what, args]: Load): Promise<void> {
  const archive = store === "plain" ? "plain" : "sql";
  await aged(`${peer.name} (${store})`, what, (running, last) =>
    peer.load(what, "chat", ["--clients", "200", ...args, ...last], { archive, running }),
  );
  await peer.remove();
}

/** What a server's chat costs, after it has had the same load for as long as --aged says, ten seconds at a time. */
async function aged(
  name: string,
  what: string,
  chatting: (running: boolean, last: readonly string[]) => Promise<Measured>,
): Promise<void> {
  const long = Number(values.aged);
  for (let at = 0; at < long; at += 10) {
    show(name, `${what}, from ${at} s on`, await chatting(at > 0, ["--seconds", "10"]));
  }
  show(name, what, await chatting(long > 0, seconds));
}

async function ours(name: string, postgres: OwnPostgres | undefined): Promise<void> {
  for (const [what, args] of LOADS) {
    const server = await Ours.make();
    const variant = { auth: "plain", host: "localhost", more: archiveConfig(postgres?.port) } as const;
    await server.restart(variant);
    await server.register(200);
    await server.restart(variant);
    const pids = [server.pid, ...(postgres === undefined ? [] : [postgres.pid])].join(",");
    const words = ["--port", String(server.port), "--domain", "localhost", "--pid", pids, "--clients", "200"];
    await aged(name, what, (_, last) => generate([xmppload, "chat", ...words, ...args, ...last]).then(lastLine));
    await server.remove();
  }
}

async function lookup(): Promise<void> {
  const stateDir = values["state-dir"];
  if (stateDir === undefined) throw new Error("lookup: which --state-dir?");
  const port = await freePort();
  const server = new BinaryServer({ config: await Ours.lookupConfig(port), port, stateDir, ...placed });
  await server.start();
  await lookUp("embedded", port, String(server.pid));
  await server.stop();
}

/** Messages of an archive in PostgreSQL; half a second between two of all owners, up to an hour ago. */
const EACH = 10_000;

async function fill(url: string, owners: number): Promise<void> {
  const sql = new SQL(url);
  await sql.unsafe(`INSERT INTO mam_server_user (id, server, user_name)
    SELECT i + 1, 'localhost', 'user' || i FROM generate_series(0, ${owners - 1}) i`);
  const text = "Neither a borrower nor a lender be; for loan oft loses both itself and";
  const peer = `'user' || (i + 1 + t % 20) % ${owners}`;
  const markup = `<message from='%s@localhost/xl' to='user%s@localhost' type='chat' id='m%s'><body>${text} %s</body></message>`;
  const halves = `${EACH * owners}::bigint - (t::bigint * ${owners} + i)`;
  for (let turn = 0; turn < EACH; turn += 500) {
    await sql.unsafe(`INSERT INTO mam_message (id, user_id, from_jid, remote_bare_jid, remote_resource, direction, message,
        search_body, is_groupchat)
      SELECT ((extract(epoch FROM now())::bigint - 3600) * 1000000 - (${halves}) * 500000) << 8, i + 1, ${peer} || '/xl', ${peer},
        'xl', 'I', convert_to(format($m$${markup}$m$, ${peer}, i, t, t), 'UTF8'), '${text.toLowerCase()}', false
      FROM generate_series(${turn}, ${turn + 499}) t, generate_series(0, ${owners - 1}) i ORDER BY t, i`);
  }
  await sql.unsafe("SELECT setval(pg_get_serial_sequence('mam_server_user', 'id'), max(id)) FROM mam_server_user");
  await sql.unsafe("ANALYZE");
  await sql.close();
}

async function lookupPgsql(): Promise<void> {
  const postgres = await OwnPostgres.create(["shared_buffers=512MB", "max_wal_size=4GB"]);
  const port = await freePort();
  const stateDir = mkdtempSync(join(tmpdir(), "mongooseim-bench-"));
  const config = await Ours.lookupConfig(port, postgres.port);
  const server = new BinaryServer({ config, port, stateDir, ...placed });
  await server.start();
  await fill(postgres.url(), Number(values.owners));
  await lookUp("pgsql", port, [server.pid, postgres.pid].join(","));
  await server.stop();
  await postgres.remove();
}

async function lookUp(name: string, port: number, pids: string): Promise<void> {
  const where = ["--port", String(port), "--domain", "localhost"];
  const asking = [...where, "--clients", values.clients, "--archive", "0", "--page", "5", "--pid", pids];
  await generate([xmppload, "register", ...where, "--clients", String(Number(values.clients) + 40), "--settle", "0"]);
  const ask = (...args: string[]) =>
    generate([xmppload, "mam", ...asking, ...args, ...seconds], {}, values.free).then(lastLine);
  for (let i = 0; i < Number(values.reps); i++) {
    show(name, "as fast as it goes", await ask("--outstanding", "1"));
    show(name, `${values.rate} look-ups/s`, await ask("--rate", values.rate));
    if (values.chat === "0") continue;
    const others = [...where, "--first", values.clients, "--clients", "40", "--rate", values.chat];
    const long = ["--seconds", String(Number(values.seconds) + 2)];
    const beside = generate([xmppload, "chat", ...others, ...long], {}, values.free);
    show(name, `${values.rate} look-ups/s beside ${values.chat} messages/s`, await ask("--rate", values.rate));
    show(name, "    those messages", lastLine(await beside));
  }
}

async function lookupPeers(): Promise<void> {
  for (const name of (values.servers ?? "ejabberd,prosody").split(",")) {
    for (const archive of ["plain", "sql"] as const) {
      const peer = await Peer.make(name);
      const args = ["--clients", "40", "--archive", "100", "--page", "5", "--setup-timeout", "300", ...seconds];
      show(`${name} (${archive})`, "archives of 100", await peer.load("lookup", "mam", args, { archive }));
      await peer.remove();
    }
  }
}

const steps: Record<string, () => Promise<void>> = {
  chat,
  lookup,
  "lookup-pgsql": lookupPgsql,
  "lookup-peers": lookupPeers,
};
const step = steps[positionals[0] ?? ""];
if (step === undefined) throw new Error(`which of ${Object.keys(steps).join(", ")}?`);
await step();
