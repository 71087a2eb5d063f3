// The command line of a running server: operations, help, and what it says of mistakes.
import { expect } from "vitest";
import type { Ran } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";

const { story } = stage();
const covers = covering("mongooseimctl_SUITE", { door: "tcp" });

/** The run ended so, and said all of this. */
function ended({ exitCode, out, err }: Ran, code: number, ...said: RegExp[]): void {
  expect(exitCode, err + out).toBe(code);
  for (const what of said) expect(out + err).toMatch(what);
}
const COMMANDS = /countUsers/;
const ARGUMENTS = /domain\s+DomainName!/;
const CATEGORIES = /Usage.*account\s+Account management/s;

story(
  "a document is executed",
  {},
  async ({ graphql: { ctl } }) => {
    ended(await ctl.runs("graphql", "query { checkAuth { authStatus } }"), 0, /"AUTHORIZED"/);
    ended(await ctl.runs("graphql", "{}"), 1, /parser_error/);
    ended(await ctl.runs("graphql"), 1, /This command requires/);
    ended(await ctl.runs("graphql", "{}", "{}"), 1, /This command requires/);
  },
  covers("can_execute_admin_queries_with_permissions", "can_handle_execution_error", "graphql_wrong_arguments_number"),
);

story(
  "an operation is run by category and name; mistakes are told with the right choices",
  {},
  async ({ graphql: { ctl } }) => {
    ended(await ctl.runs("account", "makeCoffee", "--strength", "medium"), 1, /Unknown command/, COMMANDS);
    ended(await ctl.runs("account", "makeCoffee"), 1, /Unknown command/, COMMANDS);
    ended(await ctl.runs("cafe", "makeCoffee"), 1, /Unknown category/, CATEGORIES);
    ended(await ctl.runs("cafe"), 1, /Unknown category/, CATEGORIES);
    ended(await ctl.runs("account"), 0, COMMANDS);
    ended(await ctl.runs("account", "countUsers", "now"), 1, /Could not parse/, ARGUMENTS);
    ended(
      await ctl.runs("vcard", "setVcard", "--user", "user@host", "--vcard", "x"),
      1,
      /Invalid value 'x' of argument 'vcard'/,
      /vcard\s+VcardInput!/,
    );
    ended(await ctl.runs("account", "countUsers", "--domain"), 1, /Could not parse/, ARGUMENTS);
    ended(await ctl.runs("account", "countUsers"), 1, /Missing mandatory arguments/, ARGUMENTS);
    ended(
      await ctl.runs("account", "countUsers", "--domain", "localhost", "--x", "y"),
      1,
      /Unknown argument/,
      ARGUMENTS,
    );
    ended(await ctl.runs("account", "countUsers", "--help"), 0, ARGUMENTS);
    const counted = await ctl.runs("account", "countUsers", "--domain", "localhost");
    ended(counted, 0);
    expect(JSON.parse(counted.out)).toEqual({ data: { account: { countUsers: expect.any(Number) } } });
  },
  covers(
    "graphql_error_unknown_command_with_args",
    "graphql_error_unknown_command_without_args",
    "graphql_error_unknown_category_with_args",
    "graphql_error_unknown_category_without_args",
    "graphql_no_command",
    "graphql_error_invalid_args",
    "graphql_error_invalid_arg_value",
    "graphql_error_no_arg_value",
    "graphql_error_missing_args",
    "graphql_error_unknown_arg",
    "graphql_arg_help",
    "graphql_command",
  ),
);

story(
  "help and the state of the server are shown",
  {},
  async ({ graphql: { ctl } }) => {
    ended(await ctl.runs(), 2, CATEGORIES);
    ended(await ctl.runs("status"), 0, /Erlang VM status: started/);
    expect(await ctl.runs("started")).toEqual({ exitCode: 0, out: "", err: "" });
  },
  covers("default_help", "server_status", "server_is_started"),
);
