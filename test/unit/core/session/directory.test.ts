// The directory of sessions: one for most accounts, several for some.

import { describe, expect, test } from "vitest";
import { parseFullJid } from "../../../../core/jid.ts";
import type { Session } from "../../../../core/module.ts";
import { SessionDirectory } from "../../../../core/session/directory.ts";

const session = (jid: string): Session => ({ jid: parseFullJid(jid) }) as unknown as Session;

function directory(...jids: string[]): { dir: SessionDirectory<Session>; sessions: Session[] } {
  const dir = new SessionDirectory<Session>();
  const sessions = jids.map(session);
  for (const s of sessions) dir.add(s);
  return { dir, sessions };
}

describe("an account", () => {
  test("without sessions has none", () => {
    const { dir } = directory("a@x/1");
    expect([dir.of("b@x"), dir.raw("b@x"), dir.get(parseFullJid("b@x/1"))]).toEqual([[], undefined, undefined]);
  });

  test("with one session is kept without a list", () => {
    const { dir, sessions } = directory("a@x/1");
    expect(dir.raw("a@x")).toBe(sessions[0]);
    expect(dir.of("a@x")).toEqual(sessions);
  });

  test("with several has them in the order they came", () => {
    const { dir, sessions } = directory("a@x/1", "b@x/1", "a@x/2", "a@x/3");
    expect(dir.of("a@x")).toEqual([sessions[0], sessions[2], sessions[3]]);
    expect([dir.count, dir.users]).toEqual([4, 2]);
  });
});

describe("a session", () => {
  test("is found by its full JID, among one or several", () => {
    const { dir, sessions } = directory("a@x/1", "b@x/1", "b@x/2");
    for (const s of sessions) expect(dir.get(s.jid)).toBe(s);
    expect(dir.get(parseFullJid("a@x/2"))).toBeUndefined();
    expect(dir.get(parseFullJid("b@x/3"))).toBeUndefined();
  });

  test("is taken out: of three, two, and one", () => {
    const { dir, sessions } = directory("a@x/1", "a@x/2", "a@x/3");
    expect([dir.remove(sessions[1]), dir.of("a@x")]).toEqual([true, [sessions[0], sessions[2]]]);
    expect([dir.remove(sessions[0]), dir.raw("a@x")]).toEqual([true, sessions[2]]);
    expect([dir.remove(sessions[2]), dir.raw("a@x"), dir.count, dir.users]).toEqual([true, undefined, 0, 0]);
  });

  test("that is not in cannot be taken out, though another has its JID", () => {
    const { dir, sessions } = directory("a@x/1", "b@x/1", "b@x/2");
    const others = [session("a@x/1"), session("b@x/1"), session("c@x/1")];
    expect(others.map((s) => dir.remove(s))).toEqual([false, false, false]);
    expect(dir.remove(sessions[0])).toBe(true);
    expect([dir.remove(sessions[0]), dir.count]).toEqual([false, 2]);
  });

  test("may come back after it was taken out", () => {
    const { dir, sessions } = directory("a@x/1", "a@x/2");
    dir.remove(sessions[0]);
    dir.add(sessions[0]);
    expect([dir.of("a@x"), dir.count]).toEqual([[sessions[1], sessions[0]], 2]);
  });
});

test("all sessions are walked", () => {
  const { dir, sessions } = directory("a@x/1", "b@x/1", "a@x/2");
  expect(new Set(dir)).toEqual(new Set(sessions));
  expect([...directory().dir]).toEqual([]);
});
