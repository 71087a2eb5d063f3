// Category domain: domains that are added and removed while the server runs.

import { type DomainInfo, type DomainRefusal, defineOperation, OperationError } from "../operations.ts";

const NEEDS = ["service_domain_db"];

const REFUSALS: Readonly<Record<DomainRefusal, string>> = {
  static: "Domain is static",
  not_found: "Given domain does not exist",
  duplicate: "Domain already exists",
  unknown_host_type: "Unknown host type",
  wrong_host_type: "Wrong host type was provided",
  deleted: "Domain has been deleted",
};

function settled(result: DomainInfo | DomainRefusal, extensions: Record<string, unknown>): DomainInfo {
  if (typeof result === "string") throw new OperationError(result, REFUSALS[result], extensions);
  return result;
}

const domainsByHostType = defineOperation({
  category: "domain",
  name: "domainsByHostType",
  kind: "query",
  description: "List the enabled domains of a host type",
  args: { hostType: "String!" },
  result: "[DomainName!]",
  scope: "global",
  needs: NEEDS,
  run({ hostType }, _caller, node) {
    if (!node.domains.hostTypes().includes(hostType)) {
      throw new OperationError("unknown_host_type", REFUSALS.unknown_host_type, { hostType });
    }
    return node.domains.ofHostType(hostType);
  },
});

const allDomains = defineOperation({
  category: "domain",
  name: "allDomains",
  kind: "query",
  description: "List all domains, those of the configuration too",
  args: {},
  result: "[DomainWithType!]",
  scope: "global",
  needs: NEEDS,
  async run(_args, _caller, node) {
    return (await node.domains.all()).toSorted((a, b) => (a.domain < b.domain ? -1 : 1));
  },
});

const domainDetails = defineOperation({
  category: "domain",
  name: "domainDetails",
  kind: "query",
  description: "Describe a domain",
  args: { domain: "DomainName!" },
  result: "DomainWithType",
  scope: "domain",
  domainArgs: ["domain"],
  needs: NEEDS,
  async run({ domain }, _caller, node) {
    return settled((await node.domains.details(domain)) ?? "not_found", { domain });
  },
});

const addDomain = defineOperation({
  category: "domain",
  name: "addDomain",
  kind: "mutation",
  description: "Add a domain to a host type",
  args: { domain: "DomainName!", hostType: "String!" },
  result: "Domain",
  scope: "global",
  needs: NEEDS,
  async run({ domain, hostType }, _caller, node) {
    const added = settled(await node.domains.add(domain, hostType), { domain, hostType });
    // MongooseIM gives no status here.
    return { domain: added.domain, hostType: added.hostType };
  },
});

const removeDomain = defineOperation({
  category: "domain",
  name: "removeDomain",
  kind: "mutation",
  unawaited: true,
  description: "Remove a domain with its users and all their data, and wait for it",
  args: { domain: "DomainName!", hostType: "String!" },
  result: "Domain",
  scope: "global",
  needs: NEEDS,
  async run({ domain, hostType }, _caller, node) {
    return settled(await node.domains.remove(domain, hostType, true), { domain, hostType });
  },
});

const requestRemoveDomain = defineOperation({
  category: "domain",
  name: "requestRemoveDomain",
  kind: "mutation",
  unawaited: true,
  description: "Disable a domain and remove its data in the background",
  args: { domain: "DomainName!", hostType: "String!" },
  result: "Domain",
  scope: "global",
  needs: NEEDS,
  async run({ domain, hostType }, _caller, node) {
    return settled(await node.domains.remove(domain, hostType, false), { domain, hostType });
  },
});

const enableDomain = defineOperation({
  category: "domain",
  name: "enableDomain",
  kind: "mutation",
  description: "Serve a domain again",
  args: { domain: "DomainName!" },
  result: "Domain",
  scope: "global",
  needs: NEEDS,
  async run({ domain }, _caller, node) {
    return settled(await node.domains.setEnabled(domain, true), { domain });
  },
});

const disableDomain = defineOperation({
  category: "domain",
  name: "disableDomain",
  kind: "mutation",
  description: "Serve a domain no longer, keeping its data",
  args: { domain: "DomainName!" },
  result: "Domain",
  scope: "global",
  needs: NEEDS,
  async run({ domain }, _caller, node) {
    return settled(await node.domains.setEnabled(domain, false), { domain });
  },
});

const setDomainPassword = defineOperation({
  category: "domain",
  name: "setDomainPassword",
  kind: "mutation",
  description: "Set the password of the domain's administrator",
  args: { domain: "DomainName!", password: "NonEmptyString!" },
  result: "String",
  scope: "domain",
  domainArgs: ["domain"],
  needs: NEEDS,
  async run({ domain, password }, _caller, node) {
    if (await node.domains.setPassword(domain, password)) return "Domain password set successfully";
    throw new OperationError("not_found", "Given domain does not exist or is disabled", { domain });
  },
});

const deleteDomainPassword = defineOperation({
  category: "domain",
  name: "deleteDomainPassword",
  kind: "mutation",
  description: "Delete the password of the domain's administrator",
  args: { domain: "DomainName!" },
  result: "String",
  scope: "global",
  needs: NEEDS,
  async run({ domain }, _caller, node) {
    if (await node.domains.deletePassword(domain)) return "Domain password deleted successfully";
    throw new OperationError("not_found", "Domain password does not exist", { domain });
  },
});

export const domainOperations = [
  domainsByHostType,
  allDomains,
  domainDetails,
  addDomain,
  removeDomain,
  requestRemoveDomain,
  enableDomain,
  disableDomain,
  setDomainPassword,
  deleteDomainPassword,
];
