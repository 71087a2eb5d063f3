// The audit log: who did what through GraphQL or the command line, and what came of it.

import { BareJid, FullJid } from "../jid.ts";
import type { Log } from "../log/index.ts";
import type { AuditEntry, Caller } from "../operations.ts";
import { Stanza } from "../stanza.ts";
import { attr, Markup, xml } from "../xml/markup.ts";

/** Characters of an argument: a line shows what was done, it does not archive it. */
const MOST = 500;

/** Writes one line: a notice, or an error when the operation crashed. */
export function auditEntry(
  log: Log,
  { operation, caller, args, outcome, code, error, milliseconds }: AuditEntry,
): void {
  const crashed = outcome === "crashed";
  if (!log.enabled(crashed ? "error" : "notice")) return;
  const fields: Record<string, unknown> = { operation, caller: nameOf(caller), via: caller.via, outcome, code };
  for (const [name, value] of Object.entries(args)) fields[`arg_${name}`] = shown(value);
  fields["milliseconds"] = Math.round(milliseconds * 10) / 10;
  if (crashed) log.error("operation_crashed", { ...fields, error });
  else log.notice("operation", fields);
}

function nameOf(caller: Caller): string {
  switch (caller.kind) {
    case "domain_admin":
      return `admin@${caller.domain}`;
    case "user":
      return caller.jid.text;
    default:
      return caller.kind;
  }
}

/** Text and numbers as they are, JIDs as they are written, of stanzas the head, the rest as JSON. */
function shown(value: unknown): unknown {
  const simple = plain(value);
  if (typeof simple === "number" || typeof simple === "boolean") return simple;
  const text = typeof simple === "string" ? simple : JSON.stringify(simple, (_key, inner: unknown) => plain(inner));
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text;
}

function plain(value: unknown): unknown {
  if (value instanceof Stanza) return headOf(value);
  if (value instanceof BareJid || value instanceof FullJid) return value.text;
  return typeof value === "bigint" ? String(value) : value;
}

/** What it is, and from whom to whom: what people write is not for the log. */
function headOf({ name, fromText, toText, type, id }: Stanza): string {
  const from = attr("from", fromText);
  const to = attr("to", toText);
  return xml`<${new Markup(name)}${from}${to}${attr("type", type || undefined)}${attr("id", id)}/>`.text;
}
