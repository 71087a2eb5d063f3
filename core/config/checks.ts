// Checks that reach across sections. They read the raw document beside the schema, so that they run, and report, even
// when other sections have problems.
import ipaddr from "ipaddr.js";
import { prepareDomain } from "../jid.ts";
import type { Path } from "./positions.ts";
import { keyOf } from "./positions.ts";
import { type Problem, placed, problemAt, type Source } from "./problems.ts";
import { isTable } from "./selected.ts";
import { listed } from "./types.ts";
import { valueAt, walk } from "./walk.ts";

/** What the checks found, in no order. */
export interface Findings {
  problems: Problem[];
  warnings: Problem[];
}

/**
 * Checks a document as a whole.
 * @param exists says whether a file is there; without it files are not looked for.
 */
export function checkDocument(source: Source, exists?: (file: string) => boolean): Findings {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  problems.push(...listenersTwice(source), ...hostTypes(source));
  warnings.push(...embeddedPools(source));
  const names = definedNames(source.raw);
  const inertSeen = new Set<string>();
  const undefinedClasses = new Set<string>();
  walk(source.schema, source.raw, (notes, value, path) => {
    if (notes.inert !== undefined && !notes.heeded?.some((name) => name === value)) {
      // One warning an option, at its first place, however many listeners or pools set it; what is in it is it.
      const names = path.filter((part) => typeof part === "string");
      const tables = names.map((_, i) => names.slice(0, i + 1).join("."));
      if (!tables.some((table) => inertSeen.has(table))) {
        warnings.push(placed(source, path, `${keyOf(path)} has no effect: ${notes.inert}`));
      }
      inertSeen.add(names.join("."));
    }
    if (typeof value !== "string") return;
    if (notes.absent?.values.includes(value)) {
      problems.push(problemAt(source, path, `it is not in this build; use "${notes.absent.instead}"`));
    }
    if (notes.file && exists && value !== "" && !exists(value)) {
      problems.push(problemAt(source, path, "there is no such file"));
    }
    if (notes.ref === undefined || value === "" || names[notes.ref].has(value)) return;
    if (notes.ref === "acl") {
      // MongooseIM's own default file has clauses for classes that it does not define.
      if (!undefinedClasses.has(value)) {
        warnings.push(placed(source, path, `${keyOf(path)} names "${value}", which is not in [acl]: nobody is in it`));
      }
      undefinedClasses.add(value);
    } else {
      const section = notes.ref === "access" ? "[access]" : "[shaper]";
      problems.push(problemAt(source, path, `${section} has no such entry, it has ${entries(names[notes.ref])}`));
    }
  });
  warnings.push(...defaultDomain(source), ...retentionDomains(source));
  return { problems, warnings };
}

function entries(names: ReadonlySet<string>): string {
  return listed([...names]);
}

function definedNames(raw: unknown): Record<"access" | "shaper" | "acl", Set<string>> {
  const hosts = valueAt(raw, ["host_config"]);
  const tables = [raw, ...(Array.isArray(hosts) ? hosts : [])];
  const all = (section: string, ...always: string[]) =>
    new Set([...always, ...tables.flatMap((table) => Object.keys(tableAt(table, section)))]);
  return { access: all("access", "all", "none"), shaper: all("shaper", "none"), acl: all("acl", "all", "none") };
}

function tableAt(raw: unknown, key: string): Record<string, unknown> {
  const value = valueAt(raw, [key]);
  return isTable(value) ? value : {};
}

/** Two listeners on one port of one address cannot both have it. */
function listenersTwice(source: Source): Problem[] {
  const seen = new Map<string, Path>();
  const problems: Problem[] = [];
  for (const [kind, listeners] of Object.entries(tableAt(source.raw, "listen"))) {
    for (const [i, listener] of (Array.isArray(listeners) ? listeners : []).entries()) {
      if (!isTable(listener) || typeof listener.port !== "number" || listener.port === 0) continue;
      const any = listener.ip_version === 6 ? "::" : "0.0.0.0";
      const ip = typeof listener.ip_address === "string" ? listener.ip_address : any;
      const socket = `${ipaddr.isValid(ip) ? ipaddr.parse(ip) : ip} ${listener.port}`;
      const path = ["listen", kind, i, "port"];
      const first = seen.get(socket);
      if (first === undefined) seen.set(socket, path);
      else problems.push(problemAt(source, path, `${keyOf(first)} has this port on this address already`));
    }
  }
  return problems;
}

