// Category account: users of the domains, whatever keeps them.

import { createHash } from "node:crypto";
import { type BareJid, makeBare } from "../jid.ts";
import { defineOperation, OperationError, type OperationNode, userOf } from "../operations.ts";
import { importUsers } from "./account-import.ts";
import { kickAll } from "./session.ts";

const NOT_ALLOWED = "User does not exist or you are not authorized properly";
const noUser = (user: BareJid): OperationError =>
  new OperationError("user_does_not_exist", `User ${user.text} does not exist`, { jid: user.text });

async function checkDomain(domain: string, node: OperationNode): Promise<void> {
  if ((await node.domains.hostTypeOf(domain)) === undefined) {
    throw new OperationError("domain_not_found", "Domain does not exist", { domain });
  }
}

async function unregister(user: BareJid, node: OperationNode): Promise<string> {
  const known = await node.accounts.exists(user);
  if (known && (await node.accounts.remove(user)) === "ok") return `User ${user.text} successfully unregistered`;
  throw new OperationError("not_allowed", NOT_ALLOWED, { jid: user.text });
}

async function changePassword(user: BareJid, password: string, node: OperationNode): Promise<string> {
  if (password === "") throw new OperationError("empty_password", "Empty password", { jid: user.text });
  const known = await node.accounts.exists(user);
  if (known && (await node.accounts.setPassword(user, password)) === "ok") return "Password changed";
  throw new OperationError("not_allowed", NOT_ALLOWED, { jid: user.text });
}

const listUsers = defineOperation({
  category: "account",
  name: "listUsers",
  kind: "query",
  description: "List the users of a domain",
  args: {
    domain: "DomainName!",
    limit: { type: "PosInt", description: "At most this many users; all when left out" },
    index: { type: "NonNegInt", description: "How many users to pass over first" },
  },
  result: "[String!]",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ domain, limit, index }, _caller, node) {
    await checkDomain(domain, node);
    return node.accounts.list(domain, { limit, offset: index });
  },
});

const countUsers = defineOperation({
  category: "account",
  name: "countUsers",
  kind: "query",
  description: "Count the users of a domain",
  args: { domain: "DomainName!" },
  result: "Int",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ domain }, _caller, node) {
    await checkDomain(domain, node);
    return node.accounts.count(domain);
  },
});

const checkPassword = defineOperation({
  category: "account",
  name: "checkPassword",
  kind: "query",
  description: "Tell whether a password is the user's",
  args: { user: "JID!", password: "String!" },
  result: "CheckPasswordPayload",
  scope: "domain",
  domainArgs: ["user"],
  async run({ user, password }, _caller, node) {
    if (!(await node.accounts.exists(user.bare))) throw noUser(user.bare);
    const correct = await node.accounts.checkPassword(user.bare, password);
    return { correct, message: `Password for user ${user.bare.text} is ${correct ? "correct" : "incorrect"}` };
  },
});

const checkPasswordHash = defineOperation({
  category: "account",
  name: "checkPasswordHash",
  kind: "query",
  description: "Tell whether a hash (hashMethod md5 or sha) is of the user's password, where passwords are kept plain",
  args: { user: "JID!", passwordHash: "String!", hashMethod: "String!" },
  result: "CheckPasswordPayload",
  scope: "domain",
  domainArgs: ["user"],
  async run({ user, passwordHash, hashMethod }, _caller, node) {
    const plain = await node.accounts.plainPassword(user.bare);
    const jid = user.bare.text;
    if (plain === undefined) {
      throw new OperationError("wrong_user", "User does not exist or using SCRAM password", { jid });
    }
    if (hashMethod !== "md5" && hashMethod !== "sha") {
      const message = `Given hash method \`${hashMethod}\` is not supported. Try \`md5\` or \`sha\``;
      throw new OperationError("wrong_method", message, { jid });
    }
    const algorithm = hashMethod === "md5" ? "md5" : "sha1";
    const correct = createHash(algorithm).update(plain).digest("hex") === passwordHash.toLowerCase();
    return { correct, message: `Password hash is ${correct ? "correct" : "incorrect"}` };
  },
});

