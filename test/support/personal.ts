// Personal data as a whole: from stores, whether they read it at once or in pages, and from zip files.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unzipSync } from "fflate";
import type { PersonalData } from "../../core/hooks.ts";
import type { Face } from "./graphql.ts";

/** The tables with all their rows. */
export async function whole(tables: readonly PersonalData[] | Promise<readonly PersonalData[]>) {
  const all: { name: string; columns: readonly string[]; rows: readonly (readonly string[])[] }[] = [];
  for (const { name, columns, rows, more } of await tables) {
    const every = [...rows];
    for await (const page of more ?? []) every.push(...page);
    all.push({ name, columns, rows: every });
  }
  return all;
}

/** A CSV file (RFC 4180), line ends in quoted fields and all. */
function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  let record: string[] = [];
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (match === null) throw new Error(`There is no CSV at ${at}: ${text.slice(at, at + 80)}`);
    record.push(match[1]?.replaceAll('""', '"') ?? match[2]);
    if (match[3] === ",") continue;
    records.push(record);
    record = [];
  }
  return records;
}

export interface CsvTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The tables of an export, by the names of their files without ".csv". */
export function readExport(file: string): Record<string, CsvTable> {
  const found: Record<string, CsvTable> = {};
  for (const [name, bytes] of Object.entries(unzipSync(readFileSync(file)))) {
    const [columns, ...rows] = parseCsv(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    found[name.replace(/\.csv$/, "")] = { columns, rows };
  }
  return found;
}

/** What an administrator gets of a user, the zip file read and removed. */
export async function retrieved(face: Face, { local, domain }: { local: string; domain: string }) {
  const dir = mkdtempSync(join(tmpdir(), "personal-"));
  const file = join(dir, "data.zip");
  const args = { username: local, domain, resultFilepath: file };
  (await face.calls("gdpr.retrievePersonalData", args)).gives("Data retrieved");
  try {
    return readExport(file);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
