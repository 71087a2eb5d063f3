// JSON values as Erlang writes its terms: MongooseIM's messages about bad values quote them so.

/** A value as `io_lib:format("~p")` would show what MongooseIM decodes from the same JSON, on one line. */
export function erlangTerm(value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (typeof value === "string") return binary(value);
  if (Array.isArray(value)) return `[${value.map(erlangTerm).join(",")}]`;
  if (typeof value !== "object") return String(value);
  const pairs = Object.entries(value).map(([key, inner]) => `${binary(key)} => ${erlangTerm(inner)}`);
  return `#{${pairs.join(",")}}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function binary(text: string): string {
  if (text === "") return "<<>>";
  const shown = text.replace(/["\\\n\r\t]/g, (c) => ESCAPES[c] ?? c);
  const beyondLatin1 = [...text].some((c) => (c.codePointAt(0) ?? 0) > 0xff);
  return `<<"${shown}"${beyondLatin1 ? "/utf8" : ""}>>`;
}
