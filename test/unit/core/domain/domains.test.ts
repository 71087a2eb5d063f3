// Domains without a store, and what the node does with one that goes for ever. (With a store: test/storage/domains.)
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Domains } from "../../../../core/domain/domains.ts";
import { Log, MemorySink } from "../../../../core/log/index.ts";
import { Client } from "../../../support/client.ts";
import { StoryServer } from "../../../support/story-server.ts";

describe("domains without service_domain_db", () => {
  const hosts = new Map([
    ["static.example", { name: "static.example" }],
    ["dynamic", { name: "dynamic" }],
  ] as const);
  const log = new Log({ sink: new MemorySink(), level: "error", format: "json" });
  const events = { closed: () => {}, removed: async () => {} };
  const domains = new Domains(hosts, ["static.example"], undefined, events, log);

  test("are those of the configuration", async () => {
    await domains.load();
    await domains.refresh();
    expect(domains.lookup("static.example")).toEqual({ name: "static.example" });
    expect([domains.count, domains.dynamicCount]).toEqual([1, 0]);
    expect(await domains.all()).toEqual([
      { domain: "static.example", hostType: "static.example", status: "ENABLED", type: "STATIC" },
    ]);
  });

  test("cannot be added, changed or removed", async () => {
    expect(await domains.add("new.example", "dynamic")).toBe("unknown_host_type");
    expect(await domains.setEnabled("new.example", true)).toBe("not_found");
    expect(await domains.remove("new.example", "dynamic", true)).toBe("not_found");
    expect(await domains.details("new.example")).toBeUndefined();
  });
});

describe("a dynamic domain", () => {
  let server: StoryServer;
  beforeAll(async () => {
    server = await StoryServer.start({ general: { host_types: ["dynamic"] }, services: { service_domain_db: {} } });
  });
  afterAll(() => server.close());

  async function newDomain(domain: string): Promise<Client> {
    expect(await server.node.domains.add(domain, "dynamic")).toMatchObject({ status: "ENABLED" });
    await server.addAccount("romeo", domain, "secret");
    return new Client({ local: "romeo", domain, password: "secret" }, { assertions: 0 });
  }

  test("serves log-ins until it is disabled, and again when it is enabled", async () => {
    const romeo = await newDomain("switched.example");
    await romeo.logsIn(server.target("tcp"));
    await server.node.domains.setEnabled("switched.example", false);
    await romeo.receivesStreamError("host-gone");
    const refused = await romeo.connects(server.target("tcp"));
    refused.sendsHeader();
    await refused.receivesStreamError("host-unknown");
    await server.node.domains.setEnabled("switched.example", true);
    await romeo.logsIn(server.target("tcp"));
    await romeo.leaves();
  });

  test("is removed with its accounts: a new domain of the name has none of them", async () => {
    await newDomain("removed.example");
    await server.node.domains.remove("removed.example", "dynamic", true);
    await server.node.domains.add("removed.example", "dynamic");
    expect(await server.node.hostOf("removed.example")?.auth.count("removed.example")).toBe(0);
  });

  test("whose data a feature cannot remove stays marked, with its accounts, until it can", async () => {
    await newDomain("kept.example");
    const { hooks } = server.node.hosts.get("dynamic")!;
    const told: string[] = [];
    hooks.add("mod_broken", { remove_domain: { at: 10, run: () => Promise.reject(new Error("disk is gone")) } }, {});
    hooks.add("mod_after", { remove_domain: { at: 90, run: ({ domain }) => void told.push(domain) } }, {});
    await expect(server.node.domains.remove("kept.example", "dynamic", true)).rejects.toThrow("disk is gone");
    expect(told).toEqual(["kept.example"]);
    expect(await server.node.domains.details("kept.example")).toMatchObject({ status: "DELETING" });
    expect(server.node.hostOf("kept.example")).toBeUndefined();
    hooks.remove("mod_broken");
    await server.node.domains.refresh();
    await expect.poll(() => server.node.domains.details("kept.example")).toBeUndefined();
    expect(await server.node.hosts.get("dynamic")?.auth.count("kept.example")).toBe(0);
  });
});
