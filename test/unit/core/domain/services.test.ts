// Features' own domains: which feature answers at which address.
import { expect, test } from "vitest";
import { type ServiceEntry, Services, serviceAddress } from "../../../../core/domain/services.ts";
import type { HostType } from "../../../../core/module.ts";

const hostType = (name: string) => ({ name }) as HostType;
const one = hostType("one");
const two = hostType("two");
const entry = (module: string, host: HostType) => ({ module, host }) as ServiceEntry;

function make(): Services<HostType> {
  const domains = new Map([
    ["a.example", one],
    ["b.example", two],
    ["example", two],
  ]);
  const services = new Services((domain) => domains.get(domain));
  services.add("vjud.@HOST@", entry("mod_vcard", one));
  services.add("pubsub.@HOST@", entry("mod_pubsub_old", two));
  services.add("x.y.@HOST@", entry("mod_deep", one));
  services.add("search.example.org", entry("mod_whole", two));
  return services;
}

test.each([
  ["vjud.a.example", "mod_vcard", "a.example"],
  ["pubsub.b.example", "mod_pubsub_old", "b.example"],
  ["x.y.a.example", "mod_deep", "a.example"],
  ["search.example.org", "mod_whole", undefined],
  // The feature is not on for that host type, or the domain is not ours.
  ["vjud.b.example", undefined, undefined],
  ["pubsub.a.example", undefined, undefined],
  ["vjud.elsewhere.example", undefined, undefined],
  ["y.a.example", undefined, undefined],
  ["vjud", undefined, undefined],
  ["", undefined, undefined],
  ["a.vjud.a.example", undefined, undefined],
])("%s is answered by %s under %s", (domain, module, parent) => {
  const found = make().find(domain);
  expect(found?.entry.module).toBe(module);
  expect(found?.at).toEqual(module === undefined ? undefined : { domain, parent });
});

test("an address is one feature's", () => {
  const services = make();
  expect(() => services.add("vjud.@HOST@", entry("mod_other", one))).toThrow(
    'Cannot start modules.mod_other for host type "one": its address "vjud.@HOST@" is that of modules.mod_vcard for host type "one"',
  );
  expect(() => services.add("search.example.org", entry("mod_other", one))).toThrow("search.example.org");
  services.add("vjud.@HOST@", entry("mod_vcard", two));
  expect(services.find("vjud.b.example")?.entry.host).toBe(two);
});

test("a feature that stops takes its own addresses along, and no other", () => {
  const services = make();
  services.add("vjud.@HOST@", entry("mod_vcard", two));
  services.remove("mod_vcard", one);
  expect(services.find("vjud.a.example")).toBeUndefined();
  expect(services.find("vjud.b.example")?.entry.module).toBe("mod_vcard");
  services.remove("mod_whole", two);
  expect(services.find("search.example.org")).toBeUndefined();
});

test("an address is made of its template and the domain", () => {
  expect(serviceAddress("vjud.@HOST@", "a.example")).toBe("vjud.a.example");
  expect(serviceAddress("search.example.org", "a.example")).toBe("search.example.org");
});
