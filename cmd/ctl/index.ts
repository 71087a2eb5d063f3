// The command line. Commands of the server's operations are learnt from the running server; the rest is here.

import { dirname } from "node:path";
import { Argument, Command, CommanderError, Option } from "commander";
import { ControlClient } from "./client.ts";
import { SHELLS, type Shell } from "./completion.ts";
import { CtlError, type CtlIo, ERROR, OK, USAGE } from "./io.ts";
import { forceStop, restart, start, started, status, stop, stopped } from "./lifecycle.ts";
import { runGraphql, runOperation, runUsage } from "./operations.ts";
import { stateDirOf } from "./state-dir.ts";
import { BASIC_COMMANDS } from "./usage.ts";

export interface CtlOptions {
  /** Printed by `version`. */
  readonly version: string;
}

/** MongooseIM's commands that have no meaning here, and why. */
const MEANINGLESS: Readonly<Record<string, string>> = {
  live: "there is no Erlang shell; use foreground",
  debug: "there is no Erlang shell; see status, the log and server setLoglevel",
  join_cluster: "the nodes of a cluster find each other by their configuration; see server joinCluster",
  leave_cluster: "the nodes of a cluster find each other by their configuration; see server leaveCluster",
  remove_from_cluster: "the nodes of a cluster find each other by their configuration; see server removeFromCluster",
  escript: "there is no Erlang runtime to run scripts with",
  bootstrap: "there are no bootstrap scripts: the server starts without preparation",
};

/**
 * Runs a command line (without the program's name) and gives the exit code: 0 success, 1 error, 2 usage shown,
 * 3 the server does not answer, 4 `schema check` found a database that the server would change.
 */
export async function runCtl(argv: readonly string[], io: CtlIo, options: CtlOptions): Promise<number> {
  try {
    const { stateDir: given, rest: words } = takeStateDir(argv);
    const stateDir = stateDirOf(given, io);
    const client = new ControlClient(stateDir);
    // `help status` is `status --help`.
    const rest = words[0] === "help" && words.length > 1 ? [...words.slice(1), "--help"] : words;
    const [first] = rest;
    if (first === undefined) return await runUsage(client, io);
    if (first === "--help" || first === "-h" || first === "help") return await runUsage(client, io, OK);
    if (first === "--version") return print(options.version, io);
    if (Object.hasOwn(MEANINGLESS, first)) throw new CtlError(`No "${first}" here: ${MEANINGLESS[first]}`);
    if (first.startsWith("-")) {
      io.err(`Unknown option "${first}"\n\n`);
      await runUsage(client, io);
      return ERROR;
    }
    if (first === "graphql") return await runGraphql(rest.slice(1), client, io);
    if (!BASIC_COMMANDS.some((c) => c.name === first)) return await runOperation(rest, client, io);
    return await runBasic(rest, stateDir, client, io, options);
  } catch (error) {
    if (!(error instanceof CtlError)) throw error;
    io.err(`${error.message}\n`);
    return error.exitCode;
  }
}

/** --state-dir may stand anywhere: no operation has an argument of that name. */
function takeStateDir(argv: readonly string[]): { readonly stateDir?: string; readonly rest: readonly string[] } {
  const at = argv.findIndex((word) => word === "--state-dir" || word.startsWith("--state-dir="));
  if (at < 0) return { rest: argv };
  const inline = argv[at].startsWith("--state-dir=");
  const stateDir = inline ? argv[at].slice("--state-dir=".length) : argv[at + 1];
  if (!stateDir) throw new CtlError("--state-dir must be followed by a directory");
  return { stateDir, rest: argv.toSpliced(at, inline ? 1 : 2) };
}

function print(text: string, io: CtlIo): number {
  io.out(`${text}\n`);
  return OK;
}

