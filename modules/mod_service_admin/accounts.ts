// XEP-0133 §4.1 to §4.7: accounts are made, removed, kept out and let in, their sessions ended, their passwords changed.
// To show a password (§4.6) is not offered.

import { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import { isFull } from "../../core/jid.ts";
import { NS_VCARD } from "../../core/ns.ts";
import type { Submission } from "../../core/xml/form.ts";
import { type Command, done } from "../mod_adhoc/index.ts";
import { storeVcard } from "../mod_vcard/index.ts";
import {
  ACCOUNT,
  ACCOUNTS,
  accountOf,
  accountsOf,
  addressesOf,
  type Context,
  formCommand,
  mustExist,
  type Run,
} from "./command.ts";

const REGISTRATION_REFUSALS = {
  exists: new StanzaError("conflict", "There is such an account already"),
  not_allowed: new StanzaError("not-allowed", "Accounts cannot be made so, or not with this password"),
  limit_per_domain_exceeded: new StanzaError("resource-constraint", "The domain has as many accounts as it may have"),
} as const;

const addUser = formCommand({
  name: "add-user",
  title: "Add a user",
  instructions: "Give the JID and the password of the new account.",
  fields: [
    ACCOUNT,
    { var: "password", type: "text-private", label: "Password", required: true },
    { var: "password-verify", type: "text-private", label: "Password again", required: true },
    { var: "email", label: "E-mail address" },
    { var: "given_name", label: "Given name" },
    { var: "surname", label: "Family name" },
  ],
  secrets: ["password", "password-verify"],
  async submit(form, run) {
    const account = accountOf(form, run);
    const password = form.get("password") ?? "";
    if (password !== form.get("password-verify")) throw new StanzaError("bad-request", "The passwords differ");
    const outcome = await run.node.accounts.register(account, password);
    if (outcome !== "ok") throw REGISTRATION_REFUSALS[outcome];
    const vcard = vcardOf(form);
    const made = `The account ${account.text} was made`;
    try {
      if (vcard !== undefined) await storeVcard(run.ctx.host, account, vcard);
    } catch (error) {
      // The account is there: an error would say that it is not.
      if (!(error instanceof StanzaError)) throw error;
      return done(`${made}, its vCard was refused: ${error.text ?? error.condition}`, "warn");
    }
    return done(made);
  },
});

/** What the form says of the person. */
function vcardOf(form: Submission): Element | undefined {
  const [email, given, family] = ["email", "given_name", "surname"].map((name) => form.get(name) ?? "");
  if (email + given + family === "") return undefined;
  const vcard = new Element("vCard", { xmlns: NS_VCARD });
  const add = (parent: Element, name: string, text: string) => {
    const child = new Element(name);
    if (text !== "") child.append(text);
    parent.append(child);
    return child;
  };
  if (given + family !== "") {
    add(vcard, "FN", [given, family].filter((part) => part !== "").join(" "));
    const name = add(vcard, "N", "");
    add(name, "FAMILY", family);
    add(name, "GIVEN", given);
  }
  if (email !== "") add(add(vcard, "EMAIL", ""), "USERID", email);
  return vcard;
}

const deleteUser = formCommand({
  name: "delete-user",
  title: "Delete users",
  instructions: "The accounts are removed with all their data.",
  fields: [ACCOUNTS],
  async submit(form, run) {
    const { who, ctx } = run;
    const asking = isFull(who.from) ? ctx.server.session(who.from) : undefined;
    for (const account of await accountsOf(form, run)) {
      if (!(await ctx.server.removeUser(account, undefined, asking))) throw new StanzaError("not-allowed");
    }
    return done("The accounts were removed");
  },
});

async function endSessions(jids: ReturnType<typeof addressesOf>, { node }: Run): Promise<void> {
  for (const jid of jids) {
    const sessions = isFull(jid) ? [jid] : (await node.sessions.of(jid)).map((session) => session.jid);
    for (const session of sessions) await node.sessions.kick(session, "Ended by an administrator");
  }
}

const disableUser = formCommand({
  name: "disable-user",
  title: "Disable users",
  needs: ["mod_blocklist"],
  instructions: "The users' sessions are ended, and they cannot log in again until they are enabled. Their data stay.",
  fields: [ACCOUNTS],
  async submit(form, run) {
    const blocklist = run.node.instance("mod_blocklist", run.domain);
    const accounts = await accountsOf(form, run);
    for (const account of accounts) await blocklist?.store.block(account, undefined);
    await endSessions(accounts, run);
    return done("The users were disabled");
  },
});

const reenableUser = formCommand({
  name: "reenable-user",
  title: "Enable users again",
  needs: ["mod_blocklist"],
  instructions: "The users can log in again.",
  fields: [ACCOUNTS],
  async submit(form, run) {
    const blocklist = run.node.instance("mod_blocklist", run.domain);
    for (const account of await accountsOf(form, run)) await blocklist?.store.unblock(account);
    return done("The users were enabled");
  },
});

const endUserSession = formCommand({
  name: "end-user-session",
  title: "End sessions of users",
  instructions: "A JID without a resource means all sessions of the account.",
  fields: [ACCOUNTS],
  async submit(form, run) {
    await endSessions(addressesOf(form, run), run);
    return done("The sessions were ended");
  },
});

const changeUserPassword = formCommand({
  name: "change-user-password",
  title: "Change the password of a user",
  instructions: "Give the account and its new password.",
  fields: [ACCOUNT, { var: "password", type: "text-private", label: "New password", required: true }],
  secrets: ["password"],
  async submit(form, run) {
    const account = accountOf(form, run);
    await mustExist(account, run);
    if ((await run.node.accounts.setPassword(account, form.get("password") ?? "")) !== "ok") {
      throw new StanzaError("not-allowed", "The password cannot be set");
    }
    return done(`The password of ${account.text} was changed`);
  },
});

export const accountCommands: readonly Command<Context>[] = [
  addUser,
  deleteUser,
  disableUser,
  reenableUser,
  endUserSession,
  changeUserPassword,
];
