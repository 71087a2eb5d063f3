// Runs the operations of a feature through the schema, against a fake server's feature and accounts.
import { parseBareJid } from "../../../core/jid.ts";
import type { AnyModule, ModuleContext } from "../../../core/module.ts";
import { execute } from "../../../core/operations/execute.ts";
import { coreOperations } from "../../../core/operations/index.ts";
import { buildSchema } from "../../../core/operations/schema.ts";
import type { Caller, Operation, OperationNode } from "../../../core/operations.ts";
import type { FakeServer } from "../../support/fake-server.ts";
import { fakeNode } from "../core/operations/fake-node.ts";

/**
 * A function that runs a query; as an administrator, or as a user when one is given. Gives the data of a query that
 * succeeded, or the codes of what went wrong.
 */
export function runner(server: FakeServer, def: AnyModule, ctx: ModuleContext, user?: string) {
  const node = fakeNode();
  node.loaded.modules.push(def.name);
  node.users.clear();
  for (const jid of server.accounts.passwords.keys()) node.users.set(jid, "secret");
  const over: Partial<OperationNode> = {
    instance: ((_name: string, domain: string) =>
      server.hostTypeOf(domain) ? ctx : undefined) as OperationNode["instance"],
    now: () => server.now() * 1000,
  };
  Object.assign(node, over);
  const caller: Caller = user ? { kind: "user", via: "http", jid: parseBareJid(user) } : { kind: "admin", via: "cli" };
  const schema = buildSchema([...coreOperations, ...(def.operations as readonly Operation[])], user ? "user" : "admin");
  const run = async (query: string, variables: Record<string, unknown> = {}): Promise<unknown> => {
    const { body } = await execute({ query, variables }, { schema, caller, node });
    return body.errors ? body.errors.map((e) => e.extensions["code"]) : body.data;
  };
  return { run, node };
}