/** Commands without a category. */
async function runBasic(
  words: readonly string[],
  stateDir: string,
  client: ControlClient,
  io: CtlIo,
  { version }: CtlOptions,
): Promise<number> {
  let code = OK;
  const program = new Command("mongooseimctl")
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })
    .helpCommand(false);
  const command = (name: string): Command => {
    const known = BASIC_COMMANDS.find((c) => c.name === name);
    // Taken out of the line before; named here for the help.
    return program
      .command(name)
      .description(known?.description ?? "")
      .allowExcessArguments(false)
      .addOption(new Option("--state-dir <dir>", "where the server keeps its data and its control socket"));
  };
  const run =
    (action: (...args: string[]) => number | Promise<number>) =>
    async (...args: string[]) => {
      code = await action(...args);
    };
  const configFile = (given: string | undefined): string | undefined =>
    given ?? (io.env["EJABBERD_CONFIG_PATH"] || undefined);
  const configOption = (): Option =>
    new Option("--config <file>", "configuration file (default: $EJABBERD_CONFIG_PATH)");

  command("start")
    .addOption(configOption())
    .action(async ({ config }: { config?: string }) => {
      code = await start({ configFile: configFile(config), stateDir }, client, io);
    });
  command("foreground")
    .addOption(configOption())
    .action(async ({ config }: { config?: string }) => {
      code = await io.foreground({ configFile: configFile(config), stateDir });
    });
  command("stop")
    .addOption(new Option("--other-host <host[:port]>", "send the clients there (see-other-host)"))
    .action(async ({ otherHost }: { otherHost?: string }) => {
      code = await stop(client, io, otherHost);
    });
  command("force_stop").action(run(() => forceStop(client, io)));
  command("restart").action(run(() => restart(client)));
  command("status").action(run(() => status(client, io)));
  command("started").action(run(() => started(client, io)));
  command("stopped").action(run(() => stopped(client, io)));
  command("print_install_dir").action(run(() => print(dirname(io.self[io.self.length - 1]), io)));
  command("version").action(run(() => print(version, io)));
  command("completion")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action(
      run(async (shell) => {
        const { completionScript } = await import("./completion.ts");
        io.out(completionScript(shell as Shell, await client.commands()));
        return OK;
      }),
    );
  const schema = command("schema");
  const schemaOptions = ({ config }: { config?: string }) => ({ configFile: configFile(config), stateDir });
  schema
    .command("check")
    .description("Say of each database whether the server can use it as it is; ends with 4 when it would be changed")
    .addOption(configOption())
    .action(async (options: { config?: string }) => {
      const { schemaCheck } = await import("./schema.ts");
      code = await schemaCheck(schemaOptions(options), io);
    });
  schema
    .command("upgrade")
    .description("Bring each database up to date, as the server does when it starts")
    .addOption(configOption())
    .addOption(new Option("--dry-run", "print the statements, and run none"))
    .action(async (options: { config?: string; dryRun?: boolean }) => {
      const { schemaUpgrade } = await import("./schema.ts");
      code = await schemaUpgrade({ ...schemaOptions(options), dryRun: options.dryRun === true }, io);
    });
  command("config")
    .command("check")
    .argument("<file>")
    .description("Report all problems of a configuration file")
    .action(
      run(async (file) => {
        const { configCheck } = await import("./config-check.ts");
        return configCheck(file, io);
      }),
    );
  const backup = command("backup");
  backup
    .command("create")
    .argument("<dir>", "the backup: a directory, which is made")
    .description("Back up the embedded store and the secrets of the state directory, while the server runs or not")
    .addOption(configOption())
    .action(async (dir: string, { config }: { config?: string }) => {
      const { create } = await import("./backup.ts");
      code = await create(dir, { configFile: configFile(config), version }, client, io);
    });
  backup
    .command("verify")
    .argument("<dir>", "the backup")
    .description("Read all of a backup, and count the rows of a scratch copy of it")
    .addOption(new Option("--scratch <dir>", "where to make the copy (default: beside the backup)"))
    .action(async (dir: string, { scratch }: { scratch?: string }) => {
      const { verify } = await import("./backup.ts");
      code = verify(dir, scratch, io);
    });
  backup
    .command("restore")
    .argument("<dir>", "the backup")
    .description("Put a backup in the place of what the state directory has, which is kept beside it")
    .action(
      run(async (dir) => {
        const { restore } = await import("./backup.ts");
        return restore(dir, client, io);
      }),
    );

  try {
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // `config` alone shows its help, which is no success.
    if (error.code === "commander.help") return USAGE;
    return error.exitCode === 0 ? OK : ERROR;
  }
  return code;
}
