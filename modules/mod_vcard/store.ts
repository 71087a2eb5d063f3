// vCards as they were sent, and the fields of them that can be searched for: tables `vcard` and `vcard_search`.

import type { Element } from "@xmpp/xml";
import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import type { Db, SqlValue } from "../../core/storage/db.ts";
import { DIALECTS, escapeLike } from "../../core/storage/dialect.ts";
import { Turns } from "../../core/turns.ts";
import { FIELDS, fieldText, folded } from "./fields.ts";

/** A user that a search has found: the columns of FIELDS, as written. */
export interface Found {
  readonly username: string;
  readonly server: string;
  readonly [column: string]: string;
}

/** A condition of a search: the folded text of a field, the whole or its beginning. */
export interface Condition {
  /** Column of FIELDS, or "username". */
  readonly column: string;
  readonly text: string;
  readonly beginning: boolean;
}

export class VcardStore implements PersonalStore {
  /** Who writes the vCard of an account, one after the other: what is changed in it is what is there. */
  readonly writers = new Turns();

  constructor(private readonly db: Db) {}

  /** The vCard as markup. */
  async getVcard(jid: BareJid): Promise<string | undefined> {
    const [row] = await this.db.query<{ vcard: string }>("SELECT vcard FROM vcard WHERE server = ? AND username = ?", [
      jid.domain,
      jid.local,
    ]);
    return row?.vcard;
  }

  /** Stores a vCard: `text` is its markup. */
  async setVcard(jid: BareJid, vcard: Element, text = vcard.toString()): Promise<void> {
    const { upsert } = DIALECTS[this.db.dialect];
    const fields = searchFields(vcard);
    await this.db.transaction([
      { sql: upsert("vcard", ["server", "username"], ["vcard"]), params: [jid.domain, jid.local, text] },
      {
        sql: upsert("vcard_search", ["server", "lusername"], ["username", ...Object.keys(fields)]),
        params: [jid.domain, jid.local, jid.local, ...Object.values(fields)],
      },
    ]);
  }

  /** The users of a domain that meet all conditions, of which there is at least one; by name, `limit` at most. */
  search(domain: string, conditions: readonly Condition[], limit: number): Promise<Found[]> {
    const columns = ["username", "server", ...FIELDS.map((f) => f.column)].join(", ");
    const where = conditions.map(({ column, beginning }) => `l${column} ${beginning ? "LIKE ? ESCAPE '$'" : "= ?"}`);
    const values = conditions.map(({ text, beginning }) => (beginning ? `${escapeLike(text)}%` : text));
    const bounded = Number.isFinite(limit);
    return this.db.query<Found>(
      `SELECT ${columns} FROM vcard_search WHERE server = ? AND ${where.join(" AND ")}
       ORDER BY lusername${bounded ? " LIMIT ?" : ""}`,
      bounded ? [domain, ...values, limit] : [domain, ...values],
    );
  }

  async removeUser(jid: BareJid): Promise<void> {
    const params = [jid.domain, jid.local];
    await this.db.transaction([
      { sql: "DELETE FROM vcard WHERE server = ? AND username = ?", params },
      { sql: "DELETE FROM vcard_search WHERE server = ? AND lusername = ?", params },
    ]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    const rows = { where: "server = ?", params: [domain] };
    await deleteInBatches(this.db, { ...rows, table: "vcard", key: ["server", "username"] }, deleted);
    await deleteInBatches(this.db, { ...rows, table: "vcard_search", key: ["server", "lusername"] }, deleted);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const vcard = await this.getVcard(jid);
    return [{ name: "vcard", columns: ["jid", "vcard"], rows: vcard === undefined ? [] : [[jid.text, vcard]] }];
  }
}

/** The searched columns: each as written, and folded with an `l` before its name. */
function searchFields(vcard: Element): Record<string, SqlValue> {
  const columns: Record<string, SqlValue> = {};
  for (const field of FIELDS) {
    const text = fieldText(vcard, field);
    columns[field.column] = text;
    columns[`l${field.column}`] = folded(text);
  }
  return columns;
}
