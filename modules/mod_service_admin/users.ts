// XEP-0133 §4.8 to §4.10 and §4.13 to §4.22: what is known of a user, how many users there are, and which.

import { StanzaError } from "../../core/errors.ts";
import { makeBare } from "../../core/jid.ts";
import type { SessionInfo } from "../../core/operations.ts";
import { formMarkup } from "../../core/xml/form.ts";
import { Markup } from "../../core/xml/markup.ts";
import { type Command, done } from "../mod_adhoc/index.ts";
import { rosterMarkup, rosterOf } from "../mod_roster/index.ts";
import {
  ACCOUNT,
  ACCOUNTS,
  accountOf,
  accountsOf,
  type Context,
  command,
  formCommand,
  mustExist,
  NS_ADMIN,
  type Run,
  result,
} from "./command.ts";

const getUserRoster = formCommand({
  name: "get-user-roster",
  title: "Get rosters of users",
  needs: ["mod_roster"],
  instructions: "Give the accounts whose rosters are wanted.",
  fields: [ACCOUNTS],
  reads: true,
  async submit(form, run) {
    const roster = rosterOf(run.ctx.host);
    if (roster === undefined) throw new StanzaError("feature-not-implemented");
    const rosters: string[] = [];
    for (const account of await accountsOf(form, run)) {
      const fields = [{ var: "accountjids", type: "jid-multi", values: [account.text] }] as const;
      const head = formMarkup({ formType: NS_ADMIN, fields }, "result").text;
      // The roster stands inside the form (§4.8, example).
      rosters.push(head.replace(/<\/x>$/, `${(await rosterMarkup(roster, account)).text}</x>`));
    }
    return { payload: new Markup(rosters.join("")) };
  },
});

const getUserLastlogin = formCommand({
  name: "get-user-lastlogin",
  title: "Get last log-ins of users",
  needs: ["mod_last"],
  instructions: "Give the accounts whose last log-ins are wanted.",
  fields: [ACCOUNTS],
  reads: true,
  async submit(form, run) {
    const times: string[] = [];
    for (const account of await accountsOf(form, run)) {
      const values = [await lastSeen(account, run)].filter((time) => time !== undefined);
      const fields = [
        { var: "accountjids", type: "jid-multi", values: [account.text] },
        { var: "lastlogin", label: "Last log-in, or when the user was last seen", values },
      ] as const;
      times.push(formMarkup({ formType: NS_ADMIN, fields }, "result").text);
    }
    return { payload: new Markup(times.join("")) };
  },
});

/** When the newest session began; for who is not online, when he was last seen. XEP-0082; undefined for never. */
async function lastSeen(
  account: ReturnType<typeof accountOf>,
  { node, ctx, domain }: Run,
): Promise<string | undefined> {
  const uptimes = (await node.sessions.of(account)).map((session) => session.uptime);
  if (uptimes.length > 0) return dateTime(ctx.now() - Math.min(...uptimes) * 1000);
  const last = await node.instance("mod_last", domain)?.store.getLast(account);
  return last === undefined ? undefined : dateTime(last.seconds * 1000);
}

const dateTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

const userStats = formCommand({
  name: "user-stats",
  title: "Get statistics of a user",
  instructions: "Give the account whose statistics are wanted.",
  fields: [ACCOUNT],
  reads: true,
  async submit(form, run) {
    const account = accountOf(form, run);
    await mustExist(account, run);
    const sessions = await run.node.sessions.of(account);
    const roster = rosterOf(run.ctx.host);
    const size = roster === undefined ? undefined : (await roster.store.items(roster.server, account)).length;
    const addresses = [...new Set(sessions.flatMap((session) => session.ip ?? []))];
    return result(
      { var: "accountjid", type: "jid-single", values: [account.text] },
      { var: "ipaddresses", type: "text-multi", label: "IP addresses", values: addresses },
      ...(size === undefined ? [] : [{ var: "rostersize", label: "Contacts in the roster", values: [String(size)] }]),
      {
        var: "onlineresources",
        type: "text-multi",
        label: "Resources that are online",
        values: sessions.map((session) => session.jid.resource),
      },
    );
  },
});