const checkUser = defineOperation({
  category: "account",
  name: "checkUser",
  kind: "query",
  description: "Tell whether a user exists",
  args: { user: "JID!" },
  result: "CheckUserPayload",
  scope: "domain",
  domainArgs: ["user"],
  async run({ user }, _caller, node) {
    const exist = await node.accounts.exists(user.bare);
    return { exist, message: `User ${user.bare.text} ${exist ? "exists" : "does not exist"}` };
  },
});

const registerUser = defineOperation({
  category: "account",
  name: "registerUser",
  kind: "mutation",
  description: "Register a user, with a made-up name when none is given",
  args: { domain: "DomainName!", username: "UserName", password: "String!" },
  result: "UserPayload",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ domain, username, password }, _caller, node) {
    const user = makeBare(username ?? `${node.now().toString(36)}-${node.randomHex(8)}`, domain);
    const jid = user.text;
    if (password === "")
      throw new OperationError("cannot_register", `Cannot register user ${jid}: empty_password`, { jid });
    if ((await node.domains.hostTypeOf(domain)) === undefined) {
      throw new OperationError(
        "cannot_register",
        `Cannot register user ${jid}: not_allowed (there is no domain ${domain})`,
        { jid },
      );
    }
    switch (await node.accounts.register(user, password)) {
      case "ok":
        return { jid, message: `User ${jid} successfully registered` };
      case "exists":
        throw new OperationError("exists", `User ${jid} already registered at node ${node.name}`, { jid });
      case "limit_per_domain_exceeded": {
        const message = `User limit has been exceeded for domain ${domain}`;
        throw new OperationError("limit_per_domain_exceeded", message, { jid });
      }
      case "not_allowed":
        throw new OperationError("cannot_register", `Cannot register user ${jid}: not_allowed`, { jid });
    }
  },
});

const removeUser = defineOperation({
  category: "account",
  name: "removeUser",
  kind: "mutation",
  unawaited: true,
  description: "Remove an account and all data of the user",
  args: { user: "JID!" },
  result: "UserPayload",
  scope: "domain",
  domainArgs: ["user"],
  run: async ({ user }, _caller, node) => ({ jid: user.bare, message: await unregister(user.bare, node) }),
});

const banUser = defineOperation({
  category: "account",
  name: "banUser",
  kind: "mutation",
  description: "Ban a user: close his sessions and give him a password nobody knows",
  args: { user: "JID!", reason: "String!" },
  result: "UserPayload",
  scope: "domain",
  domainArgs: ["user"],
  async run({ user, reason }, _caller, node) {
    const jid = user.bare.text;
    if (!(await node.accounts.exists(user.bare))) throw noUser(user.bare);
    // The password first: a client that is thrown out comes back at once.
    const date = new Date(node.now() / 1000).toISOString().slice(0, 19);
    const password = `BANNED_ACCOUNT--${date}Z--${node.randomHex(16)}--${reason}`;
    if ((await node.accounts.setPassword(user.bare, password)) !== "ok") {
      throw new OperationError("not_allowed", NOT_ALLOWED, { jid });
    }
    await kickAll(user.bare, reason, node);
    return { jid, message: `User ${jid} successfully banned with reason: ${reason}` };
  },
});

const changeUserPassword = defineOperation({
  category: "account",
  name: "changeUserPassword",
  kind: "mutation",
  description: "Change a user's password",
  args: { user: "JID!", newPassword: "String!" },
  result: "UserPayload",
  scope: "domain",
  domainArgs: ["user"],
  run: async ({ user, newPassword }, _caller, node) => ({
    jid: user.bare,
    message: await changePassword(user.bare, newPassword, node),
  }),
});

const unregisterSelf = defineOperation({
  category: "account",
  name: "unregister",
  kind: "mutation",
  unawaited: true,
  description: "Remove your account and all your data",
  args: {},
  result: "String",
  scope: "user",
  run: (_args, caller, node) => unregister(userOf(caller), node),
});

const changeOwnPassword = defineOperation({
  category: "account",
  name: "changePassword",
  kind: "mutation",
  description: "Change your password",
  args: { newPassword: "String!" },
  result: "String",
  scope: "user",
  run: ({ newPassword }, caller, node) => changePassword(userOf(caller), newPassword, node),
});

export const accountOperations = [
  listUsers,
  countUsers,
  checkPassword,
  checkPasswordHash,
  checkUser,
  registerUser,
  removeUser,
  banUser,
  changeUserPassword,
  importUsers,
  unregisterSelf,
  changeOwnPassword,
];
