// Which stores of other host types know of somebody: of each feature one in each database.
import { expect, test } from "vitest";
import { hostsElsewhere, storesElsewhere } from "../../../core/elsewhere.ts";
import type { PersonalStore } from "../../../core/module.ts";
import { MemoryDb } from "../../support/memory-db.ts";

const store = (): PersonalStore => ({
  removeUser: async () => undefined,
  removeDomain: async () => undefined,
  personalData: async () => [],
});
const [a, b] = [new MemoryDb(), new MemoryDb()];
/** A host type: features, each with its database. */
const host = (features: Readonly<Record<string, MemoryDb>>) => ({
  stores: new Map(Object.entries(features).map(([name, db]) => [name, { db, store: store() }])),
});

const one = host({ roster: a, nodes: a });
const same = host({ roster: a, nodes: a });
const other = host({ roster: b, nodes: a, vcard: b });
const third = host({ roster: b, vcard: b });
const hosts = new Map(Object.entries({ one, same, other, third }));
const found = (own: typeof one, among = hosts) => [...storesElsewhere(own, among)];

test("host types that have everything in the same database have nothing else to look at", () => {
  expect(
    found(
      one,
      new Map([
        ["one", one],
        ["same", same],
      ]),
    ),
  ).toEqual([]);
});

test("host types are told once, however many stores they have", () => {
  expect([...hostsElsewhere(one, hosts)]).toEqual([other]);
  expect([...hostsElsewhere(third, hosts)]).toEqual([one]);
});

test("another database, and a feature that only another host type runs, once each", () => {
  expect(found(one)).toEqual([
    [other, other.stores.get("roster")?.store],
    [other, other.stores.get("vcard")?.store],
  ]);
  expect(found(third)).toEqual([
    [one, one.stores.get("roster")?.store],
    [one, one.stores.get("nodes")?.store],
  ]);
  expect(found(other)).toEqual([[one, one.stores.get("roster")?.store]]);
});
