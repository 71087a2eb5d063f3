// The TLS of one listener: its settings, its own certificate, and the context that a domain gets.
import { constants } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Certificate } from "./certificate.ts";
import { endpointHash } from "./certificate.ts";
import type { Pair, PairSource } from "./pair.ts";
import { asciiDomain, loadPair, wildcardOf } from "./pair.ts";
import type { ContextOptions, TlsSettings, Verification } from "./settings.ts";
import { fileStamp, readContextOptions, TlsSettingsError } from "./settings.ts";

/** The pairs that are there for all listeners. */
export interface SharedPairs {
  /** The pair for a domain, by name or wildcard. */
  lookup(domain: string): Pair | undefined;
  /** The pair for those whose domain no certificate names. */
  readonly fallback: Pair | undefined;
  /** All pairs that name domains. */
  readonly all: Iterable<Pair>;
  /** Whether the server made it: any other comes before it. */
  isSelfMade(pair: Pair): boolean;
}

/** What a handshake needs: certificate, key, versions, ciphers and how clients are verified. */
export class TlsContext {
  /** The runtime's handle, for `upgradeTLS`. */
  readonly native: object;
  readonly certificate: Certificate;
  readonly verification: Verification;
  #endpoint: Uint8Array | undefined;

  constructor(pair: Pair, { options, verification }: ContextOptions) {
    const { source, chainPem, keyPem } = pair;
    const passphrase = source.password === undefined ? {} : { passphrase: source.password };
    const made = createSecureContext({ ...options, cert: chainPem, key: keyPem, ...passphrase });
    // Bun's upgradeTLS takes the inner object only.
    this.native = made.context as object;
    this.certificate = pair.certificate;
    this.verification = verification;
  }

  /** Channel-binding data tls-server-end-point (RFC 5929); undefined for a certificate that has none. */
  endpoint(): Uint8Array | undefined {
    this.#endpoint ??= endpointHash(this.certificate.der);
    return this.#endpoint;
  }
}

/** The contexts of one listener, by domain. */
export class TlsProfile {
  /** Where the settings are: `listen.c2s[1].tls`. */
  readonly key: string;
  readonly #store: SharedPairs;
  readonly #settings: TlsSettings;
  #own: Pair | undefined;
  #options: ContextOptions;
  #optionStamp: string;
  #contexts = new WeakMap<Pair, TlsContext>();

