// XEP-0050 in several stages, with a feature that offers commands as any feature may.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { StanzaError } from "../../../core/errors.ts";
import { defineModule, type ModuleContext } from "../../../core/module.ts";
import modAdhoc, { accountCommands, type Command, done, localCommands } from "../../../modules/mod_adhoc/index.ts";
import modDisco from "../../../modules/mod_disco/index.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const NS = "http://jabber.org/protocol/commands";
const X = "jabber:x:data";

const order: Command<ModuleContext> = {
  node: "order",
  name: "Order",
  start: () => ({
    more: true,
    form: {
      title: "Order",
      fields: [
        { var: "dish", type: "list-single", required: true, options: [{ value: "soup" }, { value: "fish" }] },
        { var: "spicy", type: "boolean" },
        { var: "guest", type: "jid-single" },
      ],
    },
    submit: (dish) => ({
      form: { fields: [{ var: "note" }] },
      submit: (note) => {
        if (note.get("note") === "burnt") throw new StanzaError("bad-request", "Not like this");
        if (note.get("note") === "poison") throw new StanzaError("not-acceptable");
        return done(`${dish.get("dish")}, ${dish.flag("spicy")}, ${note.get("note")}`);
      },
    }),
  }),
};
const secret: Command<ModuleContext> = {
  node: "secret",
  name: "Secret",
  allowed: ({ from }) => from.local === "juliet",
  start: () => done("psst"),
};
const feature = defineModule({
  name: "mod_menu",
  xeps: [],
  config: z.strictObject({}),
  hooks: { ...localCommands<ModuleContext>(order, secret), ...accountCommands<ModuleContext>(secret) },
});

async function kitchen() {
  const server = new FakeServer({ users: ["romeo", "juliet"] });
  await server.startModule(modDisco);
  await server.startModule(modAdhoc);
  await server.startModule(feature);
  return {
    server,
    romeo: server.connect("romeo@localhost/orchard"),
    juliet: server.connect("juliet@localhost/balcony"),
  };
}

async function says(c: FakeClient, attrs: string, inner = "", to = "localhost"): Promise<string> {
  await c.sends(`<iq type='set' id='c' to='${to}'><command xmlns='${NS}' ${attrs}>${inner}</command></iq>`);
  return c.received()[0].replaceAll('"', "'");
}
const form = (fields: Record<string, string>, type = "submit") =>
  `<x xmlns='${X}' type='${type}'>${Object.entries(fields)
    .map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
    .join("")}</x>`;
const idOf = (answer: string) => /sessionid='([^']+)'/.exec(answer)?.[1] ?? "";
const error = (answer: string) =>
  [.../<error[^>]*><([\w-]+)[^>]*>(?:<text[^>]*>[^<]*<\/text>)?(?:<([\w-]+))?/.exec(answer)!]
    .slice(1, 3)
    .filter(Boolean)
    .join(" ");
const status = (answer: string) => /status='(\w+)'/.exec(answer)?.[1];

/** An order whose dish was chosen. */
async function ordered(c: FakeClient) {
  const id = idOf(await says(c, "node='order'"));
  const second = await says(c, `node='order' sessionid='${id}' action='next'`, form({ dish: "soup", spicy: "1" }));
  expect(status(second)).toBe("executing");
  return {
    id,
    second,
    go: (attrs: string, inner?: string) => says(c, `node='order' sessionid='${id}' ${attrs}`, inner),
  };
}

test("§2.4.2: the first stage is a form, with what may be done", async () => {
  const { romeo } = await kitchen();
  const answer = await says(romeo, "node='order' action='execute'");
  expect(answer).toContain("status='executing'");
  expect(answer).toContain("<actions execute='next'><next/></actions>");
  expect(answer).toContain(
    `<x xmlns='${X}' type='form'><title>Order</title><field type='list-single' var='dish'><required/><option><value>soup</value></option>`,
  );
});

test("§2.4.2: from stage to stage, and to the end", async () => {
  const { romeo } = await kitchen();
  const { second, go } = await ordered(romeo);
  expect(second).toContain("<actions execute='complete'><prev/><complete/></actions>");
  const end = await go("action='complete'", form({ note: "hot" }));
  expect(status(end)).toBe("completed");
  expect(end).toContain("<note type='info'>soup, true, hot</note>");
  expect(error(await go("action='complete'", form({ note: "hot" })))).toBe("not-allowed session-expired");
});

test("§2.4.2: execute means what the stage says", async () => {
  const { romeo } = await kitchen();
  const id = idOf(await says(romeo, "node='order'"));
  expect(status(await says(romeo, `node='order' sessionid='${id}'`, form({ dish: "fish" })))).toBe("executing");
  expect(status(await says(romeo, `node='order' sessionid='${id}' action='execute'`, form({})))).toBe("completed");
});

test("§2.4.2: back, and forth with another choice", async () => {
  const { romeo } = await kitchen();
  const { go } = await ordered(romeo);
  expect(await go("action='prev'")).toContain("<actions execute='next'><next/></actions>");
  expect(error(await go("action='prev'"))).toBe("bad-request bad-action");
  await go("action='next'", form({ dish: "fish", spicy: "false" }));
  expect(await go("action='complete'", form({ note: "-" }))).toContain("fish, false, -");
});