/** What a pool of driver "sqlite" has no use for: there is no server, and each file has one worker of its own. */
const OF_SERVERS = ["workers", "strategy", "call_timeout", "max_worker_queue_len"];
const NOT_OF_SERVERS: ReadonlySet<string> = new Set(["driver", "database"]);

function embeddedPools(source: Source): Problem[] {
  const hosts = valueAt(source.raw, ["host_config"]);
  const places: Path[] = [[], ...(Array.isArray(hosts) ? hosts.map((_, i): Path => ["host_config", i]) : [])];
  return places.flatMap((place) => {
    const at: Path = [...place, "outgoing_pools", "rdbms"];
    const pools = valueAt(source.raw, at);
    return Object.entries(isTable(pools) ? pools : {}).flatMap(([tag, pool]) => {
      const connection = tableAt(pool, "connection");
      if (!isTable(pool) || connection["driver"] !== "sqlite") return [];
      const unused: Path[] = [
        ...OF_SERVERS.filter((key) => pool[key] !== undefined).map((key) => [...at, tag, key]),
        ...Object.keys(connection)
          .filter((key) => !NOT_OF_SERVERS.has(key))
          .map((key) => [...at, tag, "connection", key]),
      ];
      return unused.map((path) =>
        placed(source, path, `${keyOf(path)} has no effect: driver "sqlite" opens a file, by one worker`),
      );
    });
  });
}

/** A host_config table is for a host type that exists, and each host type has one at most. */
function hostTypes(source: Source): Problem[] {
  const known = new Set([...strings(source.raw, "hosts").map(domain), ...strings(source.raw, "host_types")]);
  const tables = valueAt(source.raw, ["host_config"]);
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (const [i, table] of (Array.isArray(tables) ? tables : []).entries()) {
    for (const key of ["host", "host_type"]) {
      const given = valueAt(table, [key]);
      if (typeof given !== "string" || given === "") continue;
      const name = key === "host" ? domain(given) : given;
      const path = ["host_config", i, key];
      if (!known.has(name)) {
        problems.push(problemAt(source, path, "it is neither in general.hosts nor in general.host_types"));
      } else if (seen.has(name)) problems.push(problemAt(source, path, "it has a host_config table already"));
      seen.add(name);
    }
  }
  return problems;
}

/** With static hosts only, the server's own domain is one of them, or nothing answers for it. */
function defaultDomain(source: Source): Problem[] {
  const path = ["general", "default_server_domain"];
  const own = valueAt(source.raw, path);
  const hosts = strings(source.raw, "hosts").map(domain);
  if (typeof own !== "string" || hosts.length === 0 || strings(source.raw, "host_types").length > 0) return [];
  if (hosts.includes(domain(own))) return [];
  return [placed(source, path, `${keyOf(path)} names "${own}", which is not in general.hosts: it is not served`)];
}

/** A slip in a domain's name would have its messages deleted at the age that holds for all. */
function retentionDomains(source: Source): Problem[] {
  const tables = valueAt(source.raw, ["retention", "domains"]);
  const hosts = strings(source.raw, "hosts").map(domain);
  if (!Array.isArray(tables) || strings(source.raw, "host_types").length > 0) return [];
  return tables.flatMap((table, i) => {
    const given = valueAt(table, ["domain"]);
    if (typeof given !== "string" || hosts.includes(domain(given))) return [];
    const path = ["retention", "domains", i, "domain"];
    return [placed(source, path, `${keyOf(path)} names "${given}", which is not in general.hosts: it has no effect`)];
  });
}

function strings(raw: unknown, key: string): string[] {
  const value = valueAt(raw, ["general", key]);
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function domain(text: string): string {
  try {
    return prepareDomain(text);
  } catch {
    return text;
  }
}
