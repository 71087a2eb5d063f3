// The facts of MongooseIM's mongooseimctl about categories and commands, and what its tests look for in the output.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandTree } from "../../../../core/operations/commands.ts";
import { schema, type World, world } from "./world.ts";

let w: World;
beforeAll(async () => {
  w = world();
  await w.serve();
});
afterAll(() => w.close());

describe("an operation", () => {
  test("prints the answer as indented JSON", async () => {
    const text = JSON.stringify({ data: { account: { countUsers: 2 } } }, null, 2);
    expect(await w.run("account", "countUsers", "--domain", "localhost")).toEqual([0, `${text}\n`, ""]);
  });

  test("asks for all fields of the result", async () => {
    const [, out] = await w.run("account", "checkUser", "--user", "alice@localhost");
    expect(JSON.parse(out)).toEqual({
      data: { account: { checkUser: { exist: true, message: "User alice@localhost exists" } } },
    });
  });

  test("that is refused prints the errors and ends with 1", async () => {
    const [code, out] = await w.run("account", "countUsers", "--domain", "nowhere");
    expect([code, JSON.parse(out).errors[0].extensions.code]).toEqual([1, "domain_not_found"]);
  });

  test("takes integers, and JSON for lists and input objects", async () => {
    const [, users] = await w.run("account", "listUsers", "--domain", "localhost", "--limit", "1");
    expect(JSON.parse(users).data.account.listUsers).toEqual(["alice@localhost"]);
    const contacts = JSON.stringify([{ jid: "bob@localhost", name: "Bob" }]);
    const [, added] = await w.run("roster", "addContacts", "--user", "alice@localhost", "--contacts", contacts);
    expect(JSON.parse(added).data.roster.addContacts).toEqual(["bob@localhost", "none"]);
  });

  test("takes a flag without a value, and names with hyphens", async () => {
    const run = async (...words: string[]) => {
      const [code, out] = await w.run("retention", "run", ...words);
      return [code, JSON.parse(out).data.retention.run[0].domain, w.node.did.at(-1)];
    };
    expect(await run("--dry-run")).toEqual([0, "localhost", "retention localhost (count)"]);
    const counted = [0, "dynamic.example", "retention dynamic.example (count)"];
    expect(await run("--dryRun", "--domain", "dynamic.example")).toEqual(counted);
    expect(await run("--domain", "dynamic.example", "--dry-run", "true")).toEqual(counted);
    expect(await run("--dry-run=false")).toEqual([0, "localhost", "retention localhost"]);
  });

  test("takes --name=value too", async () => {
    const [code] = await w.run("account", "countUsers", "--domain=localhost");
    expect(code).toBe(0);
  });

  test("takes a value that begins with dashes", async () => {
    const [, out] = await w.run("account", "checkPassword", "--user", "alice@localhost", "--password", "--help");
    expect(JSON.parse(out).data.account.checkPassword.correct).toBe(false);
  });

  test("finds --state-dir after its name", async () => {
    expect((await w.run("account", "countUsers", "--domain", "localhost", "--state-dir", w.stateDir))[0]).toBe(0);
  });
});

