// A domain with users, and broadcasts in it, for stories.
import { expect } from "vitest";
import type { Context } from "../../modules/mod_broadcast/manager.ts";
import type { Face } from "./graphql.ts";
import type { Absent, Scene, Stage } from "./story.ts";

/** Changes to the usual configuration: domains of stories are of the host type "dynamic". */
export const BROADCASTS = {
  general: { hosts: ["localhost"], host_types: ["dynamic"] },
  modules: { mod_broadcast: {} },
};
/** Domains of stories: a job is one of its domain's. */
let domains = 0;

export interface Job {
  id: number;
  executionState: string;
  [field: string]: unknown;
}
type Started = { message: string; ids: number[] };

/** A domain of its own with some users, the first of whom sends. */
export async function world({ server, account, graphql }: Scene, users = 20) {
  const domain = `d${++domains}.example`;
  await server.node.domains.add(domain, "dynamic");
  const people: Absent[] = [];
  for (let i = 0; i < users; i++) people.push(await account("user", domain));
  const spec = {
    name: `job of ${domain}`,
    domain,
    messageSubject: "Maintenance",
    messageBody: `At 22:00 in ${domain}`,
    senderJid: people[0].bare,
    messageRate: 1,
    recipientGroup: "ALL_USERS_IN_DOMAIN",
  };
  const start = async (change: object = {}, face: Face = graphql.admin): Promise<number> => {
    const { ids, message } = (await face.calls("broadcast.startBroadcast", { ...spec, ...change })).value as Started;
    expect(message).toBe("Broadcast job started");
    expect(ids).toEqual([expect.any(Number)]);
    return ids[0];
  };
  const job = async (id: number): Promise<Job> =>
    (await graphql.admin.calls("broadcast.getBroadcast", { domain, id })).value as Job;
  const until = async (id: number, state: string): Promise<Job> => {
    for (let i = 0; i < 200; i++) {
      const found = await job(id);
      if (found.executionState === state) return found;
      await Bun.sleep(25);
    }
    throw new Error(`the job did not become ${state}`);
  };
  const abort = async (id: number): Promise<void> => {
    const answer = await graphql.admin.calls("broadcast.abortBroadcast", { domain, id });
    answer.gives({ message: "Broadcast job aborted", ids: [id] });
  };
  return { domain, people, spec, start, job, until, abort };
}
export const FAST = { messageRate: 1000 };

/** The running feature. */
export function feature(of: Stage): { ctx: Context } {
  return { ctx: of.server.node.hosts.get("dynamic")?.modules.get("mod_broadcast")?.ctx as Context };
}
