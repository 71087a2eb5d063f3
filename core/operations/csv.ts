// Comma-separated values, RFC 4180.

/** The fields of a record that has no line end in it, or undefined when a quoted field is not closed or goes on after its closing quote. */
export function parseCsvLine(line: string): string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  for (;;) {
    if (text[at] === '"') {
      const end = /"(?:[^"]|"")*"/y;
      end.lastIndex = at;
      const match = end.exec(text);
      if (!match) return undefined;
      fields.push(match[0].slice(1, -1).replaceAll('""', '"'));
      at += match[0].length;
      if (at < text.length && text[at] !== ",") return undefined;
    } else {
      const comma = text.indexOf(",", at);
      const end = comma < 0 ? text.length : comma;
      fields.push(text.slice(at, end));
      at = end;
    }
    if (at >= text.length) return fields;
    at += 1;
    if (at === text.length) return [...fields, ""];
  }
}

const SPECIAL = /[",\r\n]/;

/** Records as text, each with its line end; a field is quoted where it has to be. */
export function formatCsv(records: readonly (readonly string[])[]): string {
  let text = "";
  for (const fields of records) {
    let first = true;
    for (const field of fields) {
      if (first) first = false;
      else text += ",";
      text += SPECIAL.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
    }
    text += "\r\n";
  }
  return text;
}
