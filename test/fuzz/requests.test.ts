// A short run of the request fuzzer (requests.ts says what it looks for), and what it has to know of every feature.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MODULES } from "../../modules/index.ts";
import { type Changes, StoryServer } from "../support/story-server.ts";
import { type DatabaseServer, EVERYTHING, inServer, OLDER, scratchDatabase } from "./everything.ts";
import { mutate, treeOf, write } from "./mutate.ts";
import { Random } from "./random.ts";
import { fuzz } from "./requests.ts";
import { SHAPES } from "./shapes.ts";

/** Requests of the short run; a longer one is `bun test/fuzz/requests.ts`. */
const COUNT = 1_000;
/** Bytes of live objects that a run may leave behind. */
const MOST_GROWTH = 48 * 1024 * 1024;
/** A round is the same wherever it is played: these have been looked at. */
const SEED = 10_000;

/** Requests that no shape is made for. */
const NOT_PLAYED: Readonly<Record<string, string>> = {};

test("every request that a feature answers is among those that are damaged", () => {
  const played = new Set(SHAPES.map(({ type, payload }) => `${type} ${/ xmlns='([^']*)'/.exec(payload)?.[1]}`));
  const keys = MODULES.flatMap((m) => Object.keys(m.iq ?? {})).map((key) =>
    key.replace(/ (host|account|own|absent) /, " "),
  );
  const missing = [...new Set(keys)].filter((key) => !played.has(key) && NOT_PLAYED[key] === undefined);
  // "set absent vcard-temp" and the like are the same protocol as what is there.
  expect(missing).toEqual([]);
});

test("damage leaves XML well-formed", () => {
  for (let seed = 0; seed < 300; seed++) {
    const r = new Random(seed);
    const iq = treeOf(`<iq>${r.pick(SHAPES).payload.replaceAll(/[{}]/g, "")}</iq>`);
    for (let n = 0; n < 5; n++) mutate(iq, r, ["<&>'\"]]>", "\u{10fffd}"]);
    const text = write(iq, "", r);
    expect(treeOf(text).name).toBe("iq");
  }
});

function plays(title: string, changes: () => Promise<Changes>, seed: number, count = COUNT): void {
  describe(title, () => {
    let server: StoryServer;
    beforeAll(async () => {
      server = await StoryServer.start(await changes(), "error");
    });
    afterAll(() => server?.close());

    test(`${count} damaged requests`, { timeout: 120_000 }, async () => {
      const report = await fuzz(server, { seed, count, stopAfter: 3 });
      expect(report.problems).toEqual([]);
      expect(report.requests).toBeGreaterThanOrEqual(count);
      // Some of everything: a fuzzer whose requests are all turned away at the door tests nothing.
      for (const answer of ["result", "bad-request", "forbidden", "item-not-found"]) {
        expect(report.answers.get(answer)).toBeGreaterThan(count / 200);
      }
      expect(report.heap[1] - report.heap[0]).toBeLessThan(MOST_GROWTH);
    });
  });
}

plays("with mod_pubsub", async () => EVERYTHING, SEED);
plays("with personal eventing of mod_pubsub_old", async () => OLDER, SEED + 1_000);

function playsOn(driver: DatabaseServer, variable: string, seed: number, changes: Changes): void {
  describe.skipIf(process.env[variable] === undefined)(`on ${driver}`, () => {
    let database: Awaited<ReturnType<typeof scratchDatabase>> | undefined;
    afterAll(() => database?.drop());
    const inIt = async (): Promise<Changes> => {
      database = await scratchDatabase(driver);
      return inServer(driver, database.name, changes);
    };
    plays("everything there", inIt, seed, 600);
  });
}
playsOn("pgsql", "TEST_PGSQL", SEED + 2_000, EVERYTHING);
playsOn("mysql", "TEST_MYSQL", SEED + 3_000, OLDER);
