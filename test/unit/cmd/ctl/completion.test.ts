import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { completionScript } from "../../../../cmd/ctl/completion.ts";
import { operationFiles } from "../../../../cmd/gen/operations.ts";
import { commandTree } from "../../../../core/operations/commands.ts";
import { coreOperations } from "../../../../core/operations/index.ts";
import { schema } from "./world.ts";

const tree = commandTree(schema);

/** What bash offers for a line; the last word is the one being typed. */
function bash(...words: string[]): string[] {
  const script = `${completionScript("bash", tree)}
COMP_WORDS=(mongooseimctl "$@"); COMP_CWORD=$#; _mongooseimctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, "bash", ...words], { encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

describe("bash completes", () => {
  test.each([
    [["acc"], ["account"]],
    [["st"], ["start", "stop", "status", "started", "stopped", "stanza", "stat"]],
    [
      ["account", "check"],
      ["checkPassword", "checkPasswordHash", "checkUser"],
    ],
    [
      ["account", "listUsers", "--"],
      ["--domain", "--limit", "--index", "--help"],
    ],
    [["account", "listUsers", "--domain", "localhost", "--l"], ["--limit"]],
    [["--state-dir", "/tmp", "account", "li"], ["listUsers"]],
    [["server", "setLoglevel", "--level", "DE"], ["DEBUG"]],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
    [["config", ""], ["check"]],
    [["nonsense", ""], []],
  ])("%j", (words, offered) => expect(bash(...words)).toEqual(offered));
});

test("zsh and fish know every command and argument", () => {
  const zsh = completionScript("zsh", tree);
  const fish = completionScript("fish", tree);
  for (const { name, commands } of tree) {
    for (const command of commands) {
      const args = command.args.map((arg) => `--${arg.name} `).join("");
      expect(zsh).toContain(`'${name}:${command.name}') list='${args}--help'`);
      expect(fish).toContain(`-n '__mongooseimctl_at ${name}' -a ${command.name} `);
      for (const arg of command.args)
        expect(fish).toContain(`'__mongooseimctl_at ${name} ${command.name}' -l ${arg.name} `);
    }
  }
});

test("a build gets completions, the schema and the manual from its operations", () => {
  const files = operationFiles(coreOperations);
  expect(Object.keys(files)).toEqual([
    "completions/mongooseimctl.bash",
    "completions/_mongooseimctl",
    "completions/mongooseimctl.fish",
    "graphql/admin.graphql",
    "graphql/user.graphql",
    "man/mongooseimctl.1",
  ]);
  expect(files["graphql/admin.graphql"]).toContain("type AccountAdminMutation {");
  expect(files["man/mongooseimctl.1"]).toContain(
    "\\fBaccount listUsers\\fR \\fB\\-\\-domain\\fR \\fIDomainName!\\fR [\\fB\\-\\-limit\\fR \\fIPosInt\\fR]",
  );
});