describe("mistakes end with 1 and show what would be right", () => {
  test.each([
    [["cafe"], /^Unknown category\n[\s\S]*account +Account management/],
    [["cafe", "makeCoffee"], /^Unknown category\n/],
    [["acount"], /^Unknown category\nDid you mean 'account'\?\n/],
    [["sttaus"], /^Unknown category\nDid you mean 'status'\?\n/],
    [["account", "registeruser"], /^Unknown command 'registeruser'\nDid you mean 'registerUser'\?\n/],
    [["account", "makeCoffee"], /^Unknown command 'makeCoffee'\n[\s\S]*countUsers/],
    [["account", "makeCoffee", "--strength", "medium"], /^Unknown command 'makeCoffee'\n/],
    [
      ["account", "countUsers"],
      /^Missing mandatory arguments for command 'countUsers': 'domain'\n[\s\S]*domain +DomainName!/,
    ],
    [["account", "countUsers", "now"], /^Could not parse the command arguments\n[\s\S]*domain +DomainName!/],
    [["account", "countUsers", "--domain"], /^Could not parse/],
    [["account", "countUsers", "--domain", "a", "--x", "y"], /^Unknown argument 'x' for command 'countUsers'\n/],
    [["account", "listUsers", "--domain", "a", "--limit", "many"], /^Invalid value 'many' of argument 'limit'/],
    [
      ["roster", "addContacts", "--user", "a@b", "--contacts", "x"],
      /^Invalid value 'x' of argument 'contacts' for command 'addContacts'\n[\s\S]*contacts +\[ContactInput!\]!/,
    ],
  ])("%j", async (words, text) => {
    const [code, out, err] = await w.run(...words);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(text);
  });

  test("a value of the wrong type is the server's to refuse", async () => {
    const [code, out] = await w.run("account", "checkUser", "--user", "alice@");
    expect([code, JSON.parse(out).errors[0].extensions.code]).toEqual([1, "input_coercion"]);
  });
});

describe("help", () => {
  test("no words: the categories and the basic commands, ends with 2", async () => {
    const [code, out] = await w.run();
    expect(code).toBe(2);
    expect(out).toMatch(/^Usage[\s\S]*account +Account management[\s\S]*print_install_dir/);
  });
  test("--help is no mistake", async () => expect((await w.run("--help"))[0]).toBe(0));
  test("a category alone lists its commands", async () => {
    expect(await w.run("account")).toEqual([0, expect.stringMatching(/countUsers +Count the users/), ""]);
  });
  test("a command with --help lists its arguments, their types and descriptions", async () => {
    const [code, out] = await w.run("account", "listUsers", "--help");
    expect(code).toBe(0);
    expect(out).toMatch(/domain +DomainName!\n +limit +PosInt - At most this many/);
  });
  test.each([
    [["account", "help"], ["account"]],
    [["help", "account"], ["account"]],
    [
      ["help", "account", "listUsers"],
      ["account", "listUsers", "--help"],
    ],
    [
      ["account", "listUsers", "-h"],
      ["account", "listUsers", "--help"],
    ],
    [
      ["help", "start"],
      ["start", "--help"],
    ],
    [["help"], ["--help"]],
  ])("%j is %j", async (words, same) => expect(await w.run(...words)).toEqual(await w.run(...same)));
  test("a command without arguments says so", async () => {
    expect((await w.run("stat", "globalStats", "--help"))[1]).toContain("It takes no arguments");
  });
});

describe("graphql", () => {
  test("runs a document with all rights", async () => {
    const [code, out] = await w.run("graphql", "{ checkAuth { authType } }");
    expect([code, JSON.parse(out)]).toEqual([0, { data: { checkAuth: { authType: "ADMIN" } } }]);
  });
  test("--help shows an example", async () => {
    expect(await w.run("graphql", "--help")).toEqual([0, expect.stringContaining("'{ account"), ""]);
  });
  test("ends with 1 for a document that does not parse", async () => {
    const [code, out] = await w.run("graphql", "{");
    expect([code, JSON.parse(out).errors[0].extensions.code]).toEqual([1, "parser_error"]);
  });
  test.each([[[]], [["{}", "{}"]]])("takes exactly one argument, not %j", async (words) => {
    expect(await w.run("graphql", ...words)).toEqual([1, "", expect.stringContaining("This command requires")]);
  });
});

test("the documents of all commands are valid and end where a type repeats", () => {
  const commands = commandTree(schema).flatMap((category) => category.commands);
  const stats = commands.find((c) => c.name === "getMetrics");
  expect(stats?.document).toMatch(
    /^query \(\$name: \[String\]\) \{ metric \{ getMetrics\(name: \$name\) \{ \.\.\. on HistogramMetric \{/,
  );
  expect(commands.map((c) => c.name)).not.toContain("checkAuth");
});
