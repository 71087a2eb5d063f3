// What a MongooseIM 6 leaves in its tables: accounts, rosters, messages, in its encodings. Written out by hand or by a
// real Erlang (test/fixtures/erlang), and by nothing of the server's.
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Db, SqlValue } from "../../core/storage/db.ts";

/** Terms that a real Erlang wrote, by name. */
const TERMS = new Map(
  readFileSync(join(import.meta.dirname, "../fixtures/erlang/terms.tsv"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t") as [string, string]),
);
export function term(name: string): Buffer {
  const hex = TERMS.get(name);
  if (hex === undefined) throw new Error(`no term "${name}" in the fixtures`);
  return Buffer.from(hex, "hex");
}

/** The message that all those terms hold. */
const ARCHIVED =
  "<message from='alice@localhost/desk' id='a&apos;b&quot;&amp;&lt;&#10;' to='bob@localhost' type='chat' xml:lang='en'>" +
  "<body>one &amp; two &lt;three&gt; ]]&gt; four é😀</body><x xmlns='urn:example:x'><y><z k=''/></y></x></message>";

const MICROSECONDS = 1_700_000_000_000_000n;
/** The id of the nth message, of node 1. */
export const archiveId = (n: number): bigint => ((MICROSECONDS + BigInt(n)) << 8n) | 1n;

const ALGORITHMS = { SHA1: "sha1", SHA224: "sha224", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512" } as const;
type Hash = keyof typeof ALGORITHMS;

function scramKeys(hash: Hash, password: string, salt: Buffer, rounds: number) {
  const algorithm = ALGORITHMS[hash];
  const length = createHash(algorithm).digest().length;
  const salted = pbkdf2Sync(password, salt, rounds, length, algorithm);
  const clientKey = createHmac(algorithm, salted).update("Client Key").digest();
  return {
    stored: createHash(algorithm).update(clientKey).digest("base64"),
    server: createHmac(algorithm, salted).update("Server Key").digest("base64"),
    salt: salt.toString("base64"),
  };
}

function multiScram(password: string, hashes: readonly Hash[], rounds: number): string {
  const parts = hashes.map((hash, i) => {
    const { stored, server, salt } = scramKeys(hash, password, Buffer.alloc(16, i + 1), rounds);
    // Ten characters in each case.
    const prefix = hash === "SHA1" ? "===SHA1===" : `==${hash}==`;
    return `${prefix}${salt}|${stored}|${server}`;
  });
  return ["==MULTI_SCRAM==", rounds, ...parts].join(",");
}

function legacyScram(password: string, rounds: number): string {
  const { stored, server, salt } = scramKeys("SHA1", password, Buffer.from("an old salt"), rounds);
  return `==SCRAM==,${stored},${server},${salt},${rounds}`;
}

/** The accounts, all on localhost; passwords are "NAME's secret". */
export const ACCOUNTS = ["alice", "bob", "carol", "dave"] as const;
export const passwordOf = (name: string): string => `${name}'s secret`;

/** Fills the tables; those that a version does not have are passed over. */
export async function fillMongooseim(db: Db): Promise<void> {
  const has = new Set(await tableNames(db));
  const insert = async (table: string, row: Record<string, SqlValue>): Promise<void> => {
    if (!has.has(table)) return;
    // The column that came in 6.2.1 has no value of its own.
    if (table === "mam_message" && has.has("mam_message.is_groupchat")) row = { ...row, is_groupchat: false };
    const columns = Object.keys(row);
    const marks = columns.map(() => "?").join(", ");
    await db.execute(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${marks})`, Object.values(row));
  };
  const server = "localhost";
  const ALL: readonly Hash[] = ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"];
  await insert("users", { username: "alice", server, password: passwordOf("alice"), pass_details: null });
  for (const [username, details] of [
    ["bob", multiScram(passwordOf("bob"), ALL, 4096)],
    ["carol", legacyScram(passwordOf("carol"), 4096)],
    ["dave", multiScram(passwordOf("dave"), ["SHA256"], 4096)],
  ])
    await insert("users", { username, server, password: "", pass_details: details });

  await insert("last", { server, username: "bob", seconds: 1_700_000_000, state: "gone fishing" });

  const contact = { server, username: "alice", askmessage: "" };
  await insert("rosterusers", { ...contact, jid: "bob@localhost", nick: "Bob ☕", subscription: "B", ask: "N" });
  await insert("rosterusers", { ...contact, jid: "erin@elsewhere.org", nick: "", subscription: "N", ask: "O" });
  await insert("rosterusers", {
    ...contact,
    jid: "fay@elsewhere.org",
    nick: "",
    subscription: "F",
    ask: "I",
    askmessage: "let me in",
  });
  await insert("rostergroups", { server, username: "alice", jid: "bob@localhost", grp: "Friends" });
  await insert("rostergroups", { server, username: "alice", jid: "bob@localhost", grp: "Work" });
  const back = { server, username: "bob", jid: "alice@localhost", nick: "Alice", subscription: "B", ask: "N" };
  await insert("rosterusers", { ...back, askmessage: "" });

  await insert("vcard", { username: "bob", server, vcard: "<vCard xmlns='vcard-temp'><FN>Bob É</FN></vCard>" });
  const names = ["family", "given", "middle", "nickname", "bday", "ctry", "locality", "email", "orgname", "orgunit"];
  const empty = Object.fromEntries(
    names.flatMap((name) => [
      [name, ""],
      [`l${name}`, ""],
    ]),
  );
  await insert("vcard_search", { username: "bob", lusername: "bob", server, fn: "Bob É", lfn: "bob é", ...empty });

  await insert("private_storage", {
    server,
    username: "alice",
    namespace: "storage:bookmarks",
    data: "<storage xmlns='storage:bookmarks'><conference jid='room@muc.localhost'/></storage>",
  });

  await insert("privacy_list", { server, username: "alice", name: "blocking" });
  const [{ id }] = await db.query<{ id: number }>("SELECT id FROM privacy_list WHERE name = ?", ["blocking"]);
  const kinds = { match_all: true, match_iq: false, match_message: false };
  const item = { id, t: "j", action: "b", ...kinds, match_presence_in: false, match_presence_out: false };
  await insert("privacy_list_data", { ...item, value: "mallory@elsewhere.org", ord: 1 });
  await insert("privacy_default_list", { server, username: "alice", name: "blocking" });

  const offline = { server, username: "bob", from_jid: "alice@localhost/desk" };
  for (const [i, fields] of [term("permanent fields"), term("nil"), null].entries()) {
    const packet = `<message from='alice@localhost/desk' to='bob@localhost' type='chat' id='off${i}'><body>${i} é</body></message>`;
    await insert("offline_message", {
      timestamp: MICROSECONDS + BigInt(i),
      expire: null,
      ...offline,
      packet,
      permanent_fields: fields,
    });
  }
  await insert("offline_message", {
    timestamp: MICROSECONDS,
    expire: MICROSECONDS + 1n,
    ...offline,
    packet: "<message id='late'/>",
    permanent_fields: term("nil"),
  });

  await fillArchive(insert);
  await fillOthers(insert);
}

type Insert = (table: string, row: Record<string, SqlValue>) => Promise<void>;

/** Alice's archive with short JIDs, in each form of a message; carol's with whole JIDs. */
async function fillArchive(insert: Insert): Promise<void> {
  for (const [i, user_name] of ["alice", "bob", "carol"].entries()) {
    await insert("mam_server_user", { id: i + 1, server: "localhost", user_name });
  }
  const forms = [
    term("message, current, compressed"),
    term("message, current"),
    term("message, old, compressed"),
    term("message, old"),
    Buffer.from(ARCHIVED),
  ];
  for (const [i, message] of forms.entries()) {
    const sent = { from_jid: "/desk", remote_bare_jid: "bob", remote_resource: "", direction: "O" };
    await insert("mam_message", { id: archiveId(i), user_id: 1, ...sent, message, search_body: `word${i} one two` });
  }
  const came = {
    from_jid: "elsewhere.org@erin/phone",
    remote_bare_jid: "elsewhere.org:erin",
    remote_resource: "phone",
  };
  await insert("mam_message", {
    id: archiveId(10),
    user_id: 1,
    ...came,
    direction: "I",
    message: Buffer.from(
      "<message from='erin@elsewhere.org/phone' to='alice@localhost' id='e1'><body>hi</body></message>",
    ),
    search_body: "hi",
    origin_id: "o1",
  });
  const whole = { from_jid: "alice@localhost/desk", remote_bare_jid: "alice@localhost", remote_resource: "desk" };
  await insert("mam_message", {
    id: archiveId(20),
    user_id: 3,
    ...whole,
    direction: "I",
    message: term("message, old, compressed"),
    search_body: "",
  });
  await insert("mam_config", { user_id: 1, remote_jid: "", behaviour: "A" });
  await insert("mam_config", { user_id: 1, remote_jid: "spam@elsewhere.org", behaviour: "N" });
}

async function fillOthers(insert: Insert): Promise<void> {
  const owner = { luser: "alice", lserver: "localhost" };
  await insert("inbox", {
    ...owner,
    remote_bare_jid: "bob@localhost",
    msg_id: "off0",
    box: "archive",
    content: Buffer.from(ARCHIVED),
    timestamp: MICROSECONDS,
    muted_until: 0,
    unread_count: 3,
  });
  const marker = { lserver: "localhost", luser: "alice", to_jid: "bob@localhost", thread: "" };
  await insert("smart_markers", { ...marker, type: "D", msg_id: "off0", timestamp: MICROSECONDS });
  await insert("offline_markers", { jid: "bob@localhost", thread: "", room: "", timestamp: MICROSECONDS });
  await insert("auth_token", { owner: "alice@localhost", seq_no: 4 });
  await insert("fast_auth_token", {
    server: "localhost",
    username: "alice",
    user_agent_id: "d4565fa7-4d72-4749-b3d3-740edbf87770",
    current_token: Buffer.alloc(25, 7).toString("base64"),
    current_expire: 1_700_000_000,
    current_count: 0,
    current_mech_id: 1,
  });
  await insert("blocklist", { luser: "dave", lserver: "localhost", reason: "rude" });
  await insert("pubsub_node", {
    service_domain: "localhost",
    service_user: "alice",
    node_id: "urn:xmpp:avatar:metadata",
    access_model: "presence",
    max_items: 1,
  });
  await insert("pubsub_item", {
    service_domain: "localhost",
    service_user: "alice",
    node_id: "urn:xmpp:avatar:metadata",
    item_id: "i1",
    publisher_domain: "localhost",
    publisher_user: "alice",
    publisher_resource: "desk",
    payload: "<metadata xmlns='urn:xmpp:avatar:metadata'/>",
    published_at: MICROSECONDS,
  });
  await insert("event_pusher_push_subscription", {
    owner_jid: "alice@localhost",
    node: "n1",
    pubsub_jid: "push.localhost",
    form: '{"device_id":"x"}',
    created_at: MICROSECONDS,
  });
  // The options as MongooseIM's flat nodes have them.
  const options = {
    ...{
      deliver_payloads: true,
      notify_config: false,
      notify_delete: false,
      notify_retract: true,
      purge_offline: false,
    },
    ...{ persist_items: true, max_items: 7, subscribe: true, access_model: "whitelist", roster_groups_allowed: [] },
    ...{ publish_model: "publishers", notification_type: "headline", max_payload_size: 60000 },
    ...{ send_last_published_item: "on_sub_and_presence", deliver_notifications: true, presence_based_delivery: false },
  };
  const owners = '["alice@localhost"]';
  const node = { p_key: "pubsub.localhost", name: "news", type: "flat", owners, options: JSON.stringify(options) };
  await insert("pubsub_nodes", { nidx: 1, ...node });
  await insert("pubsub_affiliations", { nidx: 1, ...owner, aff: 1 });
  const whose = { created_luser: "alice", created_lserver: "localhost", created_at: MICROSECONDS };
  const payload =
    '<item id="first"><entry xmlns="http://www.w3.org/2005/Atom"><title>Old &amp; new</title></entry></item>';
  await insert("pubsub_items", {
    ...{ nidx: 1, itemid: "first", ...whose, modified_luser: "alice", modified_lserver: "localhost" },
    ...{ modified_lresource: "desk", modified_at: MICROSECONDS, publisher: null, payload },
  });
  const subscription = { lresource: "", type: 3, sub_id: "5F4A", options: "{}" };
  await insert("pubsub_subscriptions", { nidx: 1, luser: "bob", lserver: "localhost", ...subscription });
  await insert("muc_rooms", {
    muc_host: "muc.localhost",
    room_name: "room",
    options: '{"title":"A room","logging":true}',
  });
}

/** Tables, and their columns as "table.column". */
async function tableNames(db: Db): Promise<string[]> {
  const schema = db.dialect === "mysql" ? "DATABASE()" : "current_schema()";
  const sql = `SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = ${schema}`;
  return (await db.query<{ t: string; c: string }>(sql)).flatMap(({ t, c }) => [t, `${t}.${c}`]);
}