// --- numbers and lists ---

interface Group {
  /** In the names of commands and fields. */
  readonly name: string;
  readonly title: string;
  readonly needs?: readonly string[];
  count(run: Run): Promise<number>;
  /** The first `limit` of them, in order. */
  list(run: Run, limit: number): Promise<readonly string[]>;
}

/** Users who are online: by bare JID, whether one of their sessions is neither away nor invisible. */
async function online({ node, domain }: Run): Promise<Map<string, boolean>> {
  const users = new Map<string, boolean>();
  for (const session of await node.sessions.list(domain)) {
    const jid = session.jid.bare.text;
    users.set(jid, users.get(jid) === true || isActive(session));
  }
  return users;
}

const IDLE: ReadonlySet<string> = new Set(["away", "xa", "unavailable"]);
const isActive = ({ presence }: SessionInfo): boolean => !IDLE.has(presence.show);

function onlineGroup(name: string, title: string, among: (active: boolean) => boolean): Group {
  const find = async (run: Run) => [...(await online(run))].filter(([, active]) => among(active)).map(([jid]) => jid);
  return {
    name,
    title,
    count: async (run) => (await find(run)).length,
    list: async (run, limit) => (await find(run)).sort().slice(0, limit),
  };
}

const GROUPS: readonly Group[] = [
  {
    name: "registered",
    title: "registered users",
    count: async ({ node, domain }) => node.accounts.count(domain),
    list: async ({ node, domain }, limit) => node.accounts.list(domain, { limit }),
  },
  {
    name: "disabled",
    title: "disabled users",
    needs: ["mod_blocklist"],
    count: async ({ node, domain }) => (await node.instance("mod_blocklist", domain)?.store.count(domain)) ?? 0,
    list: async ({ node, domain }, limit) => {
      const blocked = (await node.instance("mod_blocklist", domain)?.store.list(domain, limit, 0)) ?? [];
      return blocked.map(({ user }) => makeBare(user, domain).text);
    },
  },
  onlineGroup("online", "users who are online", () => true),
  onlineGroup("active", "users who are online and active", (active) => active),
  onlineGroup("idle", "users who are online and idle", (active) => !active),
];

/** What the form of a list offers; "none" is as many as an answer may have. */
const MOST = ["25", "50", "75", "100", "150", "200"];
const BOUND = 1000;

const numberOf = ({ name, title, needs, count }: Group): Command<Context> =>
  command({
    name: `get-${name}-users-num`,
    title: `Get the number of ${title}`,
    needs,
    start: async (run) =>
      result({ var: `${name}usersnum`, label: `Number of ${title}`, values: [String(await count(run))] }),
  });

const listOf = ({ name, title, needs, count, list }: Group): Command<Context> =>
  formCommand({
    name: `get-${name}-users-list`,
    title: `Get a list of ${title}`,
    needs,
    instructions: `Say how many you want to see; there are ${BOUND} in an answer at most.`,
    fields: [
      {
        var: "max_items",
        type: "list-single",
        label: "Most users to show",
        values: [MOST[0]],
        options: [...MOST.map((value) => ({ value, label: value })), { value: "none", label: "No limit" }],
      },
    ],
    reads: true,
    async submit(form, run) {
      const asked = form.get("max_items") ?? MOST[0];
      const values = await list(run, asked === "none" ? BOUND : Number(asked));
      const all = await count(run);
      const step = result({ var: `${name}userjids`, type: "jid-multi", label: `List of ${title}`, values });
      return all > values.length ? { ...step, ...done(`There are ${all} ${title}`) } : step;
    },
  });

export const userCommands: readonly Command<Context>[] = [
  getUserRoster,
  getUserLastlogin,
  userStats,
  ...GROUPS.map(numberOf),
  ...GROUPS.map(listOf),
];
