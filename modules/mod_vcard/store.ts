// vCards as they were sent, and the fields of them that can be searched for: tables `vcard` and `vcard_search`.

import type { Element } from "@xmpp/xml";
import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Db, SqlValue } from "../../core/storage/db.ts";
import { DIALECTS } from "../../core/storage/dialect.ts";

const NS_VCARD = "vcard-temp";
/** Width of MySQL's columns for the text that is compared in a search. */
const MAX_INDEXED = 250;

/** Column and the path of its text in the vCard. */
const SEARCHED: readonly (readonly [string, readonly string[]])[] = [
  ["fn", ["FN"]],
  ["family", ["N", "FAMILY"]],
  ["given", ["N", "GIVEN"]],
  ["middle", ["N", "MIDDLE"]],
  ["nickname", ["NICKNAME"]],
  ["bday", ["BDAY"]],
  ["ctry", ["ADR", "CTRY"]],
  ["locality", ["ADR", "LOCALITY"]],
  ["email", ["EMAIL", "USERID"]],
  ["orgname", ["ORG", "ORGNAME"]],
  ["orgunit", ["ORG", "ORGUNIT"]],
];

export class VcardStore implements PersonalStore {
  constructor(private readonly db: Db) {}

  /** The vCard as markup. */
  async getVcard(jid: BareJid): Promise<string | undefined> {
    const [row] = await this.db.query<{ vcard: string }>("SELECT vcard FROM vcard WHERE server = ? AND username = ?", [
      jid.domain,
      jid.local,
    ]);
    return row?.vcard;
  }

  async setVcard(jid: BareJid, vcard: Element): Promise<void> {
    const { upsert } = DIALECTS[this.db.dialect];
    const fields = searchFields(vcard);
    await this.db.transaction([
      { sql: upsert("vcard", ["server", "username"], ["vcard"]), params: [jid.domain, jid.local, vcard.toString()] },
      {
        sql: upsert("vcard_search", ["server", "lusername"], ["username", ...Object.keys(fields)]),
        params: [jid.domain, jid.local, jid.local, ...Object.values(fields)],
      },
    ]);
  }

  async removeUser(jid: BareJid): Promise<void> {
    const params = [jid.domain, jid.local];
    await this.db.transaction([
      { sql: "DELETE FROM vcard WHERE server = ? AND username = ?", params },
      { sql: "DELETE FROM vcard_search WHERE server = ? AND lusername = ?", params },
    ]);
  }

  async removeDomain(domain: string): Promise<void> {
    await this.db.transaction([
      { sql: "DELETE FROM vcard WHERE server = ?", params: [domain] },
      { sql: "DELETE FROM vcard_search WHERE server = ?", params: [domain] },
    ]);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const vcard = await this.getVcard(jid);
    return [{ name: "vcard", columns: ["jid", "vcard"], rows: vcard === undefined ? [] : [[jid.text, vcard]] }];
  }
}

/** The searched columns: each as written, and in lower case with an `l` before its name. */
function searchFields(vcard: Element): Record<string, SqlValue> {
  const columns: Record<string, SqlValue> = {};
  for (const [column, path] of SEARCHED) {
    const text = textAt(vcard, path);
    columns[column] = text;
    columns[`l${column}`] = [...text.toLowerCase()].slice(0, MAX_INDEXED).join("");
  }
  return columns;
}

function textAt(el: Element, path: readonly string[]): string {
  let at: Element | undefined = el;
  for (const name of path) at = at?.getChild(name, NS_VCARD);
  return at?.text() ?? "";
}
