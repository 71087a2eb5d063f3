// A short run of the fuzzer of operations (operations.ts says what it looks for).
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HttpFace } from "../support/graphql.ts";
import { StoryServer } from "../support/story-server.ts";
import { FUZZED, OperationsFuzzer } from "./operations.ts";

describe("operations", () => {
  let server: StoryServer;
  beforeAll(async () => {
    server = await StoryServer.start(FUZZED, "error");
  });
  afterAll(() => server?.close());

  test("600 calls by chance", { timeout: 60_000 }, async () => {
    const fuzzer = new OperationsFuzzer(server);
    await fuzzer.prepare();
    try {
      const { calls, answers, problems } = await fuzzer.play(1, 600);
      expect(problems).toEqual([]);
      expect(calls).toBe(600);
      for (const answer of ["result", "no_permissions", "wrong_credentials", "input_coercion"]) {
        expect(answers.get(answer)).toBeGreaterThan(6);
      }
    } finally {
      fuzzer.close();
    }
  });

  test("a wrong value of any length is told in one line of a few hundred characters", async () => {
    const { port } = server.target("websocket");
    const admin = new HttpFace(
      "admin",
      { assertions: 0 },
      "admin",
      `http://127.0.0.1:${port}/api/graphql`,
      "admin:admin's secret",
    );
    const { error } = await admin.calls("account.countUsers", { domain: "y".repeat(5000) });
    expect(error.extensions["code"]).toBe("input_coercion");
    expect(error.message.length).toBeLessThan(500);
    expect(error.message).toMatch(
      /^Input coercion failed for type DomainName with value <<"y+\.\.\. \(5006 characters\)\. The reason/,
    );
  });
});
