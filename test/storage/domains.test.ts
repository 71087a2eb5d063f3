// Dynamic domains in domain_settings, domain_events and domain_admins, with "another node" on the same database.
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Domains } from "../../core/domain/domains.ts";
import { DELETING, DISABLED, DomainStore, ENABLED } from "../../core/domain/store.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import { type Db, StorageError } from "../../core/storage/db.ts";
import { Random } from "../fuzz/random.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

interface Host {
  readonly name: string;
}
const HOSTS: ReadonlyMap<string, Host> = new Map(
  ["static.example", "type a", "type b"].map((name) => [name, { name }]),
);

/** A node's view of the domains. */
class TestNode {
  readonly closed: string[] = [];
  readonly erased: string[] = [];
  /** What removing a domain's data does instead of succeeding. */
  erase: (domain: string) => Promise<void> = async () => {};
  readonly sink = new MemorySink();
  readonly log = new Log({ sink: this.sink, level: "info", format: "json" });
  readonly domains: Domains<Host>;

  constructor(readonly store: DomainStore) {
    const events = {
      closed: (domain: string) => void this.closed.push(domain),
      removed: async (domain: string) => {
        await this.erase(domain);
        this.erased.push(domain);
      },
    };
    this.domains = new Domains<Host>(HOSTS, ["static.example"], store, events, this.log);
  }

  served(domain: string): string | undefined {
    return this.domains.lookup(domain)?.name;
  }
}

/** A store that takes its time with what it has read. */
class SlowStore extends DomainStore {
  private gate: Promise<void> | undefined;
  private come: () => void = () => {};

