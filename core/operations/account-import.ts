// Category account: users from a CSV file.

import { type BareJid, JidError, makeBare } from "../jid.ts";
import { defineOperation, OperationError, type OperationNode } from "../operations.ts";
import { parseCsvLine } from "./csv.ts";
import type { OutputOf } from "./language.ts";

type Import = OutputOf<"ImportPayload!">;
type ImportLists = { -readonly [K in Exclude<keyof Import, "status">]-?: string[] };

/** Registers the users of a CSV file, one "user,host,password" a line, some at a time. */
async function importFrom(lines: AsyncIterable<string>, node: OperationNode): Promise<Import> {
  const lists: ImportLists = {
    created: [],
    existing: [],
    notAllowed: [],
    invalidJID: [],
    emptyPassword: [],
    invalidRecord: [],
  };
  const running = new Set<Promise<void>>();
  for await (const line of lines) {
    if (line.trim() === "") continue;
    const job = importLine(line, lists, node).finally(() => running.delete(job));
    running.add(job);
    if (running.size >= 16) await Promise.race(running);
  }
  await Promise.all(running);
  const filled = Object.entries(lists).filter(([, list]) => list.length > 0);
  return { status: "Completed", ...Object.fromEntries(filled) };
}

async function importLine(line: string, lists: ImportLists, node: OperationNode): Promise<void> {
  const record = parseCsvLine(line);
  if (record?.length !== 3) {
    lists.invalidRecord.push(line);
    return;
  }
  const [name, host, password] = record;
  let user: BareJid;
  try {
    user = makeBare(name, host);
  } catch (error) {
    if (!(error instanceof JidError)) throw error;
    lists.invalidJID.push(record.join(","));
    return;
  }
  if (user.local === "") lists.invalidJID.push(record.join(","));
  else if (password === "") lists.emptyPassword.push(user.text);
  else if ((await node.domains.hostTypeOf(user.domain)) === undefined) lists.notAllowed.push(user.text);
  else {
    const result = await node.accounts.register(user, password);
    const list = result === "ok" ? lists.created : result === "exists" ? lists.existing : lists.notAllowed;
    list.push(user.text);
  }
}

export const importUsers = defineOperation({
  category: "account",
  name: "importUsers",
  kind: "mutation",
  unawaited: true,
  description: "Register the users of a CSV file on the server's disk, one user,host,password a line",
  args: { filename: "NonEmptyString!" },
  result: "ImportPayload",
  // MongooseIM protects it no further than by credentials; the file may name any domain, so we do.
  scope: "global",
  async run({ filename }, caller, node) {
    const lines = await node.server.readLines(filename);
    if (!lines) throw new OperationError("file_not_found", "File not found", { filename });
    if (caller.via === "cli") return importFrom(lines, node);
    // An HTTP client would give up before a long import is done.
    void importFrom(lines, node).catch((error: unknown) => {
      const outcome = "crashed";
      node.audit({ operation: "account.importUsers", caller, args: { filename }, outcome, error, milliseconds: 0 });
    });
    return { status: "ImportUsers scheduled" };
  },
});
