// A child process for the kill test: writes rows without end and prints the id of each that was acknowledged.
import { openStorage } from "../../core/storage/index.ts";

const db = await openStorage({ stateDir: process.argv[2] });
const columns = ["timestamp", "server", "username", "from_jid", "packet"];

async function write(worker: number): Promise<never> {
  for (let n = 0; ; n++) {
    const id = `${worker}.${n}`;
    const row = [n, "localhost", id, "romeo@localhost", "<message/>"];
    if (n % 2 === 0) await db.insertMany("offline_message", columns, [row]);
    else await db.insertNew("offline_message", Object.fromEntries(columns.map((column, i) => [column, row[i]])));
    process.stdout.write(`${id}\n`);
  }
}

for (let worker = 0; worker < 20; worker++) void write(worker);
