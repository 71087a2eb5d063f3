// The databases of a server: the embedded one, and the pools of outgoing_pools.rdbms.
import type { Db, DbCalls } from "./db.ts";

/** The tag that features ask for. */
export const DEFAULT_TAG = "default";

/** One pool, of the whole server or of one host type. */
export interface Pool {
  readonly tag: string;
  /** Undefined: it is for all host types that have none of their own with this tag. */
  readonly hostType: string | undefined;
  readonly driver: string;
  /** Where the database is, for metrics and operations: "db.example.org:5432/mongooseim", or a file. */
  readonly place: string;
  /** Connections it may have. */
  readonly workers: number;
  readonly db: Db;
  /** Where metrics learn how long its requests take. */
  readonly calls: DbCalls;
}

/** The pool that `services.service_domain_db.db_pool` names, unless that is "global": see `Pools.named`. */
export const poolOfDomains = (name: string, hostTypes: readonly string[]): Pick<Pool, "tag" | "hostType"> =>
  hostTypes.includes(name) ? { tag: DEFAULT_TAG, hostType: name } : { tag: name, hostType: undefined };

/** Which database a feature gets. */
export class Pools {
  /** The embedded store, which is there without any configuration. */
  readonly embedded: Db;
  readonly all: readonly Pool[];

  constructor(embedded: Db, all: readonly Pool[] = []) {
    this.embedded = embedded;
    this.all = all;
  }

  /** The pool of a tag: the host type's own, else that of the server. */
  get(tag: string, hostType?: string): Pool | undefined {
    const own = hostType === undefined ? undefined : this.#find(tag, hostType);
    return own ?? this.#find(tag, undefined);
  }

  /**
   * The database behind a `backend` option: `rdbms` (or `rdbms_async`) is the pool `default` of the host type, or else of
   * the server, or else the embedded store; everything else is embedded.
   */
  db(backend: string | undefined, hostType?: string): Db {
    if (!backend?.startsWith("rdbms")) return this.embedded;
    return this.get(DEFAULT_TAG, hostType)?.db ?? this.embedded;
  }

  /**
   * The database of `services.service_domain_db.db_pool`: "global" is the server's own, the name of a host type is that
   * one's (MongooseIM's rule), and any other word is the tag of a pool of the server; undefined when there is none such.
   */
  named(name: string, hostTypes: readonly string[]): Db | undefined {
    if (name === "global") return this.db("rdbms");
    const { tag, hostType } = poolOfDomains(name, hostTypes);
    return this.#find(tag, hostType)?.db;
  }

  /** The database that other servers may use as well: that of the pool `default`, or else the first; no file. */
  shared(): Db | undefined {
    const servers = this.all.filter(({ driver }) => driver !== "sqlite");
    return (servers.find(({ tag, hostType }) => tag === DEFAULT_TAG && hostType === undefined) ?? servers[0])?.db;
  }

  /** Those in which a feature may keep something. */
  ofFeatures(): Set<Db> {
    return new Set([this.embedded, ...this.all.filter(({ tag }) => tag === DEFAULT_TAG).map(({ db }) => db)]);
  }

  /** Every database once. */
  databases(): Set<Db> {
    return new Set([this.embedded, ...this.all.map(({ db }) => db)]);
  }

  /** Closes all of them. */
  async close(): Promise<void> {
    for (const db of this.databases()) await db.close();
  }

  #find(tag: string, hostType: string | undefined): Pool | undefined {
    return this.all.find((pool) => pool.tag === tag && pool.hostType === hostType);
  }
}
