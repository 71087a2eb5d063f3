// The fields of a vCard that the directory searches: where they are in the vCard, in the table and in forms.

import type { Element } from "@xmpp/xml";
import { NS_VCARD } from "../../core/ns.ts";

export interface SearchField {
  /** Name in forms (XEP-0055). */
  readonly var: string;
  /** Label in the search form. */
  readonly label: string;
  /** Label in results, where it is another one. */
  readonly reported?: string;
  /** Column with the text as written; that with the folded text has an `l` before it. */
  readonly column: string;
  /** Where the text is in a vCard; the first of these that is not empty. */
  readonly paths: readonly (readonly string[])[];
}

/** In the order of MongooseIM's forms. The user's name stands before them. */
export const FIELDS: readonly SearchField[] = [
  { var: "fn", label: "Full Name", column: "fn", paths: [["FN"]] },
  { var: "first", label: "Given Name", reported: "Name", column: "given", paths: [["N", "GIVEN"]] },
  { var: "middle", label: "Middle Name", column: "middle", paths: [["N", "MIDDLE"]] },
  { var: "last", label: "Family Name", column: "family", paths: [["N", "FAMILY"]] },
  { var: "nick", label: "Nickname", column: "nickname", paths: [["NICKNAME"]] },
  { var: "bday", label: "Birthday", column: "bday", paths: [["BDAY"]] },
  { var: "ctry", label: "Country", column: "ctry", paths: [["ADR", "CTRY"]] },
  { var: "locality", label: "City", column: "locality", paths: [["ADR", "LOCALITY"]] },
  { var: "email", label: "Email", column: "email", paths: [["EMAIL", "USERID"], ["EMAIL"]] },
  { var: "orgname", label: "Organization Name", column: "orgname", paths: [["ORG", "ORGNAME"]] },
  { var: "orgunit", label: "Organization Unit", column: "orgunit", paths: [["ORG", "ORGUNIT"]] },
];

/** Width of MySQL's columns for the text that is compared in a search, in characters. */
const MAX_INDEXED = 250;

/** The text of a field. */
export function fieldText(vcard: Element, field: SearchField): string {
  for (const path of field.paths) {
    let at: Element | undefined = vcard;
    for (const name of path) at = at?.getChild(name, NS_VCARD);
    const text = at?.text() ?? "";
    if (text !== "") return text;
  }
  return "";
}

/** Text as it is compared: case folded as MongooseIM's stringprep does, and no longer than the column. */
export function folded(text: string): string {
  const plain = text.normalize("NFKC").toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ").normalize("NFKC");
  return [...plain].slice(0, MAX_INDEXED).join("");
}
