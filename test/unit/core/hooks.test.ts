// The hook table: who is called, in which order, and what becomes of the stanza or value.

import { describe, expect, test } from "vitest";
import { Interrupted, StanzaError } from "../../../core/errors.ts";
import {
  type HookHandlers,
  type HookObserver,
  HookTable,
  STOP,
  type StanzaHook,
  type Stop,
} from "../../../core/hooks.ts";
import { parseBareJid } from "../../../core/jid.ts";
import type { Session } from "../../../core/module.ts";
import { viewText } from "../../../core/xml/framer.ts";

class Observer implements HookObserver {
  readonly failures: string[] = [];
  readonly lates: string[] = [];
  readonly timers: { ms: number; run: () => void; cancelled: boolean }[] = [];

  failed(hook: string, module: string, error: unknown): void {
    this.failures.push(`${module} ${hook}: ${String(error)}`);
  }
  late(hook: string, module: string): void {
    this.lates.push(`${module} ${hook}`);
  }
  after(ms: number, run: () => void): () => void {
    const timer = { ms, run, cancelled: false };
    this.timers.push(timer);
    return () => {
      timer.cancelled = true;
    };
  }
}

/** A table, what was called in it, and calls on it. */
class Table {
  readonly observer = new Observer();
  readonly hooks = new HookTable(this.observer);
  readonly called: string[] = [];
  private readonly session = {} as Session;

  add(module: string, handlers: HookHandlers<string>): this {
    this.hooks.add(module, handlers, module);
    return this;
  }
  /** A handler that writes its name down. */
  note(name: string, verdict?: typeof STOP): () => typeof STOP | undefined {
    return () => {
      this.called.push(name);
      return verdict;
    };
  }
  send(text = "<message><body>hi</body></message>"): unknown {
    return this.hooks.session(this.hooks.sendMessage, viewText(text), this.session);
  }
  offline(text = "<message/>"): unknown {
    return this.hooks.route(this.hooks.offline, viewText(text));
  }
}

const jid = parseBareJid("a@x");
const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

describe("the order", () => {
  test("is by number, 50 when none is given, then by registration", () => {
    const t = new Table();
    t.add("late", { offline_message: { at: 90, run: t.note("90") } });
    t.add("one", { offline_message: t.note("50 first") });
    t.add("two", { offline_message: { run: t.note("50 second") } });
    t.add("early", { offline_message: { at: 4, run: t.note("4") } });
    t.offline();
    expect(t.called).toEqual(["4", "50 first", "50 second", "90"]);
  });

  test("has the handlers for all packets before those of the kind, whatever their numbers", () => {
    const t = new Table();
    t.add("m", {
      user_send_message: { at: 1, run: t.note("message") },
      user_send_packet: { at: 99, run: t.note("packet") },
    });
    t.add("p", { user_send_presence: t.note("presence"), user_send_iq: t.note("iq") });
    t.send();
    expect(t.called).toEqual(["packet", "message"]);
  });

  test("holds for several handlers of one feature", () => {
    const t = new Table();
    t.add("m", { offline_message: [{ at: 60, run: t.note("60") }, t.note("50"), { at: 40, run: t.note("40") }] });
    t.offline();
    expect(t.called).toEqual(["40", "50", "60"]);
  });
});

describe("the lists", () => {
  const hooks: [StanzaHook, keyof HookTable][] = [
    ["user_send_packet", "sendMessage"],
    ["user_send_packet", "sendPresence"],
    ["user_send_packet", "sendIq"],
    ["user_send_message", "sendMessage"],
    ["user_send_presence", "sendPresence"],
    ["user_send_iq", "sendIq"],
    ["user_send_xmlel", "sendOther"],
    ["user_receive_packet", "receiveMessage"],
    ["user_receive_packet", "receivePresence"],
    ["user_receive_packet", "receiveIq"],
    ["user_receive_message", "receiveMessage"],
    ["user_receive_presence", "receivePresence"],
    ["user_receive_iq", "receiveIq"],
    ["xmpp_presend_element", "presend"],
    ["filter_packet", "filterPacket"],
    ["filter_local_packet", "filterLocal"],
    ["account_presence", "accountPresence"],
    ["offline_message", "offline"],
    ["offline_groupchat_message", "offlineGroupchat"],
  ];

  test.each(hooks)("%s is in %s", (hook, list) => {
    const t = new Table().add("m", { [hook]: () => {} });
    expect(t.hooks[list]).toHaveLength(1);
    expect(t.hooks.has(hook)).toBe(true);
  });

  test("have nobody in them at first", () => {
    const t = new Table();
    expect(hooks.flatMap(([hook, list]) => [...(t.hooks[list] as readonly unknown[]), t.hooks.has(hook)])).toEqual(
      hooks.map(() => false),
    );
  });
});