  /** @throws TlsSettingsError */
  constructor(store: SharedPairs, settings: TlsSettings, key: string) {
    this.#store = store;
    this.#settings = settings;
    this.key = key;
    const problems: string[] = [];
    let options: ContextOptions | undefined;
    try {
      options = readContextOptions(settings, key);
    } catch (error) {
      if (!(error instanceof TlsSettingsError)) throw error;
      problems.push(...error.problems);
    }
    try {
      const source = this.#source();
      if (source !== undefined) this.#own = loadPair(source);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
    if (options === undefined || problems.length > 0) throw new TlsSettingsError(problems);
    this.#options = options;
    this.#optionStamp = stampOf(options);
  }

  get verification(): Verification {
    return this.#options.verification;
  }

  get notes(): ContextOptions["notes"] {
    return this.#options.notes;
  }

  /**
   * The context for a domain (SNI of the client, or `to` of the stream), else the default of the listener; undefined
   * when there is no certificate at all.
   */
  find(domain: string | undefined): TlsContext | undefined {
    const pair = this.#choose(domain);
    return pair === undefined ? undefined : this.prepare(pair);
  }

  /**
   * Certificates as PEM texts, for a server that chooses by name itself (Bun.serve): the default first, then one for
   * each domain that has its own; each with the settings of this listener. A client certificate that is signed by
   * itself is never valid there: that server lets nobody else judge.
   */
  pems(): PemPair[] {
    const first = this.#own ?? this.#store.fallback;
    if (first === undefined) return [];
    const shared = serverOptions(this.#options);
    const found: PemPair[] = [{ ...pemOf(first), ...shared }];
    for (const pair of this.#store.all) {
      if (pair === first || (this.#own !== undefined && this.#store.isSelfMade(pair))) continue;
      for (const domain of pair.domains) found.push({ serverName: domain, ...pemOf(pair), ...shared });
    }
    return found;
  }

  /** The context of a pair under the settings of this listener. */
  prepare(pair: Pair): TlsContext {
    let context = this.#contexts.get(pair);
    if (context === undefined) {
      context = new TlsContext(pair, this.#options);
      this.#contexts.set(pair, context);
    }
    return context;
  }

  /**
   * Whole days until the listener's default certificate ends, as the metric tls_cert_remaining_days has it: -32767
   * before it begins, -32768 when there is none.
   */
  remainingDays(now: number): number {
    const pair = this.#own ?? this.#store.fallback;
    if (pair === undefined) return -32768;
    const { notBefore, notAfter } = pair.certificate;
    return now < notBefore.getTime() ? -32767 : Math.trunc((notAfter.getTime() - now) / 86_400_000);
  }

  /**
   * Reads cacertfile and crl_files again if they changed, and says whether they did; the store calls it.
   * @throws TlsSettingsError once for each change that cannot be used; what was there stays in use
   */
  refreshOptions(): boolean {
    const stamp = stampOf(this.#options);
    if (stamp === this.#optionStamp) return false;
    this.#optionStamp = stamp;
    this.#options = readContextOptions(this.#settings, this.key);
    this.#contexts = new WeakMap();
    return true;
  }

  /** Takes the listener's own pair anew from `reload`, which gets the old one; the store calls it. */
  refreshOwn(reload: (source: PairSource, old: Pair | undefined) => Pair | undefined): void {
    const source = this.#source();
    if (source !== undefined) this.#own = reload(source, this.#own);
  }

  #choose(domain: string | undefined): Pair | undefined {
    const own = this.#own;
    if (domain !== undefined) {
      if (own !== undefined && covers(own, asciiDomain(domain))) return own;
      const found = this.#store.lookup(domain);
      if (found !== undefined && !(own !== undefined && this.#store.isSelfMade(found))) return found;
    }
    return own ?? this.#store.fallback;
  }

  #source(): PairSource | undefined {
    const { certfile, keyfile, password } = this.#settings;
    if (certfile === undefined && keyfile === undefined) return undefined;
    if (certfile === undefined || keyfile === undefined) {
      const [given, missing] = certfile === undefined ? ["keyfile", "certfile"] : ["certfile", "keyfile"];
      throw new Error(`Missing ${this.key}.${missing}: ${given} needs it`);
    }
    return { certfile, keyfile, key: this.key, ...(password === undefined ? {} : { password }) };
  }
}

/** A certificate chain and its key; `serverName` is the domain it is for, absent for the default. */
export interface PemPair {
  readonly serverName?: string;
  readonly cert: string;
  readonly key: string;
  readonly passphrase?: string;
  readonly ca?: string[];
  readonly crl?: string[];
  readonly ciphers?: string;
  /** SSL_OP_NO_* bits of the versions that are not spoken. */
  readonly secureOptions?: number;
  readonly requestCert?: boolean;
  readonly rejectUnauthorized?: boolean;
}

const VERSIONS = [
  ["TLSv1", constants.SSL_OP_NO_TLSv1],
  ["TLSv1.1", constants.SSL_OP_NO_TLSv1_1],
  ["TLSv1.2", constants.SSL_OP_NO_TLSv1_2],
  ["TLSv1.3", constants.SSL_OP_NO_TLSv1_3],
] as const;

/** Everything but the certificate, as Bun.serve takes it. */
function serverOptions({ options, verification }: ContextOptions): Omit<PemPair, "cert" | "key"> {
  const { ca, crl, ciphers, minVersion, maxVersion } = options;
  const places = VERSIONS.map(([version]) => version);
  const from = minVersion === undefined ? 0 : places.indexOf(minVersion);
  const to = maxVersion === undefined ? places.length - 1 : places.indexOf(maxVersion);
  const unspoken = VERSIONS.filter((_, i) => i < from || i > to).reduce((bits, [, bit]) => bits | bit, 0);
  const asked = verification.mode !== "none";
  return {
    ...(asked && ca !== undefined && { ca: texts(ca) }),
    ...(asked && crl !== undefined && { crl: texts(crl) }),
    ...(ciphers !== undefined && { ciphers }),
    ...(unspoken !== 0 && { secureOptions: unspoken }),
    requestCert: asked,
    rejectUnauthorized: asked && verification.disconnectOnFailure,
  };
}

const texts = (given: string | Buffer | (string | Buffer)[]): string[] => [given].flat().map(String);

function pemOf({ chainPem, keyPem, source }: Pair): PemPair {
  return { cert: chainPem, key: keyPem, ...(source.password === undefined ? {} : { passphrase: source.password }) };
}

function covers(pair: Pair, domain: string): boolean {
  return pair.domains.includes(domain) || pair.domains.includes(wildcardOf(domain));
}

function stampOf(options: ContextOptions): string {
  return options.files.map(fileStamp).join(" ");
}
