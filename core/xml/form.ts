// XEP-0004 data forms: a form as data, its markup, and what a client sends back, checked against the form.

import type { Element } from "@xmpp/xml";
import { tryParseJid } from "../jid.ts";
import { NS_DATA } from "../ns.ts";
import { attr, type Markup, xml } from "./markup.ts";

export type FieldType =
  | "boolean"
  | "fixed"
  | "hidden"
  | "jid-multi"
  | "jid-single"
  | "list-multi"
  | "list-single"
  | "text-multi"
  | "text-private"
  | "text-single";

export interface FormField {
  /** Name; a "fixed" field has none. */
  readonly var?: string;
  /** "text-single" when absent. */
  readonly type?: FieldType;
  readonly label?: string;
  /** Longer help. */
  readonly desc?: string;
  readonly required?: boolean;
  readonly values?: readonly string[];
  /** Of a list: the values that can be chosen. */
  readonly options?: readonly { readonly value: string; readonly label?: string }[];
}

export interface DataForm {
  readonly title?: string;
  readonly instructions?: string;
  /** FORM_TYPE (XEP-0068). */
  readonly formType?: string;
  readonly fields: readonly FormField[];
}

/** A column of a result table. */
export interface Column {
  readonly var: string;
  readonly label?: string;
  readonly type?: FieldType;
}

/** <x/> of a form to be filled in ("form") or of one with results ("result"). */
export function formMarkup(form: DataForm, type: "form" | "result" = "form"): Markup {
  return xml`<x xmlns='${NS_DATA}' type='${type}'>${head(form)}${form.fields.map((f) => fieldMarkup(f, type))}</x>`;
}

/** <x/> of a result with rows (XEP-0004 §3.4); a row has the values by the columns' names, "" for none. */
export function tableMarkup(
  table: Omit<DataForm, "fields">,
  columns: readonly Column[],
  rows: readonly Readonly<Record<string, string>>[],
): Markup {
  const reported = columns.map((c) => xml`<field${attr("label", c.label)}${attr("type", c.type)} var='${c.var}'/>`);
  const items = rows.map(
    (row) =>
      xml`<item>${columns.map((c) => xml`<field var='${c.var}'><value>${row[c.var] ?? ""}</value></field>`)}</item>`,
  );
  return xml`<x xmlns='${NS_DATA}' type='result'>${head(table)}<reported>${reported}</reported>${items}</x>`;
}

function head({ title, instructions, formType }: Omit<DataForm, "fields">): Markup[] {
  const parts: Markup[] = [];
  if (title !== undefined) parts.push(xml`<title>${title}</title>`);
  if (instructions !== undefined) parts.push(xml`<instructions>${instructions}</instructions>`);
  if (formType !== undefined) {
    parts.push(xml`<field type='hidden' var='FORM_TYPE'><value>${formType}</value></field>`);
  }
  return parts;
}

function fieldMarkup(field: FormField, type: "form" | "result"): Markup {
  const values = (field.values ?? []).map((value) => xml`<value>${value}</value>`);
  const fieldType = attr("type", field.type ?? "text-single");
  const tag = xml`${attr("label", field.label)}${fieldType}${attr("var", field.var)}`;
  if (type === "result") return xml`<field${tag}>${values}</field>`;
  const desc = field.desc === undefined ? undefined : xml`<desc>${field.desc}</desc>`;
  const required = field.required ? xml`<required/>` : undefined;
  const options = (field.options ?? []).map(
    (o) => xml`<option${attr("label", o.label)}><value>${o.value}</value></option>`,
  );
  return xml`<field${tag}>${desc}${required}${values}${options}</field>`;
}

/** A form that a client has filled in. */
export class Submission {
  private constructor(
    /** "submit" or "cancel", or what else the client wrote. */
    readonly type: string,
    private readonly fields: ReadonlyMap<string, readonly string[]>,
  ) {}

  /** Of <x/>. A field that occurs twice counts as its last occurrence. */
  static of(x: Element): Submission {
    const fields = new Map<string, string[]>();
    for (const field of x.getChildren("field", NS_DATA)) {
      const name = field.attrs["var"];
      if (name !== undefined) {
        fields.set(
          name,
          field.getChildren("value", NS_DATA).map((v) => v.text()),
        );
      }
    }
    return new Submission(x.attrs["type"] ?? "", fields);
  }

  /** A form without fields. */
  static readonly EMPTY = new Submission("submit", new Map());

  /** Names of the fields that were sent. */
  get names(): Iterable<string> {
    return this.fields.keys();
  }

  has(name: string): boolean {
    return this.fields.has(name);
  }

  /** The only or first value; undefined when there is none. */
  get(name: string): string | undefined {
    return this.fields.get(name)?.[0];
  }

  all(name: string): readonly string[] {
    return this.fields.get(name) ?? [];
  }

  /** The lines of a text-multi field as one text. */
  text(name: string): string {
    return this.all(name).join("\n");
  }

  /** A boolean field (XEP-0004 §3.3); undefined when there is none. */
  flag(name: string): boolean | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : value === "1" || value === "true";
  }
}

const MULTIPLE: ReadonlySet<FieldType> = new Set(["hidden", "jid-multi", "list-multi", "text-multi"]);
const BOOLEANS: ReadonlySet<string> = new Set(["0", "1", "false", "true"]);

/**
 * What is wrong with a submission of this form, as a sentence for people; undefined when nothing is. Fields that the
 * form does not have are ignored (XEP-0004 §3.2).
 */
export function formFault(form: DataForm, submission: Submission): string | undefined {
  const formType = submission.get("FORM_TYPE");
  if (form.formType !== undefined && formType !== undefined && formType !== form.formType) {
    return `The form is not one of ${form.formType}`;
  }
  for (const field of form.fields) {
    if (field.var === undefined || field.type === "fixed") continue;
    const values = submission.all(field.var);
    const given = values.some((value) => value !== "");
    if (field.required && !given) return `The field ${field.var} is required`;
    if (given) {
      const fault = valuesFault(field, values);
      if (fault !== undefined) return `The field ${field.var} ${fault}`;
    }
  }
  return undefined;
}

function valuesFault({ type = "text-single", options }: FormField, values: readonly string[]): string | undefined {
  if (values.length > 1 && !MULTIPLE.has(type)) return "takes one value";
  switch (type) {
    case "boolean":
      return values.every((v) => BOOLEANS.has(v)) ? undefined : "is yes or no";
    case "jid-single":
    case "jid-multi":
      return values.every((v) => tryParseJid(v) !== undefined) ? undefined : "is no JID";
    case "list-single":
    case "list-multi":
      return values.every((v) => options?.some((o) => o.value === v)) ? undefined : "is none of the choices";
    default:
      return undefined;
  }
}