  /** The next answer waits until the function that is given is called; resolves when there is one that waits. */
  hold(): { come: Promise<void>; go: () => void } {
    const [come, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.gate = gate.promise;
    this.come = come.resolve;
    return { come: come.promise, go: gate.resolve };
  }

  private async held<T>(answer: Promise<T>): Promise<T> {
    const { gate } = this;
    this.gate = undefined;
    const value = await answer;
    if (gate !== undefined) this.come();
    await gate;
    return value;
  }

  override find(domain: string) {
    return this.held(super.find(domain));
  }

  override findMany(domains: readonly string[]) {
    return this.held(super.findMany(domains));
  }
}

onEachDatabase("domains", (database: TestDatabase) => {
  let db: Db;
  let store: DomainStore;

  beforeAll(async () => {
    db = await database.open();
    store = new DomainStore(db);
  });
  beforeEach(async () => {
    for (const table of ["domain_settings", "domain_events", "domain_admins"]) await db.execute(`DELETE FROM ${table}`);
  });

  async function startNode(): Promise<TestNode> {
    const node = new TestNode(store);
    await node.domains.load();
    return node;
  }
  const settle = () => Bun.sleep(30);

  describe("one node", () => {
    test("serves a domain from the moment it is added, and after a restart", async () => {
      const node = await startNode();
      expect(await node.domains.add("new.example", "type a")).toEqual({
        domain: "new.example",
        hostType: "type a",
        status: "ENABLED",
        type: "DYNAMIC",
      });
      expect(node.served("new.example")).toBe("type a");
      expect((await startNode()).served("new.example")).toBe("type a");
    });

    test("writes the rows that MongooseIM writes", async () => {
      const node = await startNode();
      await node.domains.add("row.example", "type a");
      await node.domains.setEnabled("row.example", false);
      const rows = await db.query("SELECT domain, host_type, status FROM domain_settings");
      expect(rows).toEqual([{ domain: "row.example", host_type: "type a", status: 0 }]);
      expect(await db.query("SELECT domain FROM domain_events")).toHaveLength(2);
    });

    test.each([
      ["static.example", "type a", "static"],
      ["x.example", "type c", "unknown_host_type"],
      ["x.example", "static.example", "unknown_host_type"],
      ["there.example", "type a", "duplicate"],
      ["there.example", "type b", "wrong_host_type"],
    ])("refuses to add %s to %s: %s", async (domain, hostType, problem) => {
      const node = await startNode();
      await node.domains.add("there.example", "type a");
      expect(await node.domains.add(domain, hostType)).toBe(problem);
    });

    test("does not serve a disabled domain, nor after a restart", async () => {
      const node = await startNode();
      await node.domains.add("off.example", "type a");
      expect(await node.domains.setEnabled("off.example", false)).toMatchObject({ status: "DISABLED" });
      expect(node.served("off.example")).toBeUndefined();
      expect(node.closed).toEqual(["off.example"]);
      expect((await startNode()).served("off.example")).toBeUndefined();
    });

    test("serves a domain that was enabled again", async () => {
      const node = await startNode();
      await node.domains.add("on.example", "type a");
      await node.domains.setEnabled("on.example", false);
      expect(await node.domains.setEnabled("on.example", true)).toMatchObject({ status: "ENABLED" });
      expect(node.served("on.example")).toBe("type a");
    });

    test.each([true, false])("cannot enable or disable a static or unknown domain (%s)", async (on) => {
      const node = await startNode();
      expect(await node.domains.setEnabled("static.example", on)).toBe("static");
      expect(await node.domains.setEnabled("nowhere.example", on)).toBe("not_found");
    });

    test("removes a domain, its data, and its administrator", async () => {
      const node = await startNode();
      await node.domains.add("gone.example", "type a");
      await store.setPassword("gone.example", "details");
      await node.domains.remove("gone.example", "type a", true);
      expect(node.erased).toEqual(["gone.example"]);
      expect(node.closed).toEqual(["gone.example"]);
      expect(await node.domains.details("gone.example")).toBeUndefined();
      expect(await store.password("gone.example")).toBeUndefined();
    });

    test.each([
      ["static.example", "type a", "static"],
      ["nowhere.example", "type a", "not_found"],
      ["there.example", "type b", "wrong_host_type"],
      ["there.example", "type c", "unknown_host_type"],
    ])("refuses to remove %s from %s: %s", async (domain, hostType, problem) => {
      const node = await startNode();
      await node.domains.add("there.example", "type a");
      expect(await node.domains.remove(domain, hostType, true)).toBe(problem);
      expect(node.served("there.example")).toBe("type a");
    });

    test("lets a removed domain be added again", async () => {
      const node = await startNode();
      await node.domains.add("again.example", "type a");
      await node.domains.remove("again.example", "type a", true);
      expect(await node.domains.add("again.example", "type b")).toMatchObject({ hostType: "type b" });
      await node.domains.refresh();
      expect(node.served("again.example")).toBe("type b");
    });

    test("does not let a domain be added or enabled while it is being removed", async () => {
      const node = await startNode();
      await node.domains.add("slow.example", "type a");
      const data = Promise.withResolvers<void>();
      node.erase = () => data.promise;
      await node.domains.remove("slow.example", "type a", false);
      expect(await node.domains.add("slow.example", "type a")).toBe("duplicate");
      expect(await node.domains.setEnabled("slow.example", true)).toBe("not_found");
      expect(await node.domains.details("slow.example")).toMatchObject({ status: "DELETING" });
      data.resolve();
      await expect.poll(() => node.domains.details("slow.example")).toBeUndefined();
    });

    test("removes the data once for two who ask at the same time", async () => {
      const node = await startNode();
      await node.domains.add("twice.example", "type a");
      node.erase = settle;
      await Promise.all([1, 2].map(() => node.domains.remove("twice.example", "type a", true)));
      expect(node.erased).toEqual(["twice.example"]);
    });

    test("resumes a removal that a crash cut short", async () => {
      const crashed = await startNode();
      await crashed.domains.add("crash.example", "type a");
      crashed.erase = () => new Promise(() => {});
      await crashed.domains.remove("crash.example", "type a", false);
      const restarted = await startNode();
      await expect.poll(() => store.find("crash.example")).toBeUndefined();
      expect(restarted.served("crash.example")).toBeUndefined();
      expect(restarted.erased).toEqual(["crash.example"]);
    });

    test("gives up a removal that was cut short of a domain that is in general.hosts now", async () => {
      await store.add("static.example", "type a");
      await store.setStatus((await store.find("static.example"))!, DELETING);
      await store.setPassword("static.example", "details");
      const node = await startNode();
      await node.domains.refresh();
      await settle();
      expect(node.erased).toEqual([]);
      expect(node.served("static.example")).toBe("static.example");
      expect(node.sink.lines.join()).toContain("domain_removal_given_up");
      // Nor does it go on when the domain is taken out of general.hosts again.
      expect(await store.find("static.example")).toBeUndefined();
      expect(await store.password("static.example")).toBeUndefined();
    });

    test("keeps a domain whose data could not be removed, and tries again", async () => {
      const node = await startNode();
      await node.domains.add("stubborn.example", "type a");
      node.erase = () => Promise.reject(new Error("storage is down"));
      await expect(node.domains.remove("stubborn.example", "type a", true)).rejects.toThrow("storage is down");
      expect(await store.find("stubborn.example")).toMatchObject({ status: DELETING });
      node.erase = async () => {};
      await node.domains.refresh();
      await expect.poll(() => store.find("stubborn.example")).toBeUndefined();
      expect(node.erased).toEqual(["stubborn.example"]);
    });

    test("goes on with a removal whose mark was made, and the answer to that was lost", async () => {
      const node = await startNode();
      for (const domain of ["marked.example", "unmarked.example"]) await node.domains.add(domain, "type a");
      const lost = vi.spyOn(store, "setStatus").mockImplementation(async (row, status) => {
        if (row.domain === "marked.example") await DomainStore.prototype.setStatus.call(store, row, status);
        throw new StorageError("unavailable", "the connection is lost", { maybeDone: true });
      });
      for (const domain of ["marked.example", "unmarked.example"]) {
        await expect(node.domains.remove(domain, "type a", false)).rejects.toThrow("the connection is lost");
      }
      lost.mockRestore();
      await node.domains.refresh();
      await expect.poll(() => store.find("marked.example")).toBeUndefined();
      expect(node.erased).toEqual(["marked.example"]);
      expect([node.served("marked.example"), node.served("unmarked.example")]).toEqual([undefined, "type a"]);
    });

    test("leaves a domain alone whose removal another node finished and that was added again", async () => {
      const node = await startNode();
      await node.domains.add("reborn.example", "type a");
      node.erase = () => Promise.reject(new Error("storage is down"));
      await expect(node.domains.remove("reborn.example", "type a", true)).rejects.toThrow();
      await store.remove((await store.find("reborn.example"))!);
      await store.add("reborn.example", "type a");
      node.erase = async () => {};
      await node.domains.refresh();
      await settle();
      expect(node.erased).toEqual([]);
      expect(node.served("reborn.example")).toBe("type a");
    });

    test("ignores domains of host types that are not configured any more", async () => {
      await store.add("orphan.example", "type z");
      const node = await startNode();
      expect(node.served("orphan.example")).toBeUndefined();
      expect(await node.domains.setEnabled("orphan.example", true)).toBe("unknown_host_type");
    });

    test("counts and lists what it serves", async () => {
      const node = await startNode();
      for (const name of ["c", "a", "b"]) await node.domains.add(`${name}.example`, "type a");
      await node.domains.add("d.example", "type b");
      await node.domains.setEnabled("b.example", false);
      expect(node.domains.ofHostType("type a")).toEqual(["a.example", "c.example"]);
      expect([node.domains.count, node.domains.dynamicCount]).toEqual([4, 3]);
      expect((await node.domains.all()).map(({ domain, status, type }) => `${domain} ${status} ${type}`)).toEqual([
        "static.example ENABLED STATIC",
        "c.example ENABLED DYNAMIC",
        "a.example ENABLED DYNAMIC",
        "b.example DISABLED DYNAMIC",
        "d.example ENABLED DYNAMIC",
      ]);
    });

    test("adds each of many domains once, whoever asks first", async () => {
      const node = await startNode();
      const names = Array.from({ length: 100 }, (_, i) => `many${i % 50}.example`);
      const results = await Promise.all(names.map((name) => node.domains.add(name, "type a")));
      expect(results.filter((result) => result === "duplicate")).toHaveLength(50);
      expect(node.domains.dynamicCount).toBe(50);
    });
  });

  describe("one node, changes at the same time", () => {
    let slow: SlowStore;
    let node: TestNode;
    beforeEach(async () => {
      slow = new SlowStore(db);
      node = new TestNode(slow);
      await node.domains.load();
      await node.domains.add("changed.example", "type a");
      await node.domains.refresh();
    });

    /** Looks for changes, and does something when they have been read and are not taken over yet. */
    async function inRefresh(act: () => Promise<unknown>): Promise<void> {
      const { come, go } = slow.hold();
      const refreshed = node.domains.refresh();
      await come;
      await act();
      go();
      await refreshed;
    }

    test("a domain that is removed while changes are looked for is not served again", async () => {
      node.erase = () => new Promise(() => {});
      await inRefresh(() => node.domains.remove("changed.example", "type a", false));
      expect(node.served("changed.example")).toBeUndefined();
    });

    test("a domain that is removed and added again while changes are looked for is served", async () => {
      await node.domains.remove("changed.example", "type a", true);
      await inRefresh(() => node.domains.add("changed.example", "type b"));
      expect(node.served("changed.example")).toBe("type b");
      expect(node.closed).toEqual(["changed.example"]);
      await node.domains.refresh();
      expect(node.served("changed.example")).toBe("type b");
    });

    test("a domain that is enabled while changes are looked for is served", async () => {
      await node.domains.setEnabled("changed.example", false);
      await inRefresh(() => node.domains.setEnabled("changed.example", true));
      expect(node.served("changed.example")).toBe("type a");
      expect(node.closed).toEqual(["changed.example"]);
    });

    test.each([true, false])(
      "a domain that is enabled or disabled (%s) while it is marked goes all the same",
      async (on) => {
        const data = Promise.withResolvers<void>();
        node.erase = () => data.promise;
        const { come, go } = slow.hold();
        const changed = node.domains.setEnabled("changed.example", on);
        await come;
        const removed = node.domains.remove("changed.example", "type a", true);
        await settle();
        go();
        expect(await changed).toBe("not_found");
        expect(node.served("changed.example")).toBeUndefined();
        data.resolve();
        await removed;
        expect(await store.find("changed.example")).toBeUndefined();
        expect(node.served("changed.example")).toBeUndefined();
      },
    );

    test("a domain that is added again while another removal of it is asked for stays", async () => {
      const { come, go } = slow.hold();
      const late = node.domains.remove("changed.example", "type a", true);
      await come;
      await node.domains.remove("changed.example", "type a", true);
      await node.domains.add("changed.example", "type b");
      go();
      expect(await late).toBe("not_found");
      expect(node.served("changed.example")).toBe("type b");
      expect(node.erased).toEqual(["changed.example"]);
    });
  });

  describe("two nodes", () => {
    let here: TestNode;
    let there: TestNode;
    beforeEach(async () => {
      here = await startNode();
      there = await startNode();
    });

    test("both serve what one has added", async () => {
      await there.domains.add("shared.example", "type a");
      await here.domains.refresh();
      expect(here.served("shared.example")).toBe("type a");
    });

    test("neither serves what one has disabled", async () => {
      await there.domains.add("shared.example", "type a");
      await here.domains.refresh();
      await there.domains.setEnabled("shared.example", false);
      await here.domains.refresh();
      expect(here.served("shared.example")).toBeUndefined();
      expect(here.closed).toEqual(["shared.example"]);
    });

    test("neither serves what one is removing", async () => {
      await there.domains.add("shared.example", "type a");
      await here.domains.refresh();
      there.erase = () => new Promise(() => {});
      await there.domains.remove("shared.example", "type a", false);
      await here.domains.refresh();
      expect(here.served("shared.example")).toBeUndefined();
      expect(here.erased).toEqual([]);
    });

    test("rows and events that MongooseIM writes are taken over", async () => {
      await db.execute("INSERT INTO domain_settings (domain, host_type) VALUES ('mim.example', 'type b')");
      await db.execute("INSERT INTO domain_events (domain) VALUES ('mim.example')");
      await here.domains.refresh();
      expect(here.served("mim.example")).toBe("type b");
      expect(await here.domains.details("mim.example")).toMatchObject({ status: "ENABLED" });
    });

    test("an event that is committed after one with a higher number is not missed", async () => {
      await db.execute("INSERT INTO domain_events (id, domain) VALUES (100002, 'later.example')");
      await here.domains.refresh();
      await db.execute("INSERT INTO domain_settings (domain, host_type) VALUES ('late.example', 'type a')");
      await db.execute("INSERT INTO domain_events (id, domain) VALUES (100001, 'late.example')");
      await here.domains.refresh();
      expect(here.served("late.example")).toBe("type a");
    });

    test("an event that was uncommitted when a node started is not missed", async () => {
      await db.execute("INSERT INTO domain_events (id, domain) VALUES (200002, 'later.example')");
      const started = await startNode();
      await db.execute("INSERT INTO domain_settings (domain, host_type) VALUES ('start.example', 'type a')");
      await db.execute("INSERT INTO domain_events (id, domain) VALUES (200001, 'start.example')");
      await started.domains.refresh();
      expect(started.served("start.example")).toBe("type a");
    });

    test("a node that was away until events were forgotten compares everything", async () => {
      await there.domains.add("stays.example", "type a");
      await there.domains.add("goes.example", "type a");
      await here.domains.refresh();
      await there.domains.setEnabled("goes.example", false);
      await there.domains.add("comes.example", "type b");
      await store.forgetEvents(await store.lastEvent());
      await there.domains.add("last.example", "type b");
      await here.domains.refresh();
      expect(here.domains.ofHostType("type a")).toEqual(["stays.example"]);
      expect(here.domains.ofHostType("type b")).toEqual(["comes.example", "last.example"]);
      expect(here.closed).toEqual(["goes.example"]);
    });

    test("nothing changes when all events are forgotten", async () => {
      await there.domains.add("quiet.example", "type a");
      await here.domains.refresh();
      await store.forgetEvents(await store.lastEvent());
      for (let round = 0; round < 3; round++) await here.domains.refresh();
      expect(here.served("quiet.example")).toBe("type a");
      await there.domains.setEnabled("quiet.example", false);
      await here.domains.refresh();
      expect(here.served("quiet.example")).toBeUndefined();
    });

    test("more changes than one page of them arrive in one round", async () => {
      const rows = Array.from({ length: 12_000 }, (_, i) => [`bulk${i}.example`]);
      await db.insertMany(
        "domain_settings",
        ["domain", "host_type"],
        rows.map(([name]) => [name, "type a"]),
      );
      await db.insertMany("domain_events", ["domain"], rows);
      await here.domains.refresh();
      expect(here.domains.dynamicCount).toBe(12_000);
      expect((await startNode()).domains.dynamicCount).toBe(12_000);
    });

    test("of both adding the same domain, one is told that it is there", async () => {
      const results = await Promise.all([here, there].map(({ domains }) => domains.add("race.example", "type a")));
      expect(results).toContain("duplicate");
      expect(results).toContainEqual(expect.objectContaining({ status: "ENABLED" }));
    });
  });

  test("a domain is added though the answer to that was lost", async () => {
    const through = db.transaction.bind(db);
    let lost = 0;
    const value: Db["transaction"] = async (statements) => {
      const done = await through(statements);
      if (lost++ === 0) throw new StorageError("unavailable", "the connection is gone", { maybeDone: true });
      return done;
    };
    Object.defineProperty(db, "transaction", { value, configurable: true });
    const node = new TestNode(store);
    try {
      expect(await node.domains.add("lossy.example", "type a")).toMatchObject({ status: "ENABLED" });
    } finally {
      Reflect.deleteProperty(db, "transaction");
    }
    expect(lost).toBe(1);
    expect(node.served("lossy.example")).toBe("type a");
    expect(await node.domains.add("lossy.example", "type a")).toBe("duplicate");
  });

  test("whatever two nodes are asked at the same time, in the end they serve what is stored", async () => {
    const random = new Random(1);
    const of = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)];
    const nodes = [await startNode(), await startNode()];
    const names = ["one.example", "two.example", "three.example"];
    for (const node of nodes) node.erase = () => Bun.sleep(random.next() * 5);
    const act = async (): Promise<unknown> => {
      const { domains } = of(nodes);
      const [name, type] = [of(names), of(["type a", "type b"])];
      switch (Math.floor(random.next() * 6)) {
        case 0:
        case 1:
          return domains.add(name, type);
        case 2:
          return domains.remove(name, type, random.next() < 0.5);
        case 3:
          return domains.refresh();
        default:
          return domains.setEnabled(name, random.next() < 0.5);
      }
    };
    const several = async (): Promise<void> => {
      for (let n = 0; n < 40; n++) await act();
    };
    await Promise.all(Array.from({ length: 6 }, several));
    await settle();
    for (let n = 0; n < 3; n++) for (const node of nodes) await node.domains.refresh();
    await expect.poll(async () => (await store.findMany(names)).filter((row) => row.status === DELETING)).toEqual([]);
    const rows = new Map((await store.findMany(names)).map((row) => [row.domain, row]));
    for (const node of nodes) {
      await node.domains.refresh();
      const stored = names.map((name) => (rows.get(name)?.status === ENABLED ? rows.get(name)?.host_type : undefined));
      expect(names.map((name) => node.served(name))).toEqual(stored);
      expect(node.domains.dynamicCount).toBe(stored.filter((type) => type !== undefined).length);
    }
  });

