// The certificate store: which certificate a domain gets, kept in step with the files while the server runs.
//
// A listener's own certfile serves the domains it names and is the default of that listener. Beside it, every pair
// NAME.crt (or .pem) and NAME.key in <state directory>/tls is for the domains that the certificate names, on all
// listeners. The pair self-signed.* there is made by the server and gives way to every other.
import { chmodSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../log/log.ts";
import type { Pair, PairSource } from "./pair.ts";
import { asciiDomain, loadPair, pairStamp, wildcardOf } from "./pair.ts";
import { type SharedPairs, TlsProfile } from "./profile.ts";
import { selfSigned } from "./selfsigned.ts";
import type { TlsSettings } from "./settings.ts";

/** What `reload` did; files are named by the path of the certificate. */
export interface Reloaded {
  readonly changed: readonly string[];
  readonly failed: readonly string[];
}

interface Reloading extends Reloaded {
  readonly changed: string[];
  readonly failed: string[];
}

/** How the store is set up. */
export interface StoreOptions {
  /** Holds the folder `tls`. */
  readonly stateDir: string;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const SELF_SIGNED = "self-signed";
const RENEW_MS = 30 * 86_400_000;
/** A self-signed certificate names no more domains than this: each handshake carries it whole. */
const MOST_DOMAINS = 100;

/** All certificates of a node. */
export class CertificateStore implements SharedPairs {
  readonly #dir: string;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #profiles: TlsProfile[] = [];
  /** The pairs of the folder, by path of the certificate. */
  #pairs = new Map<string, Pair>();
  #byDomain = new Map<string, Pair>();
  #selfSigned: Pair | undefined;
  /** The state in which a file last failed, so that each failure is logged once. */
  readonly #failed = new Map<string, string>();

  constructor({ stateDir, log, now }: StoreOptions) {
    this.#dir = join(stateDir, "tls");
    this.#log = log;
    this.#now = now;
    this.reload();
  }

  /**
   * The contexts of a listener.
   * @param key where the table is, for problems: `listen.c2s[1].tls`
   * @throws TlsSettingsError with all problems of the table and its files
   */
  open(settings: TlsSettings, key: string): TlsProfile {
    const profile = new TlsProfile(this, settings, key);
    for (const note of profile.notes) this.#log.notice("tls_option_without_effect", note);
    this.#profiles.push(profile);
    return profile;
  }

  /** Forgets a listener that is gone. */
  close(profile: TlsProfile): void {
    const at = this.#profiles.indexOf(profile);
    if (at >= 0) this.#profiles.splice(at, 1);
  }

  /**
   * Makes <state directory>/tls/self-signed.crt and .key for `domains`, unless the one that is there names them all
   * and lasts a month more. Only the first hundred domains are named.
   * @throws Error when the files cannot be written
   */
  ensureSelfSigned(domains: readonly [string, ...string[]]): void {
    const [first, ...rest] = domains;
    const named: [string, ...string[]] = [first, ...rest.slice(0, MOST_DOMAINS - 1)];
    const known = this.#selfSigned;
    if (known !== undefined && known.certificate.notAfter.getTime() - this.#now() > RENEW_MS) {
      const covered = new Set(known.domains);
      if (named.every((domain) => covered.has(asciiDomain(domain)))) return;
    }
    const { certificate, key } = selfSigned(named, this.#now());
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    this.#writeFile(`${SELF_SIGNED}.key`, key, 0o600);
    this.#writeFile(`${SELF_SIGNED}.crt`, certificate, 0o644);
    this.#log.notice("tls_self_signed_certificate_made", {
      file: join(this.#dir, `${SELF_SIGNED}.crt`),
      domain: first,
    });
    this.reload();
  }

  /**
   * Reads again what has changed on disk. New connections get the new certificates; a file that cannot be used leaves
   * the old one in place and is logged.
   */
  reload(): Reloaded {
    const done: Reloading = { changed: [], failed: [] };
    const pairs = new Map<string, Pair>();
    for (const source of this.#folder()) {
      const old = this.#pairs.get(source.certfile);
      const pair = this.#refresh(source, old, this.#profiles, done);
      if (pair !== undefined) pairs.set(source.certfile, pair);
    }
    for (const file of this.#pairs.keys()) if (!pairs.has(file)) done.changed.push(file);
    this.#pairs = pairs;
    this.#index();
    for (const profile of this.#profiles) {
      try {
        if (profile.refreshOptions()) done.changed.push(profile.key);
      } catch (error) {
        this.#fail(profile.key, error, done);
      }
      profile.refreshOwn((source, old) => this.#refresh(source, old, [profile], done));
    }
    for (const file of done.changed) this.#log.info("tls_certificate_loaded", { file });
    return done;
  }

  /**
   * Looks for changed files from time to time.
   * @param every runs a function each so many milliseconds and returns how to stop that
   * @returns stops looking
   */
  watch(every: (ms: number, run: () => void) => () => void, ms = 60_000): () => void {
    return every(ms, () => {
      this.reload();
    });
  }

  /** The pair of the folder for a domain: by name, else by wildcard. */
  lookup(domain: string): Pair | undefined {
    const ascii = asciiDomain(domain);
    return this.#byDomain.get(ascii) ?? this.#byDomain.get(wildcardOf(ascii));
  }

  get all(): Iterable<Pair> {
    return this.#pairs.values();
  }

  /** The pair for those whose domain no certificate names. */
  get fallback(): Pair | undefined {
    return this.#selfSigned ?? this.#pairs.values().next().value;
  }

  isSelfMade(pair: Pair): boolean {
    return pair === this.#selfSigned;
  }

  #folder(): PairSource[] {
    let names: string[];
    try {
      names = readdirSync(this.#dir).sort();
    } catch {
      return [];
    }
    const there = new Set(names);
    const sources: PairSource[] = [];
    for (const name of names) {
      const base = /^(.+)\.(?:crt|pem)$/.exec(name)?.[1];
      if (base === undefined || !there.has(`${base}.key`)) continue;
      sources.push({ certfile: join(this.#dir, name), keyfile: join(this.#dir, `${base}.key`) });
    }
    return sources;
  }

  /** The pair as it is on disk now if it works for all who use it, the old one if not. */
  #refresh(source: PairSource, old: Pair | undefined, users: readonly TlsProfile[], done: Reloading): Pair | undefined {
    const stamp = pairStamp(source);
    if (old?.stamp === stamp) return old;
    if (this.#failed.get(source.certfile) === stamp) {
      done.failed.push(source.certfile);
      return old;
    }
    try {
      const pair = loadPair(source);
      for (const profile of users) profile.prepare(pair);
      this.#failed.delete(source.certfile);
      done.changed.push(source.certfile);
      return pair;
    } catch (error) {
      this.#failed.set(source.certfile, stamp);
      this.#fail(source.certfile, error, done);
      return old;
    }
  }

  #fail(file: string, error: unknown, done: Reloading): void {
    done.failed.push(file);
    const reason = error instanceof Error ? error.message : String(error);
    this.#log.error("tls_certificate_not_loaded", { file, reason });
  }

  #index(): void {
    const now = this.#now();
    const isSelf = (pair: Pair) => pair.source.certfile === join(this.#dir, `${SELF_SIGNED}.crt`);
    const rank = (pair: Pair) => {
      const { notBefore, notAfter } = pair.certificate;
      const valid = notBefore.getTime() <= now && now < notAfter.getTime();
      return (isSelf(pair) ? 0 : 1e15) + (valid ? 1e16 : 0) + notAfter.getTime();
    };
    // The better one comes later and takes the name: bought before self-made, valid before not, then the longer one.
    const sorted = [...this.#pairs.values()].sort((a, b) => rank(a) - rank(b));
    this.#byDomain = new Map(sorted.flatMap((pair) => pair.domains.map((domain) => [domain, pair] as const)));
    this.#selfSigned = sorted.find(isSelf);
  }

  #writeFile(name: string, text: string, mode: number): void {
    const file = join(this.#dir, name);
    writeFileSync(`${file}.new`, text, { mode });
    chmodSync(`${file}.new`, mode);
    renameSync(`${file}.new`, file);
  }
}
