// Rules of messages where stores fail, and with an archive, which plugs in by the hooks.
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type AnyModule, defineModule } from "../../../core/module.ts";
import type { Node } from "../../../core/node.ts";
import { MODULES } from "../../../modules/index.ts";
import { faultOf, worst } from "../../../modules/mod_amp/rules.ts";
import { StubClient } from "../../support/stub-conn.ts";
import { stubNode } from "../../support/stub-node.ts";

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});

let archiveWorks = true;
/** Stores every message that comes in, as mod_mam will; under a name that the configuration knows. */
const archive = defineModule({
  name: "mod_time",
  xeps: [],
  config: z.strictObject({}),
  hooks: {
    amp_determine_strategy: {
      at: 20,
      run: (strategy, { event }) => {
        if (event !== "initial" || strategy.deliver.includes("stored")) return;
        const deliver = strategy.away ? (["stored", "none"] as const) : [...strategy.deliver, "stored" as const];
        return { ...strategy, deliver };
      },
    },
    filter_local_packet: {
      at: 60,
      run: async (stanza, { host }) => {
        const event = archiveWorks ? "archived" : "archive_failed";
        await host.hooks.notify("amp_event", { stanza, event });
      },
    },
  },
});

const of = (...names: string[]): AnyModule[] => MODULES.filter(({ name }) => names.includes(name));
async function world(...modules: AnyModule[]) {
  const { node } = await stubNode({ modules, users: ["alice", "bob"] });
  nodes.push(node);
  const alice = await StubClient.logIn(node, "alice@localhost/laptop");
  return { node, alice };
}

const rule = (value: string, action: string) => `<rule condition='deliver' value='${value}' action='${action}'/>`;
const say = (alice: StubClient, ...rules: string[]) =>
  alice.sends(
    `<message to='bob@localhost' type='chat' id='m'><body>b</body><amp xmlns='http://jabber.org/protocol/amp'>${rules.join("")}</amp></message><iq type='get' id='end' to='nobody@localhost'><x xmlns='y'/></iq>`,
  );
/** What alice hears of her message: the status and value of a rule, or the condition of an error. */
async function told(alice: StubClient): Promise<string[]> {
  await alice.hears("id='end'");
  const text = alice.conn.written.slice(alice.conn.written.indexOf("type='result'"));
  return [...text.matchAll(/<message .*?<\/message>/g)].map(([m]) => {
    const status = /status='(\w+)'/.exec(m)?.[1];
    const value = /value='(\w+)'/.exec(m)?.[1];
    return status === undefined ? /<error[^>]*><([\w-]+)/.exec(m)![1] : `${status} ${value}`;
  });
}

describe("a message that cannot be stored", () => {
  test.each([
    ["notify", [rule("none", "notify")], ["notify none", "internal-server-error"]],
    ["notify of another end", [rule("stored", "notify")], ["internal-server-error"]],
    ["error", [rule("none", "error")], ["internal-server-error"]],
    ["drop", [rule("none", "drop")], ["internal-server-error"]],
  ])("%s: its sender hears of it", async (_title, rules, expected) => {
    const { node, alice } = await world(...of("mod_amp", "mod_offline"));
    const store = node.hostOf("localhost")!.modules.get("mod_offline")!.ctx.store as { writeMessages: unknown };
    store.writeMessages = () => Promise.reject(new Error("full"));
    say(alice, ...rules);
    expect(await told(alice)).toEqual(expected);
  });
});

describe("with an archive", () => {
  const online = async () => {
    const there = await world(...of("mod_amp", "mod_presence", "mod_roster"), archive);
    const bob = await StubClient.logIn(there.node, "bob@localhost/phone");
    bob.sends("<presence/>");
    await bob.hears("<presence");
    return { ...there, bob };
  };

  test("who is away: it is stored, and that is the end of it", async () => {
    archiveWorks = true;
    const { alice } = await world(...of("mod_amp", "mod_offline_stub"), archive);
    say(alice, rule("none", "notify"), rule("stored", "notify"));
    expect(await told(alice)).toEqual(["notify stored"]);
  });

  test.each(["error", "drop"])("who is away: %s prevents storing", async (action) => {
    archiveWorks = true;
    const { alice } = await world(...of("mod_amp", "mod_offline_stub"), archive);
    say(alice, rule("stored", action));
    expect(await told(alice)).toEqual(action === "error" ? ["error stored"] : []);
  });

  test("who is away: when the archive fails, it is not delivered", async () => {
    archiveWorks = false;
    const { alice } = await world(...of("mod_amp", "mod_offline_stub"), archive);
    say(alice, rule("stored", "notify"), rule("none", "notify"));
    expect(await told(alice)).toEqual(["notify none"]);
  });

  test.each([true, false])("who is there: it is delivered, whether it could be archived or not (%s)", async (works) => {
    archiveWorks = works;
    const { alice, bob } = await online();
    say(alice, rule("stored", "notify"), rule("none", "notify"), rule("direct", "notify"));
    await bob.hears("<body>b</body>");
    expect(await told(alice)).toEqual(["notify direct"]);
  });

  test("a connection that is broken: it is in the archive", async () => {
    archiveWorks = true;
    const { alice, node } = await world(
      ...of("mod_amp", "mod_presence", "mod_roster", "mod_stream_management"),
      archive,
    );
    const bob = await StubClient.logIn(node, "bob@localhost/phone");
    bob.sends("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>");
    await bob.hears("<presence");
    bob.conn.owner?.closedConn();
    say(alice, rule("direct", "notify"), rule("stored", "notify"));
    expect(await told(alice)).toEqual(["notify stored"]);
  });
});

describe("what is wrong with a rule", () => {
  const rules = (condition: string, value: string, action: string) => faultOf({ condition, value, action });
  test.each([
    [["deliver", "direct", "notify"], undefined],
    [["deliver", "forward", "drop"], undefined],
    [["match-resource", "any", "error"], undefined],
    [["deliver", "any", "notify"], "invalid-rules"],
    [["deliver", "", "notify"], "invalid-rules"],
    [["", "direct", "notify"], "invalid-rules"],
    [["deliver", "direct", ""], "invalid-rules"],
    [["deliver", "direct", "alert"], "unsupported-actions"],
    [["deliver", "direct", "explode"], "unsupported-actions"],
    [["expire-at", "2026-01-01T00:00:00Z", "drop"], "unsupported-conditions"],
    [["expire-at", "tomorrow", "drop"], "invalid-rules"],
    [["weather", "rain", "drop"], "unsupported-conditions"],
    [["weather", "rain", "explode"], "invalid-rules"],
  ] as const)("%j: %s", ([condition, value, action], fault) => {
    expect(rules(condition, value, action)).toBe(fault);
  });

  test("all with the worst fault are named", () => {
    const verdict = (id: string, fault: ReturnType<typeof faultOf>) => ({
      rule: { condition: id, value: id, action: id },
      fault,
    });
    const found = worst([
      verdict("a", "unsupported-conditions"),
      verdict("b", undefined),
      verdict("c", "unsupported-actions"),
      verdict("d", "unsupported-actions"),
    ]);
    expect(found?.fault).toBe("unsupported-actions");
    expect(found?.rules.map((r) => r.condition)).toEqual(["c", "d"]);
    expect(worst([verdict("b", undefined)])).toBeUndefined();
  });
});
