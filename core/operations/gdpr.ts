// Category gdpr: what is kept about a user.

import { makeBare } from "../jid.ts";
import { defineOperation, OperationError } from "../operations.ts";

const retrievePersonalData = defineOperation({
  category: "gdpr",
  name: "retrievePersonalData",
  kind: "query",
  description: "Write all that is kept about a user into a new zip file on the server, a CSV file for each kind",
  args: {
    username: "UserName!",
    domain: "DomainName!",
    resultFilepath: {
      type: "String!",
      description: "The zip file: a path on the server, of a directory that exists and a file that does not",
    },
  },
  result: "String",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ username, domain, resultFilepath }, _caller, node) {
    const user = makeBare(username, domain);
    if (!(await node.accounts.exists(user))) {
      throw new OperationError("user_does_not_exist_error", `User ${user.text} does not exist`, { jid: user.text });
    }
    await node.personalData.writeZip(user, resultFilepath);
    return "Data retrieved";
  },
});

export const gdprOperations = [retrievePersonalData];
