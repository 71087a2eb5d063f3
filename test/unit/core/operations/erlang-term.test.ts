import { expect, test } from "vitest";
import { erlangTerm } from "../../../../core/operations/erlang-term.ts";

test.each([
  ["", "<<>>"],
  ["test@", '<<"test@">>'],
  ['say "hi"\\\n', '<<"say \\"hi\\"\\\\\\n">>'],
  ["Zażółć", '<<"Zażółć"/utf8>>'],
  [-1, "-1"],
  [1.5, "1.5"],
  [true, "true"],
  [null, "null"],
  [undefined, "null"],
  [["a", 2], '[<<"a">>,2]'],
  [{ jid: "a@b", groups: [] }, '#{<<"jid">> => <<"a@b">>,<<"groups">> => []}'],
])("%j is %s", (value, term) => expect(erlangTerm(value)).toBe(term));
