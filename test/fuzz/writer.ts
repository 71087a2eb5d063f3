// Fuzzing of the writer: edits by chance on a stanza, written, read by saxes, and compared with the same edits on a tree.

import type { Stanza } from "../../core/stanza.ts";
import { attr, escapeXml, xml } from "../../core/xml/markup.ts";
import { encode, Scratch } from "../../core/xml/writer.ts";
import type { Random } from "./random.ts";
import { parseTree, show, type Tree } from "./tree.ts";

const XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang";
const SENDERS = ["juliet@example.com/balcony", "o'hara@example.com", "\u0436\u0443\u043a@example.com/&<>", ""];
const TEXTS = ["plain", "a<b&c>d'e\"f", "caf\u00e9 \u{1f600}", "", "]]>"];

const scratch = new Scratch();

/** Edits, writes and reads again; says what is wrong, or undefined. */
export function writeAndCompare(r: Random, given: Stanza): string | undefined {
  // The writer stands on an unprefixed name; a stanza with another one has been rewritten by the framer.
  const s = given.clone();
  const tree = parseTree(s.text, s.scope.defaultNs);
  const sender = r.pick(SENDERS);
  const to = r.once(2) ? "" : r.pick(SENDERS);
  const whole = r.once(2) && (s.nsS >= 0 || s.scope.defaultNs === "jabber:client");
  const removed = new Set<number>();
  for (let k = 0; k < s.childCount; k++) {
    if (!r.once(3)) continue;
    s.removeChild(k);
    removed.add(k);
  }
  const added: Tree[] = [];
  while (r.once(3)) {
    const text = r.pick(TEXTS);
    s.append(xml`<stanza-id xmlns='urn:xmpp:sid:0'${attr("by", r.once(2) ? text : undefined)}>${text}</stanza-id>`);
    added.push(parseTree(`<stanza-id xmlns='urn:xmpp:sid:0'>${escapeXml(text)}</stanza-id>`));
    if (s.appended.includes(" by=") && s.appended.lastIndexOf(" by=") > s.appended.lastIndexOf("<stanza-id")) {
      added.at(-1)!.attrs.set("{}by", text);
    }
  }
  let lead = sender === "" ? "" : ` from='${escapeXml(sender)}'`;
  tree.attrs.delete("{}from");
  if (sender !== "") tree.attrs.set("{}from", sender);
  if (to !== "") tree.attrs.set("{}to", to);
  if (s.langS < 0 && r.once(3)) {
    lead += " xml:lang='en'";
    tree.attrs.set(XML_LANG, "en");
  }
  const length = encode(scratch, s, lead, to === "" ? "" : ` to='${escapeXml(to)}'`, whole);
  const out = scratch.bytes.utf8Slice(0, length);
  let index = 0;
  tree.children = tree.children.filter((c) => typeof c === "string" || !removed.has(index++));
  tree.children.push(...added);
  let written: Tree;
  try {
    written = parseTree(out, whole ? "" : s.scope.defaultNs);
  } catch (error) {
    return `${s.text} -> ${out}: ${String(error)}`;
  }
  if (show(written) !== show(tree)) return `${s.text} -> ${out}\nwanted ${show(tree)}`;
  return undefined;
}
