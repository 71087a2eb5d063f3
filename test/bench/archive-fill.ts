// Fills an embedded database with archives, as years of use would have: messages of all owners in the order of time.
//
//   bun test/bench/archive-fill.ts STATE_DIR [OWNERS] [MESSAGES_EACH]
//
// Owners are user0@localhost and on. The indexes are made at the end, which is quick and gives the same tables.

import { Database } from "bun:sqlite";
import { join } from "node:path";
import { openStorage } from "../../core/storage/index.ts";

const [stateDir, owners = "1000", each = "10000"] = process.argv.slice(2);
if (stateDir === undefined) throw new Error("which state directory?");
const [n, m] = [Number(owners), Number(each)];

const storage = await openStorage({ stateDir });
await storage.close();
const db = new Database(join(stateDir, "mongooseim.db"));
for (const pragma of ["synchronous = OFF", "journal_mode = OFF", "locking_mode = EXCLUSIVE", "cache_size = -500000"]) {
  db.run(`PRAGMA ${pragma}`);
}
const indexes = db
  .query<{ name: string; sql: string }, []>(
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'mam_message' AND sql IS NOT NULL",
  )
  .all();
for (const { name } of indexes) db.run(`DROP INDEX ${name}`);

const owner = db.prepare("INSERT INTO mam_server_user (id, server, user_name) VALUES (?, 'localhost', ?)");
const insert = db.prepare(
  `INSERT INTO mam_message (id, user_id, from_jid, remote_bare_jid, remote_resource, direction, message, search_body,
   origin_id, is_groupchat) VALUES (?, ?, ?, ?, 'xl', ?, ?, ?, NULL, 0)`,
);
/** Half a second between two messages, up to an hour ago. */
const step = 500_000n;
const start = (BigInt(Date.now()) - 3_600_000n) * 1000n - BigInt(n * m) * step;
const text = "Neither a borrower nor a lender be; for loan oft loses both itself and";
const searchText = "neither a borrower nor a lender be for loan oft loses both itself and";
db.run("BEGIN");
for (let i = 0; i < n; i++) owner.run(i + 1, `user${i}`);
for (let k = 0; k < n * m; k++) {
  const i = k % n;
  const turn = Math.floor(k / n);
  const peer = (i + 1 + (turn % 20)) % n;
  const incoming = turn % 2 === 0;
  const [from, to] = incoming ? [peer, i] : [i, peer];
  const stanza = `<message from='user${from}@localhost/xl' to='user${to}@localhost' type='chat' id='m${k}'><body>${text} ${k}</body></message>`;
  const id = ((start + BigInt(k) * step) << 8n) | 1n;
  const fromJid = incoming ? `user${peer}/xl` : "/xl";
  insert.run(id, i + 1, fromJid, `user${peer}`, incoming ? "I" : "O", stanza, `${searchText} ${k}`);
  if (k % 1_000_000 === 999_999) {
    db.run("COMMIT");
    db.run("BEGIN");
    process.stderr.write(`${(k + 1) / 1_000_000} million\n`);
  }
}
db.run("COMMIT");
for (const { sql } of indexes) db.run(sql);
db.run("PRAGMA journal_mode = WAL");
db.close();
