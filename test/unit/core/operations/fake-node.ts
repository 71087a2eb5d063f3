// A server in memory, as operations see it: two host types, one static domain, one dynamic domain.

import { type BareJid, parseFullJid } from "../../../../core/jid.ts";
import type { AuditEntry, DomainInfo, MetricSample, OperationNode, SessionInfo } from "../../../../core/operations.ts";
import type { Stanza } from "../../../../core/stanza.ts";

export interface FakeNode extends OperationNode {
  readonly users: Map<string, string>;
  readonly sessionList: SessionInfo[];
  readonly domainList: DomainInfo[];
  readonly sent: Stanza[];
  readonly audited: AuditEntry[];
  readonly did: string[];
  readonly loaded: { modules: string[]; services: string[] };
  readonly files: Map<string, string>;
  readonly samples: MetricSample[];
}

export function session(jid: string, show = "available", status = ""): SessionInfo {
  const full = parseFullJid(jid);
  return {
    jid: full,
    connection: "c2s_tls",
    ip: "127.0.0.1",
    port: 40000,
    priority: 5,
    node: "mim@here",
    uptime: 61.5,
    presence: { show, status },
  };
}

export function fakeNode(): FakeNode {
  const users = new Map([
    ["alice@localhost", "secret"],
    ["bob@localhost", "hunter2"],
    ["carol@dynamic.example", "pw"],
  ]);
  const sessionList: SessionInfo[] = [];
  const domainList: DomainInfo[] = [
    { domain: "localhost", hostType: "localhost", status: "ENABLED", type: "STATIC" },
    { domain: "dynamic.example", hostType: "dyn", status: "ENABLED", type: "DYNAMIC" },
  ];
  const sent: Stanza[] = [];
  const audited: AuditEntry[] = [];
  const did: string[] = [];
  const files = new Map<string, string>();
  const loaded = { modules: ["mod_last"], services: ["service_domain_db"] };
  const samples: MetricSample[] = [];
  const passwords = new Map<string, string>();
  let level: ReturnType<OperationNode["server"]["logLevel"]> = "warning";
  let clock = 0;
  const ofDomain = (domain?: string) => sessionList.filter((s) => domain === undefined || s.jid.domain === domain);
  const find = (domain: string) => domainList.find((d) => d.domain === domain);

  return {
    users,
    sessionList,
    domainList,
    sent,
    audited,
    did,
    loaded,
    files,
    samples,
    name: "mim@here",
    nodes: () => ["mim@here", "mim@gone"],
    accounts: {
      list: (domain, { limit, offset = 0 }) =>
        [...users.keys()]
          .filter((jid) => jid.endsWith(`@${domain}`))
          .sort()
          .slice(offset, limit === undefined ? undefined : offset + limit),
      count: (domain) => [...users.keys()].filter((jid) => jid.endsWith(`@${domain}`)).length,
      exists: (user) => users.has(user.text),
      checkPassword: (user, password) => users.get(user.text) === password,
      plainPassword: (user) => users.get(user.text),
      register(user: BareJid, password) {
        if (users.has(user.text)) return "exists";
        if (user.local === "full") return "limit_per_domain_exceeded";
        users.set(user.text, password);
        return "ok";
      },
      remove: (user) => (users.delete(user.text) ? "ok" : "not_allowed"),
      setPassword(user, password) {
        users.set(user.text, password);
        return "ok";
      },
    },
    personalData: {
      async writeZip(user, file) {
        did.push(`personal data of ${user.text} into ${file}`);
      },
    },
    sessions: {
      list: (domain) => ofDomain(domain),
      count: (domain) => ofDomain(domain).length,
      countHere: () => sessionList.length,
      of: (user) => sessionList.filter((s) => s.jid.bare.text === user.text),
      kick(jid, reason) {
        const at = sessionList.findIndex((s) => s.jid.text === jid.text);
        if (at < 0) return false;
        sessionList.splice(at, 1);
        did.push(`kick ${jid.text}: ${reason}`);
        return true;
      },
      setPresence(jid, presence) {
        did.push(`presence ${jid.text} ${JSON.stringify(presence)}`);
        return sessionList.some((s) => s.jid.text === jid.text);
      },
    },
    retention: {
      async run({ domain = "localhost", dryRun }) {
        did.push(`retention ${domain}${dryRun ? " (count)" : ""}`);
        return [{ domain, kind: "offline", module: "mod_offline", before: 86_400_000, count: 3 }];
      },
    },
    domains: {
      hostTypeOf: (domain) => (find(domain)?.status === "ENABLED" ? find(domain)?.hostType : undefined),
      parentOf: (sub) => domainList.find((d) => sub.endsWith(`.${d.domain}`))?.domain,
      hostTypes: () => ["localhost", "dyn"],
      all: () => domainList,
      ofHostType: (hostType) => domainList.filter((d) => d.hostType === hostType).map((d) => d.domain),
      details: (domain) => find(domain),
      add(domain, hostType) {
        if (find(domain)?.type === "STATIC") return "static";
        if (find(domain)) return "duplicate";
        if (hostType !== "dyn") return "unknown_host_type";
        const added: DomainInfo = { domain, hostType, status: "ENABLED", type: "DYNAMIC" };
        domainList.push(added);
        return added;
      },
      remove(domain, hostType, wait) {
        const info = find(domain);
        if (!info) return "not_found";
        if (info.hostType !== hostType) return "wrong_host_type";
        return { ...info, status: wait ? "DELETED" : "DELETING" };
      },
      setEnabled(domain, enabled) {
        const info = find(domain);
        return info ? { ...info, status: enabled ? "ENABLED" : "DISABLED" } : "not_found";
      },
      setPassword(domain, password) {
        if (!find(domain)) return false;
        passwords.set(domain, password);
        return true;
      },
      deletePassword: (domain) => passwords.delete(domain),
    },
    server: {
      version: "6.8.0",
      commit: "abcdef1",
      running: () => true,
      uptime: () => 12.9,
      logLevel: () => level,
      setLogLevel(next) {
        level = next;
      },
      stop: () => void did.push("stop"),
      restart: () => void did.push("restart"),
      hostTypes: () => [
        {
          name: "localhost",
          authMethods: ["internal"],
          modules: [{ name: "mod_last", options: { backend: "rdbms" } }],
        },
      ],
      services: () => loaded.services,
      internalDatabases: () => [],
      modules: () => new Set(loaded.modules),
      s2s: () => ({ incoming: 2, outgoing: 3 }),
      readLines(file) {
        const text = files.get(file);
        if (text === undefined) return undefined;
        return (async function* () {
          yield* text.split("\n");
        })();
      },
    },
    stanzas: {
      send(stanza) {
        sent.push(stanza);
      },
      follow(user) {
        const waiting = sent.filter(({ to }) => to.bare.text === user.text);
        return {
          async next() {
            const stanza = waiting.shift();
            return stanza && { sender: stanza.from, stanza: stanza.text, id: stanza.id };
          },
          stop: () => void did.push(`stop following ${user.text}`),
        };
      },
    },
    metrics: { samples: () => samples, samplesOf: async () => undefined },
    instance: () => undefined,
    clock: () => clock++,
    now: () => 1_700_000_000_000_000,
    randomHex: (bytes) => "ab".repeat(bytes),
    audit: (entry) => void audited.push(entry),
  };
}