describe("filters", () => {
  const asks = (filter: object, text: string): boolean => {
    const t = new Table();
    t.add("m", { user_send_message: { ...filter, run: t.note("yes") } });
    t.send(text);
    return t.called.length === 1;
  };

  test.each([
    [{ type: "chat" }, "<message type='chat'/>", true],
    [{ type: "chat" }, "<message type='headline'/>", false],
    [{ type: "chat" }, "<message/>", false],
    [{ type: "" }, "<message/>", true],
    [{ type: ["", "chat"] }, "<message type='chat'/>", true],
    [{ type: ["", "chat"] }, "<message type='error'/>", false],
    [{ ns: "urn:x" }, "<message><a xmlns='urn:x'/></message>", true],
    [{ ns: "urn:x" }, "<message><a xmlns='urn:y'/></message>", false],
    [{ ns: "urn:x", child: "a" }, "<message><b xmlns='urn:x'/><a xmlns='urn:x'/></message>", true],
    [{ ns: "urn:x", child: "a" }, "<message><b xmlns='urn:x'/></message>", false],
    [{ ns: "jabber:client", child: "body" }, "<message><body/></message>", true],
    [{ type: "chat", ns: "urn:x" }, "<message type='chat'/>", false],
    [{ type: "chat", ns: "urn:x" }, "<message type='chat'><a xmlns='urn:x'/></message>", true],
  ])("%j and %s: %s", (filter, text, called) => {
    expect(asks(filter, text)).toBe(called);
  });

  test("hold for stanzas on their way too", () => {
    const t = new Table();
    t.add("m", { offline_message: { type: "chat", run: t.note("yes") } });
    t.offline("<message/>");
    t.offline("<message type='chat'/>");
    expect(t.called).toEqual(["yes"]);
  });
});

describe("STOP", () => {
  test("ends the chain and is told to the caller", () => {
    const t = new Table();
    t.add("m", { user_send_packet: t.note("a", STOP), user_send_message: t.note("b") });
    expect([t.send(), t.called]).toEqual([STOP, ["a"]]);
  });

  test("ends the chain of a stanza on its way", () => {
    const t = new Table();
    t.add("m", { offline_message: [t.note("a"), t.note("b", STOP), t.note("c")] });
    expect([t.offline(), t.called]).toEqual([STOP, ["a", "b"]]);
  });

  test("by nobody is undefined, and no promise is made", () => {
    const t = new Table().add("m", { offline_message: () => {} });
    expect([t.offline(), t.send()]).toEqual([undefined, undefined]);
  });

  test("by a promise ends the chain", async () => {
    const t = new Table();
    t.add("m", { offline_message: [async (): Promise<Stop> => STOP, t.note("b")] });
    expect([await t.offline(), t.called]).toEqual([STOP, []]);
  });
});

describe("what a handler is given", () => {
  test("is the stanza, the session and its feature's context", () => {
    const given: unknown[][] = [];
    const t = new Table();
    t.add("m", {
      user_send_message: (...all) => void given.push(all),
      offline_message: (...all) => void given.push(all),
    });
    const stanza = viewText("<message/>");
    const session = {} as Session;
    t.hooks.session(t.hooks.sendMessage, stanza, session);
    t.hooks.route(t.hooks.offline, stanza);
    expect(given).toEqual([
      [stanza, session, "m"],
      [stanza, "m"],
    ]);
  });
});

describe("a handler that throws", () => {
  const broken = (): never => {
    throw new Error("broken");
  };

  test("is skipped and named by its hook, whatever its function is called", () => {
    const t = new Table();
    t.add("mod_a", { user_send_message: { at: 1, run: broken }, offline_message: broken });
    t.add("mod_b", { user_send_message: t.note("b"), offline_message: t.note("b", STOP) });
    expect([t.send(), t.offline(), t.called]).toEqual([undefined, STOP, ["b", "b"]]);
    expect(t.observer.failures).toEqual([
      "mod_a user_send_message: Error: broken",
      "mod_a offline_message: Error: broken",
    ]);
  });

  test("after it waited is skipped too", async () => {
    const t = new Table();
    t.add("mod_a", {
      offline_message: async () => {
        await tick();
        broken();
      },
    });
    t.add("mod_b", { offline_message: t.note("b", STOP) });
    expect([await t.offline(), t.observer.failures]).toEqual([STOP, ["mod_a offline_message: Error: broken"]]);
  });

  test("leaves a fold's value as it was", async () => {
    const t = new Table();
    t.add("mod_a", { roster_get_subscription_lists: broken });
    t.add("mod_b", { roster_get_subscription_lists: async () => broken() });
    const acc = { from: ["x@y"], to: [] };
    expect(await t.hooks.fold("roster_get_subscription_lists", acc, { jid })).toBe(acc);
    expect(t.observer.failures).toHaveLength(2);
  });

  test("a StanzaError has it told to the caller, and nobody is called after it", async () => {
    const refuse = (): never => {
      throw new StanzaError("not-allowed");
    };
    const t = new Table();
    t.add("m", { user_send_message: [refuse, t.note("b")], offline_message: [async () => refuse(), t.note("c")] });
    t.add("n", { register_user: refuse, session_opening_allowed_for_user: refuse });
    expect(() => t.send()).toThrow("not-allowed");
    await expect(t.offline()).rejects.toThrow("not-allowed");
    expect(() => t.hooks.notify("register_user", { jid })).toThrow("not-allowed");
    expect([t.called, t.observer.failures]).toEqual([[], []]);
  });
});