  if (database.dialect !== "sqlite") {
    test("a name that the table cannot hold is not one that is there", async () => {
      await expect(store.add("a".repeat(251), "type a")).rejects.toMatchObject({ code: "constraint" });
    });
  }

  test("a removal that is committed twice leaves the administrator of the domain that was added between", async () => {
    await store.add("twice.example", "type a");
    const row = (await store.find("twice.example"))!;
    await store.setStatus(row, DELETING);
    await store.remove(row);
    await store.add("twice.example", "type a");
    await store.setPassword("twice.example", "details");
    await store.remove(row);
    expect(await store.find("twice.example")).toMatchObject({ status: ENABLED });
    expect(await store.password("twice.example")).toBe("details");
  });

  test("events are forgotten up to a number", async () => {
    for (const domain of ["a", "b", "c"]) await store.add(domain, "type a");
    const last = await store.lastEvent();
    await store.forgetEvents(last - 1);
    expect(await db.query("SELECT domain FROM domain_events")).toEqual([{ domain: "c" }]);
  });

  test("an administrator's password is kept, replaced and deleted", async () => {
    await store.setPassword("admin.example", "first");
    await store.setPassword("admin.example", "second");
    expect(await store.password("admin.example")).toBe("second");
    expect(await store.deletePassword("admin.example")).toBe(true);
    expect(await store.deletePassword("admin.example")).toBe(false);
  });

  test("statuses are MongooseIM's numbers", () => {
    expect([DISABLED, ENABLED, DELETING]).toEqual([0, 1, 2]);
  });
});
