// What the commands of XEP-0133 have in common: who may run them, their nodes and forms, and the accounts they are about.

import { StanzaError } from "../../core/errors.ts";
import { type BareJid, type Jid, parseJid } from "../../core/jid.ts";
import type { MaybePromise, ModuleContext } from "../../core/module.ts";
import type { OperationNode } from "../../core/operations.ts";
import { type DataForm, type FormField, formMarkup, type Submission } from "../../core/xml/form.ts";
import type { Asker, Command, Step } from "../mod_adhoc/index.ts";
import type { AnnouncementStore } from "./store.ts";

export const NS_ADMIN = "http://jabber.org/protocol/admin";

export interface Options {
  readonly access: string;
  readonly service_access: string;
}
export type Context = ModuleContext<Options, AnnouncementStore>;

/** A run of a command: who, about which domain, and the server. */
export interface Run {
  readonly who: Asker;
  readonly domain: string;
  readonly ctx: Context;
  readonly node: OperationNode;
}

interface Definition {
  /** What follows "#" in the node. */
  readonly name: string;
  readonly title: string;
  /** Features that must run: without them there is no such command. */
  readonly needs?: readonly string[];
  /** The command is about the whole server, not about one domain. */
  readonly service?: boolean;
  start(run: Run): MaybePromise<Step>;
}

/** A command of XEP-0133. */
export function command({ name, title, needs, service, start }: Definition): Command<Context> {
  return {
    node: `${NS_ADMIN}#${name}`,
    name: title,
    offered: ({ host }) => needs?.every((module) => host.modules.has(module)) ?? true,
    allowed: ({ from, to }, { host, config }) =>
      host.access.match(service ? config.service_access : config.access, from, to.domain) === "allow",
    start(who, ctx) {
      const node = ctx.server.operations;
      if (node === undefined) throw new StanzaError("internal-server-error");
      return start({ who, domain: who.to.domain, ctx, node });
    },
  };
}

/** A command that asks for a form and then does something. `secrets` are fields that the log does not show. */
export function formCommand(
  definition: Omit<Definition, "start"> & {
    readonly instructions: string;
    readonly fields: readonly FormField[] | ((run: Run) => MaybePromise<readonly FormField[]>);
    readonly secrets?: readonly string[];
    /** It only tells something. */
    readonly reads?: boolean;
    submit(form: Submission, run: Run): MaybePromise<Step>;
  },
): Command<Context> {
  const { title, instructions, fields, secrets = [], reads, submit } = definition;
  return command({
    ...definition,
    async start(run) {
      const asked: readonly FormField[] = typeof fields === "function" ? await fields(run) : fields;
      return {
        form: { title, instructions, formType: NS_ADMIN, fields: asked },
        submit: (form) => {
          if (reads) return submit(form, run);
          const args = Object.fromEntries(
            asked.map((f) => [f.var ?? "", secrets.includes(f.var ?? "") ? "***" : form.text(f.var ?? "")]),
          );
          return audited(definition.name, args, run, async () => submit(form, run));
        },
      };
    },
  });
}

/** Does something and leaves a line in the audit log. */
export async function audited<T>(
  name: string,
  args: Readonly<Record<string, string>>,
  { who, node }: Run,
  act: () => Promise<T>,
): Promise<T> {
  const caller = { kind: "user", via: "http", jid: who.from.bare } as const;
  const entry = { operation: `adhoc.${name}`, caller, args: { domain: who.to.domain, ...args } };
  const begun = node.clock();
  try {
    const result = await act();
    node.audit({ ...entry, outcome: "ok", milliseconds: node.clock() - begun });
    return result;
  } catch (error) {
    const milliseconds = node.clock() - begun;
    if (error instanceof StanzaError) node.audit({ ...entry, outcome: "refused", code: error.condition, milliseconds });
    else node.audit({ ...entry, outcome: "crashed", error, milliseconds });
    throw error;
  }
}

/** A step that ends a command with the fields of a result form. */
export const result = (...fields: FormField[]): Step => ({
  payload: formMarkup({ formType: NS_ADMIN, fields } satisfies DataForm, "result"),
});

export const ACCOUNT: FormField = { var: "accountjid", type: "jid-single", label: "The account's JID", required: true };
export const ACCOUNTS: FormField = { var: "accountjids", type: "jid-multi", label: "JIDs of accounts", required: true };

/** The account of field accountjid, of this domain. Throws bad-request. */
export function accountOf(form: Submission, { domain }: Run): BareJid {
  return ofDomain(form.get("accountjid") ?? "", domain).bare;
}

/** The addresses of field accountjids, each once and of this domain. Throws bad-request. */
export function addressesOf(form: Submission, { domain }: Run): readonly Jid[] {
  const jids = form.all("accountjids").filter((text) => text !== "");
  return [...new Map(jids.map((text) => ofDomain(text, domain)).map((jid) => [jid.text, jid])).values()];
}

/** The existing accounts of field accountjids. Throws bad-request, and item-not-found when one of them is not there. */
export async function accountsOf(form: Submission, run: Run): Promise<readonly BareJid[]> {
  const jids = [...new Map(addressesOf(form, run).map(({ bare }) => [bare.text, bare])).values()];
  for (const jid of jids) await mustExist(jid, run);
  return jids;
}

export async function mustExist(jid: BareJid, { node }: Run): Promise<void> {
  if (!(await node.accounts.exists(jid))) throw new StanzaError("item-not-found", `There is no account ${jid.text}`);
}

function ofDomain(text: string, domain: string): Jid {
  const jid = parseJid(text);
  if (jid.domain !== domain || jid.local === "") {
    throw new StanzaError("bad-request", `${text} is no account of ${domain}`);
  }
  return jid;
}