describe("a handler that waits", () => {
  test("has those behind it called after it, in order", async () => {
    const t = new Table();
    const wait = (name: string) => async () => {
      await tick();
      t.called.push(name);
    };
    t.add("m", { user_send_message: [t.note("1"), wait("2"), t.note("3"), wait("4"), t.note("5")] });
    const done = t.send();
    expect([done instanceof Promise, t.called]).toEqual([true, ["1"]]);
    await done;
    expect(t.called).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("has its timer cancelled when it is done, or broken", async () => {
    const t = new Table();
    t.add("m", {
      offline_message: [
        async () => {},
        async () => {
          throw new Error("broken");
        },
      ],
    });
    await t.offline();
    expect(t.observer.timers.map(({ ms, cancelled }) => [ms, cancelled])).toEqual([
      [30_000, true],
      [30_000, true],
    ]);
  });

  test("and never answers is named after its time, and the chain goes on", async () => {
    const t = new Table();
    t.add("mod_slow", { offline_message: () => new Promise<never>(() => {}) });
    t.add("mod_b", { offline_message: t.note("b", STOP) });
    const done = t.offline();
    t.observer.timers[0].run();
    expect([await done, t.observer.lates, t.called]).toEqual([STOP, ["mod_slow offline_message"], ["b"]]);
  });

  test("and answers too late is not listened to", async () => {
    const t = new Table();
    let answer: (verdict: typeof STOP) => void = () => {};
    t.add("mod_slow", {
      offline_message: () =>
        new Promise<typeof STOP>((resolve) => {
          answer = resolve;
        }),
    });
    t.add("mod_b", { offline_message: t.note("b") });
    const done = t.offline();
    t.observer.timers[0].run();
    answer(STOP);
    expect([await done, t.called]).toEqual([undefined, ["b"]]);
  });

  test("is not asked about features that came or went meanwhile", async () => {
    const t = new Table();
    let go: () => void = () => {};
    t.add("m", {
      offline_message: () =>
        new Promise<void>((resolve) => {
          go = resolve;
        }),
    });
    t.add("gone", { offline_message: t.note("gone") });
    const done = t.offline();
    t.hooks.remove("gone");
    t.add("new", { offline_message: t.note("new") });
    go();
    await done;
    expect(t.called).toEqual(["gone"]);
    t.called.length = 0;
    t.hooks.remove("m");
    t.offline();
    expect(t.called).toEqual(["new"]);
  });
});

describe("a fold", () => {
  test("passes the value along, in order", () => {
    const t = new Table();
    t.add("m", { session_opening_allowed_for_user: () => false });
    t.add("n", { session_opening_allowed_for_user: { at: 60, run: (acc) => !acc } });
    expect(t.hooks.fold("session_opening_allowed_for_user", true, { jid: undefined as never })).toBe(true);
  });

  test("without handlers is the value, at once", () => {
    const t = new Table();
    expect(t.hooks.fold("session_opening_allowed_for_user", true, { jid: undefined as never })).toBe(true);
  });

  test("leaves the value when a handler returns nothing: it may have edited it", () => {
    const t = new Table();
    t.add("m", { disco_local_features: (acc) => void acc.add("urn:x") });
    const acc = new Set<string>();
    expect(t.hooks.fold("disco_local_features", acc, undefined as never)).toBe(acc);
    expect([...acc]).toEqual(["urn:x"]);
  });

  test("takes false for a value", async () => {
    const t = new Table();
    t.add("m", { session_opening_allowed_for_user: async () => false });
    expect(await t.hooks.fold("session_opening_allowed_for_user", true, { jid: undefined as never })).toBe(false);
  });

  test("waits where a handler does, in order", async () => {
    const t = new Table();
    const add = (name: string) => async (acc: { from: readonly string[]; to: readonly string[] }) => {
      await tick();
      return { from: [...acc.from, name], to: acc.to };
    };
    t.add("m", { roster_get_subscription_lists: { at: 2, run: add("b") } });
    t.add("n", { roster_get_subscription_lists: { at: 1, run: add("a") } });
    t.add("o", { roster_get_subscription_lists: { at: 3, run: ({ from, to }) => ({ from: [...from, "c"], to }) } });
    const lists = await t.hooks.fold("roster_get_subscription_lists", { from: [], to: [] }, { jid });
    expect(lists.from).toEqual(["a", "b", "c"]);
  });

  test("goes on with the value as it was when a handler is late", async () => {
    const t = new Table();
    t.add("slow", { session_opening_allowed_for_user: () => new Promise<never>(() => {}) });
    const done = t.hooks.fold("session_opening_allowed_for_user", true, { jid: undefined as never });
    t.observer.timers[0].run();
    expect([await done, t.observer.lates]).toEqual([true, ["slow session_opening_allowed_for_user"]]);
  });
});

describe("a notice", () => {
  test("is told to all, in order, also past one that fails", async () => {
    const t = new Table();
    const add = (at: number, run: () => void | Promise<void>): HookHandlers<string> => ({ register_user: { at, run } });
    t.add(
      "c",
      add(3, () => void t.called.push("c")),
    );
    t.add(
      "a",
      add(1, async () => void t.called.push("a")),
    );
    t.add(
      "b",
      add(2, () => Promise.reject(new Error("broken"))),
    );
    await t.hooks.notify("register_user", { jid });
    expect([t.called, t.observer.failures]).toEqual([["a", "c"], ["b register_user: Error: broken"]]);
  });

  test("that nobody waits for makes no promise", () => {
    const t = new Table().add("m", { register_user: () => {} });
    expect([t.hooks.notify("register_user", { jid }), t.hooks.notify("remove_user", { jid })]).toEqual([
      undefined,
      undefined,
    ]);
  });
});

describe("removing a feature", () => {
  test("takes all its handlers out and leaves the others", () => {
    const t = new Table();
    t.add("a", {
      offline_message: t.note("a"),
      user_send_packet: t.note("a"),
      register_user: () => void t.called.push("a"),
    });
    t.add("b", { offline_message: t.note("b") });
    t.hooks.remove("a");
    t.offline();
    t.send();
    t.hooks.notify("register_user", { jid });
    expect(t.called).toEqual(["b"]);
    expect([t.hooks.has("offline_message"), t.hooks.has("register_user")]).toEqual([true, false]);
  });

  test("that is not there changes nothing", () => {
    const t = new Table();
    t.add("a", { offline_message: t.note("a") });
    t.hooks.remove("nobody");
    t.offline();
    expect(t.called).toEqual(["a"]);
  });
});

describe("what must be whole", () => {
  const jid = parseBareJid("romeo@localhost");
  const table = (name: string) => ({ name, columns: ["a"], rows: [] });

  test("a value that a handler fails to add to is no value, however long the others take", async () => {
    const { hooks, observer } = new Table();
    hooks.add("one", { get_personal_data: async (acc) => [...acc, table("one")] }, {});
    hooks.add("quiet", { get_personal_data: () => undefined }, {});
    hooks.add("two", { get_personal_data: (acc) => [...acc, table("two")] }, {});
    expect(await hooks.foldWhole("get_personal_data", [], { jid })).toEqual([table("one"), table("two")]);
    expect(observer.timers).toEqual([]);
    hooks.add("broken", { get_personal_data: () => Promise.reject(new Error("away")) }, {});
    await expect(hooks.foldWhole("get_personal_data", [], { jid })).rejects.toThrow("away");
  });

  test("who insists is told of a failure when all were told, and at once that the server ends", async () => {
    const { hooks, observer } = new Table();
    const told: string[] = [];
    let error: Error = new Error("away");
    const fail = (): void => {
      told.push("first");
      throw error;
    };
    hooks.add("first", { remove_domain: fail }, {});
    hooks.add("second", { remove_domain: () => void told.push("second") }, {});
    await expect(hooks.insist("remove_domain", { domain: "d" })).rejects.toBe(error);
    expect([told, observer.failures]).toEqual([["first", "second"], ["first remove_domain: Error: away"]]);
    error = new Interrupted("the server ends");
    await expect(hooks.insist("remove_domain", { domain: "d" })).rejects.toBe(error);
    expect([told, observer.failures.length]).toEqual([["first", "second", "first"], 1]);
  });
});
