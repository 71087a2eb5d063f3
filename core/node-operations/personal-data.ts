// Personal data, as operations ask for it: every feature's tables and the accounts', as CSV files in a zip.

import { realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { storesElsewhere } from "../elsewhere.ts";
import type { PersonalData, PersonalRows } from "../hooks.ts";
import type { HostRuntime } from "../host.ts";
import type { BareJid } from "../jid.ts";
import type { Node } from "../node.ts";
import { formatCsv } from "../operations/csv.ts";
import { OperationError, type PersonalOps } from "../operations.ts";
import type { OperationParts } from "./parts.ts";
import { ZipFile } from "./zip-file.ts";

export function personalOps(node: Node, { stateDir }: Pick<OperationParts, "stateDir">): PersonalOps {
  return {
    async writeZip(user, file) {
      const host = node.hostOf(user.domain);
      if (host === undefined) {
        throw new OperationError("domain_not_found", "Domain not found", { domain: user.domain });
      }
      if (stateDir !== undefined) await outside(stateDir, file);
      const zip = await ZipFile.create(file);
      try {
        const names = new Map<string, number>();
        for (const table of await personalTables(node, host, user)) {
          const text = csvOf(table);
          const first = await text.next();
          // As MongooseIM does: no file for a table with nothing in it.
          if (first.done) continue;
          await zip.add(fileName(table.name, names), resumed(first.value, text));
        }
        await zip.finish();
      } catch (error) {
        await zip.discard();
        throw error;
      }
      node.log.notice("personal_data_retrieved", { user: user.text, file });
    },
  };
}

/** A name in the state directory may mean something to the server: whoever may only export is not to choose it. */
async function outside(stateDir: string, file: string): Promise<void> {
  const [own, there] = await Promise.all([realpath(stateDir), realpath(dirname(resolve(file))).catch(() => undefined)]);
  // Of a directory that is not there the file itself will tell.
  if (there === undefined || (there !== own && !there.startsWith(`${own}/`))) return;
  throw new OperationError(
    "file_creation_permission_denied_error",
    `Cannot write "${file}": it is in the state directory of the server; name another directory`,
  );
}

/**
 * All that is kept about a user: of the account, then feature by feature, other host types' and what nobody uses any more
 * last. Rejects when something cannot be read.
 */
async function personalTables(node: Node, host: HostRuntime, user: BareJid): Promise<PersonalData[]> {
  const accounts = await host.auth.personalData(user.local, user.domain);
  const account: PersonalData = {
    name: "account",
    columns: ["jid", "method", "password", "created_at"],
    rows: accounts.map((a) => [user.text, a.method, a.password, a.created_at]),
  };
  const tables = await host.hooks.foldWhole("get_personal_data", [account], { jid: user });
  for (const [, store] of storesElsewhere(host, node.hosts)) tables.push(...(await store.personalData(user)));
  for (const store of node.unusedStores()) tables.push(...(await store.personalData(user)));
  return tables;
}

/** The text of a table, a page at a time; nothing at all for an empty one. */
async function* csvOf({ columns, rows, more }: PersonalData): AsyncGenerator<string> {
  let headed = false;
  const text = (page: PersonalRows): string => {
    const records = headed ? page : [columns, ...page];
    headed = true;
    return formatCsv(records);
  };
  if (rows.length > 0) yield text(rows);
  for await (const page of more ?? []) if (page.length > 0) yield text(page);
}

async function* resumed(first: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}

/** Two features may have a table of the same name: the second one's has a number. */
function fileName(name: string, taken: Map<string, number>): string {
  const n = (taken.get(name) ?? 0) + 1;
  taken.set(name, n);
  return n === 1 ? `${name}.csv` : `${name}-${n}.csv`;
}
