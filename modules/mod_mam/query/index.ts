// Requests to an archive: queries, the form of queries, metadata, preferences. One way for all kinds of archive.

import { StanzaError } from "../../../core/errors.ts";
import type { BareJid } from "../../../core/jid.ts";
import type { Iq, IqReply, MaybePromise } from "../../../core/module.ts";
import type { Owner } from "../backend.ts";
import { getPreferences, setPreferences } from "../prefs/iq.ts";
import type { AskedArchive } from "./archive.ts";
import { formMarkup } from "./form.ts";
import { inOrder, lookup, readQuery } from "./lookup.ts";
import { finMarkup, metadataMarkup, sendResults } from "./results.ts";
import type { Action } from "./shapers.ts";

export { type AskedArchive, type AskedCounters, NAMESPACES, NS_MAM, NS_MAM1 } from "./archive.ts";
export { Shapers } from "./shapers.ts";

/** What is asked, by type and name of the payload; `rule` is the rule of `access` that may say who may ask. */
interface Request {
  readonly action: Action;
  /** MongooseIM's name for the rule, beside the one of the action. */
  readonly rule: string;
  run(iq: Iq, ns: string, archive: AskedArchive): MaybePromise<IqReply>;
}

const REQUESTS: Readonly<Record<string, Request>> = {
  "get query": {
    action: "lookup_messages",
    rule: "get_message_form",
    run: (_iq, ns, { words }) => formMarkup(ns, words !== undefined),
  },
  "set query": { action: "lookup_messages", rule: "set_message_form", run: query },
  "get metadata": { action: "lookup_messages", rule: "get_metadata", run: metadata },
  "get prefs": {
    action: "get_prefs",
    rule: "get_prefs",
    run: (iq, ns, archive) => getPreferences(iq.to.bare, ns, archive),
  },
  "set prefs": {
    action: "set_prefs",
    rule: "set_prefs",
    run: (iq, ns, archive) => setPreferences(iq, ns, archive),
  },
};

/**
 * Answers a request to an archive, whose address is `iq.to`. Throws the StanzaErrors that are the answer.
 * @param prefix what the rules of `access` begin with: "mam" for users' archives, "muc_mam" for rooms'
 */
export function answer(iq: Iq, archive: AskedArchive, prefix = "mam"): MaybePromise<IqReply> {
  const { payload } = iq;
  const ns: string = payload.attrs["xmlns"];
  const dropped = (error: unknown): never => {
    archive.counters.droppedIq.add();
    if (error instanceof StanzaError) throw error;
    archive.failed(error, iq.to.bare);
    throw new StanzaError("internal-server-error");
  };
  try {
    const request = REQUESTS[`${iq.type} ${payload.name}`];
    if (request === undefined) throw new StanzaError("bad-request");
    if (!allowed(iq, request, archive, prefix)) throw new StanzaError("forbidden", "The archive is another's");
    const waiting = archive.shapers.wait(request.action, iq.from, iq.to.domain);
    const reply =
      waiting === undefined ? request.run(iq, ns, archive) : waiting.then(() => request.run(iq, ns, archive));
    return reply instanceof Promise ? reply.catch(dropped) : reply;
  } catch (error) {
    return dropped(error);
  }
}

/** By the rule of `access` when it allows or denies, else by whose archive it is (XEP-0313 §9.1). */
function allowed({ from, to }: Iq, { action, rule }: Request, archive: AskedArchive, prefix: string): boolean {
  const said = archive.access.match(
    `${prefix}_${rule}`,
    from,
    to.domain,
    archive.access.match(`${prefix}_${action}`, from, to.domain, "default"),
  );
  return said === "allow" || (said !== "deny" && archive.mayAsk(from, to.bare));
}

const ownerOf = ({ local, domain }: BareJid): Owner => ({ local, domain });

async function query(iq: Iq, ns: string, archive: AskedArchive): Promise<IqReply> {
  const wanted = readQuery(iq.payload, archive);
  const { counters } = archive;
  counters.lookup.add();
  if (!wanted.page.count) counters.simple.add();
  const started = performance.now();
  const found = await lookup(archive.backend, ownerOf(iq.to.bare), wanted);
  counters.time.add((performance.now() - started) * 1000);
  counters.size.add(found.messages.length);
  await sendResults(iq, ns, wanted.queryId, inOrder(found, wanted.flipped), archive.server);
  return finMarkup(ns, found);
}

async function metadata(iq: Iq, ns: string, { backend }: AskedArchive): Promise<IqReply> {
  return metadataMarkup(ns, await backend.bounds(ownerOf(iq.to.bare)));
}
