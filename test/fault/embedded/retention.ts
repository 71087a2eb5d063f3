// Clean-ups of what is too old, killed and begun again while messages come.

import { Database } from "bun:sqlite";
import { join } from "node:path";
import { LoadClient } from "../client.ts";
import { check, fetchAll, fileOf, lost, port, Sender, scratch, serverIn } from "./place.ts";

/** A clean-up of archives and offline messages while messages come, killed and begun again. */
export async function agedMessages(): Promise<void> {
  const server = serverIn(join(scratch, "aged"), {
    more: "[modules.mod_mam]\n[modules.mod_mam.pm]\n[retention]\narchive = 30\noffline = 7\nbatch_size = 50\npause = 100\n",
  });
  await server.start();
  for (const user of ["sender", "receiver"]) await LoadClient.register(port, user);
  const sender = new Sender("sender", "receiver");
  await sender.login();
  for (let i = 0; i < 20; i++) await sender.burst(50, 200);
  await sender.close();
  await server.stop();
  const db = new Database(fileOf(server), { safeIntegers: true });
  const day = 86_400_000_000n;
  db.query("UPDATE mam_message SET id = id - ?").run((31n * day) << 8n);
  db.query("UPDATE offline_message SET timestamp = timestamp - ?").run(8n * day);
  db.close();
  await server.start();
  const counts = async (...words: string[]): Promise<Record<string, number>> => {
    const { out, err } = await server.ctl("retention", "run", ...words);
    const { data } = JSON.parse(out || `{"error":${JSON.stringify(err)}}`) as {
      data: { retention: { run: { kind: string; count: number }[] } };
    };
    return Object.fromEntries(data.retention.run.map(({ kind, count }) => [kind, count]));
  };
  const told = JSON.stringify(await counts("--dry-run"));
  check("retention: a dry run counts", told === '{"archive":2000,"offline":1000}', told);
  const fresh = new Sender("sender", "receiver");
  await fresh.login();
  for (let i = 0; i < 2; i++) await fresh.burst(50, 200);
  const killed = server.ctl("retention", "run");
  const looking = new Database(fileOf(server));
  const archived = (): number => looking.query<{ n: number }, []>("SELECT count(*) AS n FROM mam_message").get()!.n;
  const all = archived();
  for (let i = 0; i < 500 && archived() > all - 100; i++) await Bun.sleep(10);
  await server.kill();
  looking.close();
  await killed;
  await server.start();
  const left = await counts("--dry-run");
  check(
    "retention: a clean-up that was killed has done some of its work",
    left.archive < 2000 && left.archive > 0 && left.archive % 50 === 0,
    JSON.stringify(left),
  );
  const late = new Sender("sender", "receiver", "late");
  await late.login();
  const cleaning = counts();
  let worst = 0;
  for (let i = 0; i < 20; i++) {
    const begin = performance.now();
    await late.burst(5, 200);
    worst = Math.max(worst, performance.now() - begin);
  }
  const done = await cleaning;
  check("retention: the next one does the rest", done.archive === left.archive && done.offline === left.offline);
  check("retention: messages go through meanwhile", worst < 1000, `${worst.toFixed(0)} ms`);
  check("retention: nothing is left to do", JSON.stringify(await counts("--dry-run")) === '{"archive":0,"offline":0}');
  await late.close();
  const got = await fetchAll("receiver");
  const missing = [...lost(fresh, got), ...lost(late, got)];
  check("retention: what is young stays", missing.length === 0, missing.join());
  await server.stop();
}