test.each([
  ["the action", "action='cancel'", ""],
  ["a form that is given up", "", form({}, "cancel")],
])("§2.4.3: cancelled by %s", async (_how, action, inner) => {
  const { romeo } = await kitchen();
  const { go } = await ordered(romeo);
  expect(status(await go(action, inner))).toBe("canceled");
  expect(error(await go("action='complete'", form({})))).toBe("not-allowed session-expired");
});

describe("§3.4: an error that leaves the session as it was:", () => {
  test.each([
    ["a required field is missing", "next", form({ spicy: "1" }), "bad-request bad-payload"],
    ["no form", "next", "", "bad-request bad-payload"],
    ["a choice that is none", "next", form({ dish: "stone" }), "bad-request bad-payload"],
    ["no boolean", "next", form({ dish: "soup", spicy: "very" }), "bad-request bad-payload"],
    ["no JID", "next", form({ dish: "soup", guest: "@" }), "bad-request bad-payload"],
    ["two forms", "next", form({ dish: "soup" }).repeat(2), "bad-request bad-payload"],
    ["a form of the wrong type", "next", form({ dish: "soup" }, "result"), "bad-request bad-payload"],
    ["an action that the stage does not have", "complete", form({ dish: "soup" }), "bad-request bad-action"],
    ["an action that nobody knows", "again", form({ dish: "soup" }), "bad-request malformed-action"],
  ])("%s", async (_what, action, inner, condition) => {
    const { romeo } = await kitchen();
    const id = idOf(await says(romeo, "node='order'"));
    expect(error(await says(romeo, `node='order' sessionid='${id}' action='${action}'`, inner))).toBe(condition);
    expect(status(await says(romeo, `node='order' sessionid='${id}'`, form({ dish: "soup" })))).toBe("executing");
  });
});

test("a bad-request of the command can be put right; any other error ends it", async () => {
  const { romeo } = await kitchen();
  const { go } = await ordered(romeo);
  const refusal = await go("", form({ note: "burnt" }));
  expect(error(refusal)).toBe("bad-request bad-payload");
  expect(refusal).toContain("Not like this");
  expect(error(await go("", form({ note: "poison" })))).toBe("not-acceptable");
  expect(error(await go("", form({ note: "salt" })))).toBe("not-allowed session-expired");
});

test("nobody else can go on, not even another client of the user, nor under another node or address", async () => {
  const { server, romeo, juliet } = await kitchen();
  const { id, go } = await ordered(romeo);
  const phone = server.connect("romeo@localhost/phone");
  for (const other of [juliet, phone]) {
    expect(error(await says(other, `node='order' sessionid='${id}'`, form({})))).toBe("bad-request bad-sessionid");
  }
  expect(error(await says(romeo, `node='ping' sessionid='${id}'`))).toBe("bad-request bad-sessionid");
  expect(status(await go("", form({ note: "salt" })))).toBe("completed");
  expect(error(await says(juliet, `node='order' sessionid='${id}'`))).toBe("bad-request bad-sessionid");
});

test("a session ends when its user waits too long", async () => {
  const { server, romeo } = await kitchen();
  const { go } = await ordered(romeo);
  server.clock.advance(9 * 60_000);
  expect(status(await go("action='prev'"))).toBe("executing");
  server.clock.advance(9 * 60_000);
  expect(status(await go("", form({ dish: "soup" })))).toBe("executing");
  server.clock.advance(10 * 60_000);
  expect(error(await go("", form({})))).toBe("not-allowed session-expired");
});

test("of too many sessions the oldest of the same user ends", async () => {
  const { romeo, juliet } = await kitchen();
  const hers = await ordered(juliet);
  const first = await ordered(romeo);
  const second = await ordered(romeo);
  for (let i = 0; i < 9; i++) await says(romeo, "node='order'");
  expect(error(await first.go("", form({})))).toBe("not-allowed session-expired");
  expect(status(await second.go("", form({})))).toBe("completed");
  expect(status(await hers.go("", form({})))).toBe("completed");
});

test("a command is for those who may: others do not see it and are refused", async () => {
  const { romeo, juliet } = await kitchen();
  expect(error(await says(romeo, "node='secret'"))).toBe("forbidden");
  expect(status(await says(juliet, "node='secret'"))).toBe("completed");
  expect(status(await says(juliet, "node='secret'", "", "juliet@localhost"))).toBe("completed");
  expect(error(await says(romeo, "node='secret'", "", "romeo@localhost"))).toBe("forbidden");
  // Not even that there is such an account.
  expect(error(await says(romeo, "node='secret'", "", "juliet@localhost"))).toBe("service-unavailable");
  expect(error(await says(romeo, "node='secret' action='jump'", "", "juliet@localhost"))).toBe("service-unavailable");
  const list = async (c: FakeClient, kind: string, node: string) => {
    await c.sends(
      `<iq type='get' id='d' to='localhost'><query xmlns='http://jabber.org/protocol/disco#${kind}' node='${node}'/></iq>`,
    );
    return c.received()[0].replaceAll('"', "'");
  };
  expect(await list(romeo, "items", NS)).not.toContain("secret");
  expect(await list(romeo, "items", NS)).toContain("<item jid='localhost' name='Order' node='order'/>");
  expect(await list(juliet, "items", NS)).toContain("<item jid='localhost' name='Secret' node='secret'/>");
  expect(error(await list(romeo, "info", "secret"))).toBe("forbidden");
  expect(await list(juliet, "info", "secret")).toContain("type='command-node'");
  expect(error(await list(juliet, "info", "nothing"))).toBe("item-not-found");
});
