// XEP-0401: ad-hoc commands that make invitations.

import { StanzaError } from "../../core/errors.ts";
import { isFull, JidError, prepareLocal } from "../../core/jid.ts";
import { formMarkup, type Submission } from "../../core/xml/form.ts";
import { type Asker, type Command, localCommands, type Step } from "../mod_adhoc/index.ts";
import { canRegister, type InviteContext, type Made, makeInvite, mayInvite } from "./invite.ts";

const NODE = "urn:xmpp:invite";

/** A user of the domain that is asked, and not one who is gone with his session. */
const isOwn = ({ from, to }: Asker, { server }: InviteContext): boolean =>
  from.domain === to.domain && from.local !== "" && !(isFull(from) && server.session(from)?.anonymous);

/** §5.1 */
const invite: Command<InviteContext> = {
  node: `${NODE}#invite`,
  name: "Invite user",
  allowed: (who, ctx) => isOwn(who, ctx) && mayInvite(ctx, who.from.bare, "roster"),
  async start({ from }, ctx) {
    const inviter = from.bare;
    const mayRegister = mayInvite(ctx, inviter, "account");
    return finished(
      await makeInvite(ctx, { domain: inviter.domain, inviter, kind: "roster", mayRegister, subscribe: true }),
    );
  },
};

/** §5.4 */
const createAccount: Command<InviteContext> = {
  node: `${NODE}#create-account`,
  name: "Create account",
  allowed: (who, ctx) => isOwn(who, ctx) && canRegister(ctx) && mayInvite(ctx, who.from.bare, "account"),
  start: ({ from }, ctx) => ({
    form: {
      title: "Create account",
      fields: [
        { var: "username", label: "Username" },
        { var: "roster-subscription", type: "boolean", label: "Roster subscription" },
      ],
    },
    submit: async (form) =>
      finished(
        await makeInvite(ctx, {
          domain: from.domain,
          inviter: from.bare,
          kind: "account",
          account: userName(form),
          mayRegister: true,
          subscribe: form.flag("roster-subscription") ?? false,
        }),
      ),
  }),
};

function userName(form: Submission): string {
  const text = form.get("username") ?? "";
  try {
    return text === "" ? "" : prepareLocal(text);
  } catch (error) {
    if (error instanceof JidError) throw new StanzaError("bad-request", "This cannot be a user name");
    throw error;
  }
}

function finished({ invite: made, uri }: Made): Step {
  const expire = new Date(made.expiresAt).toISOString();
  const fields = [
    { var: "uri", values: [uri] },
    { var: "expire", values: [expire] },
  ];
  return { payload: formMarkup({ formType: `${NODE}#invitation`, fields }, "result") };
}

export const commands = localCommands(invite, createAccount);
