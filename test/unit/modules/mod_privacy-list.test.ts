// XEP-0016 §2.1: a list's verdict, against one that goes through the items one by one.
import { describe, expect, test } from "vitest";
import { type Jid, parseJid } from "../../../core/jid.ts";
import {
  type Action,
  type Contact,
  EVERY_KIND,
  IQ_IN,
  type Item,
  MESSAGE_IN,
  OTHER,
  PRESENCE_IN,
  PRESENCE_OUT,
  PrivacyList,
} from "../../../modules/mod_privacy/list.ts";
import { Random } from "../../fuzz/random.ts";

const KINDS = [MESSAGE_IN, IQ_IN, PRESENCE_IN, PRESENCE_OUT, OTHER];
const STRANGER: Contact = { subscription: "none", groups: [] };

/** The definition: items in order, the first that fits decides. */
function naive(items: readonly Item[], kind: number, peer: Jid, contact: Contact): Action {
  for (const item of items.toSorted((a, b) => a.order - b.order)) {
    if ((item.kinds & kind) === 0) continue;
    if (item.type === "none") return item.action;
    if (item.type === "group" && contact.groups.includes(item.value)) return item.action;
    if (item.type === "subscription" && contact.subscription === item.value) return item.action;
    if (item.type === "jid" && fits(item.value, peer)) return item.action;
  }
  return "allow";
}

function fits(value: string, peer: Jid): boolean {
  const rule = parseJid(value);
  if (rule.local !== "" && rule.local !== peer.local) return false;
  if (rule.resource !== "" && rule.resource !== peer.resource) return false;
  return rule.domain === peer.domain;
}

const item = (order: number, over: Partial<Item> = {}): Item => ({
  type: "none",
  value: "",
  action: "deny",
  kinds: EVERY_KIND,
  ...over,
  order,
});
const jid = (order: number, value: string, over: Partial<Item> = {}) => item(order, { type: "jid", value, ...over });
const say = (items: readonly Item[], peer: string, kind = MESSAGE_IN, contact = STRANGER) =>
  new PrivacyList("l", items).verdict(kind, parseJid(peer), () => contact);

describe("a list's verdict", () => {
  test("is the naive one's, whatever the list, the peer and the roster", async () => {
    const chance = new Random(16_191);
    const pick = <T>(from: readonly T[]): T => chance.pick(from);
    const int = (n: number): number => chance.below(n);
    const names = ["a@x", "b@x", "a@y", "x", "y", "a@x/r", "a@x/s", "x/r", "y/r", "b@x/r", "a@y/s"];
    const subscriptions = ["none", "to", "from", "both"] as const;
    const anItem = (order: number): Item => {
      const type = pick(["none", "jid", "jid", "jid", "jid", "group", "subscription"] as const);
      const value =
        type === "jid" ? pick(names) : type === "group" ? pick(["g", "h"]) : type === "none" ? "" : pick(subscriptions);
      const kinds = int(3) === 0 ? EVERY_KIND : 1 + int(15);
      return { type, value, action: pick(["allow", "deny", "block"] as const), order, kinds };
    };
    for (let round = 0; round < 4000; round++) {
      const orders = Array.from({ length: int(9) }, (_, i) => i * 3);
      const items = orders.toSorted(() => int(3) - 1).map(anItem);
      const list = new PrivacyList("l", items);
      const contact: Contact = { subscription: pick(subscriptions), groups: pick([[], ["g"], ["g", "h"]]) };
      for (let i = 0; i < 6; i++) {
        const [peer, kind] = [parseJid(pick(names)), pick(KINDS)];
        const expected = naive(items, kind, peer, contact);
        const told = `${peer.text} ${kind} ${JSON.stringify(contact)} ${JSON.stringify(items)}`;
        expect(
          list.verdict(kind, peer, () => contact),
          told,
        ).toBe(expected);
        expect(await list.verdict(kind, peer, () => Promise.resolve(contact)), told).toBe(expected);
      }
    }
  });

  test("finds a JID by itself, its bare JID, its domain with the resource, its domain", () => {
    const deny = (value: string) => (peer: string) => say([jid(1, value)], peer);
    const peers = ["a@x/r", "a@x/s", "a@x", "b@x/r", "x", "x/r", "a@y/r"];
    const denied = (value: string) => peers.filter((peer) => deny(value)(peer) === "deny");
    expect(denied("a@x/r")).toEqual(["a@x/r"]);
    expect(denied("a@x")).toEqual(["a@x/r", "a@x/s", "a@x"]);
    expect(denied("x/r")).toEqual(["a@x/r", "b@x/r", "x/r"]);
    expect(denied("x")).toEqual(["a@x/r", "a@x/s", "a@x", "b@x/r", "x", "x/r"]);
  });

  test("asks the roster only when it comes to a rule about it", () => {
    let asked = 0;
    const list = new PrivacyList("l", [
      jid(1, "a@x", { action: "allow" }),
      item(2, { type: "subscription", value: "none" }),
      item(3, { type: "group", value: "g", kinds: IQ_IN }),
    ]);
    const ask = (needsGroups: boolean) => {
      asked += needsGroups ? 10 : 1;
      return STRANGER;
    };
    expect(list.verdict(MESSAGE_IN, parseJid("a@x/r"), ask)).toBe("allow");
    expect(asked).toBe(0);
    expect(list.verdict(MESSAGE_IN, parseJid("b@x/r"), ask)).toBe("deny");
    expect(asked).toBe(1);
    expect(list.verdict(IQ_IN, parseJid("b@x/r"), ask)).toBe("deny");
    expect(asked).toBe(11);
  });

  test("asks nobody about kinds of stanzas that it lets pass", () => {
    const list = new PrivacyList("l", [item(1, { type: "group", value: "g", kinds: MESSAGE_IN })]);
    const ask = () => {
      throw new Error("asked");
    };
    for (const kind of KINDS.slice(1)) expect(list.verdict(kind, parseJid("a@x"), ask)).toBe("allow");
    expect(list.denies).toBe(MESSAGE_IN);
  });

  test("does not depend on how many JIDs a list has", () => {
    const many = Array.from({ length: 20_000 }, (_, i) => jid(i, `u${i}@x`, { action: "block" }));
    const list = new PrivacyList("l", many);
    const peer = parseJid("u19999@x/r");
    const start = performance.now();
    for (let i = 0; i < 10_000; i++) list.verdict(MESSAGE_IN, peer, () => STRANGER);
    expect(performance.now() - start).toBeLessThan(500);
    expect(list.verdict(MESSAGE_IN, peer, () => STRANGER)).toBe("block");
  });
});
