// <prefs/> of XEP-0441: read, and set.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../../core/errors.ts";
import { type BareJid, tryParseJid } from "../../../core/jid.ts";
import type { Iq } from "../../../core/module.ts";
import { type Markup, xml } from "../../../core/xml/markup.ts";
import type { Behaviour } from "../backend.ts";
import type { AskedArchive } from "../query/archive.ts";
import { type Preference, UNSAID } from "./index.ts";
import { MAX_JID } from "./store.ts";

const WORDS = { A: "always", N: "never", R: "roster" } as const satisfies Record<Behaviour, string>;
const BEHAVIOURS: ReadonlyMap<string, Behaviour> = new Map([
  ["always", "A"],
  ["never", "N"],
  ["roster", "R"],
]);

/** Where nobody may say anything, everything is archived, and a client is told so. */
export async function getPreferences(owner: BareJid, ns: string, archive: AskedArchive): Promise<Markup> {
  archive.counters.getPrefs.add();
  return prefsMarkup(ns, archive.prefs === undefined ? UNSAID : await archive.prefs.of(owner));
}

/** The answer is what counts from now on (§2.1). */
export async function setPreferences(iq: Iq, ns: string, { prefs, counters }: AskedArchive): Promise<Markup> {
  counters.setPrefs.add();
  if (prefs === undefined) throw new StanzaError("feature-not-implemented");
  const preference = readPrefs(iq.payload, prefs.mostJids);
  await prefs.set(iq.to.bare, preference);
  return prefsMarkup(ns, preference);
}

/**
 * What <prefs/> says.
 * @throws StanzaError bad-request for a default that is none, or a JID that is in both lists; jid-malformed;
 *   policy-violation for more JIDs than an owner may name
 */
function readPrefs(prefs: Element, most: number): Preference {
  const byDefault = BEHAVIOURS.get(prefs.attrs["default"] ?? "");
  if (byDefault === undefined) throw new StanzaError("bad-request", "The default is always, never or roster");
  const jids = new Map<string, "A" | "N">();
  for (const [list, said] of [
    ["always", "A"],
    ["never", "N"],
  ] as const) {
    for (const el of prefs.getChild(list)?.getChildren("jid") ?? []) {
      const jid = readJid(el.text());
      if (jids.has(jid) && jids.get(jid) !== said) {
        throw new StanzaError("bad-request", `${jid} cannot be archived always and never`);
      }
      jids.set(jid, said);
      if (jids.size > most) throw new StanzaError("policy-violation", `Preferences name ${most} JIDs at most`);
    }
  }
  return { default: byDefault, jids };
}

function readJid(text: string): string {
  const jid = tryParseJid(text.trim())?.text;
  if (jid === undefined) throw new StanzaError("jid-malformed");
  if (Buffer.byteLength(jid) > MAX_JID) {
    throw new StanzaError("policy-violation", `A JID here has ${MAX_JID} bytes at most`);
  }
  return jid;
}

function prefsMarkup(ns: string, { default: byDefault, jids }: Preference): Markup {
  const list = (said: "A" | "N"): Markup[] =>
    [...jids]
      .filter(([, one]) => one === said)
      .map(([jid]) => jid)
      .sort()
      .map((jid) => xml`<jid>${jid}</jid>`);
  return xml`<prefs default='${WORDS[byDefault]}' xmlns='${ns}'><always>${list("A")}</always><never>${list("N")}</never></prefs>`;
}
