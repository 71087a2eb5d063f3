// Turns the `?` placeholders of stores into the `$1`, `$2` of PostgreSQL.

/** What may hold a question mark that is no placeholder: strings, names, comments, dollar quotes. */
const TOKEN =
  /\?|[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|(\$\w*\$)[\s\S]*?\1/g;

/** Numbers the placeholders of a statement from `$1` on. */
export function numberPlaceholders(sql: string): string {
  let next = 1;
  return sql.replace(TOKEN, (token) => (token === "?" ? `$${next++}` : token));
}
