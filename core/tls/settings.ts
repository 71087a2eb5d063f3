// The `tls` table of a listener (listen.c2s[].tls and its like), read from files into what a context is made from.
import { readFileSync, statSync } from "node:fs";
import * as tls from "node:tls";
import { readPem } from "./certificate.ts";

/** How a client's certificate is looked at: see `Verification`. */
export type VerifyMode = "peer" | "selfsigned_peer" | "none";

/**
 * The options of a `tls` table that matter here, under their names in the configuration file. core/config tells the
 * operator of those that change nothing (dhfile, early_data, keep_secrets, session_tickets).
 */
export interface TlsSettings {
  readonly certfile?: string;
  readonly keyfile?: string;
  readonly password?: string;
  readonly cacertfile?: string;
  readonly crl_files?: readonly string[];
  readonly ciphers?: string;
  readonly versions?: readonly string[];
  readonly verify_mode?: VerifyMode;
  readonly disconnect_on_failure?: boolean;
}

/** What happens with client certificates. */
export interface Verification {
  /**
   * `none`: not asked for. `peer`: asked for, and valid if a trusted authority signed it. `selfsigned_peer`: valid
   * also if it is signed by itself.
   */
  readonly mode: VerifyMode;
  /** Whether a connection without a valid certificate ends; if not, it only cannot authenticate with it. */
  readonly disconnectOnFailure: boolean;
}

/** A `tls` table that cannot be used; each problem is a line that names key, value and what is wrong. */
export class TlsSettingsError extends Error {
  override readonly name = "TlsSettingsError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

const VERSIONS: Readonly<Record<string, tls.SecureVersion>> = {
  tlsv1: "TLSv1",
  "tlsv1.1": "TLSv1.1",
  "tlsv1.2": "TLSv1.2",
  "tlsv1.3": "TLSv1.3",
};

/** How the settings of a listener decide, its certificate apart. */
export interface ContextOptions {
  readonly options: tls.SecureContextOptions;
  readonly verification: Verification;
  /** Options that were given and change nothing, each with the reason. */
  readonly notes: readonly { readonly option: string; readonly reason: string }[];
  /** The files that `options` were made from, to see when they change. */
  readonly files: readonly string[];
}

/**
 * Reads everything but the certificate itself.
 * @param key where the table is: `listen.c2s[1].tls`
 * @throws TlsSettingsError with all problems
 */
export function readContextOptions(settings: TlsSettings, key: string): ContextOptions {
  const problems: string[] = [];
  const notes: ContextOptions["notes"][number][] = [];
  const files: string[] = [];
  const read = (option: string, file: string) => {
    files.push(file);
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      problems.push(`Cannot read "${file}" as ${key}.${option}: ${readFailure(error)}`);
      return "";
    }
  };

  const mode = settings.verify_mode ?? "peer";
  const options: tls.SecureContextOptions & { crl?: string[] } = {};
  if (settings.cacertfile !== undefined) options.ca = read("cacertfile", settings.cacertfile);
  else if (mode !== "none") options.ca = systemAuthorities();
  if (settings.crl_files !== undefined && settings.crl_files.length > 0) {
    options.crl = settings.crl_files.map((file) => read("crl_files", file));
  }

  const versions = (settings.versions ?? []).map((name) => {
    const version = Object.hasOwn(VERSIONS, name) ? VERSIONS[name] : undefined;
    if (version === undefined) {
      problems.push(`Cannot use "${name}" in ${key}.versions: use tlsv1, tlsv1.1, tlsv1.2 or tlsv1.3`);
    }
    return version;
  });
  const order = Object.values(VERSIONS).filter((version) => versions.includes(version));
  if (order.length > 0) {
    options.minVersion = order[0];
    options.maxVersion = order.at(-1);
  }
  if (settings.ciphers !== undefined) chooseCiphers(settings.ciphers, key, options, notes);

  if (problems.length === 0) tryOptions(options, settings, key, problems);
  if (problems.length > 0) throw new TlsSettingsError(problems);
  const verification = { mode, disconnectOnFailure: settings.disconnect_on_failure ?? true };
  return { options, verification, notes, files };
}

/** What went wrong with a file, in a few words. */
export function readFailure(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return "no such file";
    case "EACCES":
      return "permission denied";
    case "EISDIR":
      return "it is a directory";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** Changes when the file changes; "" when it is not there. */
export function fileStamp(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs}:${size}:${ino}`;
  } catch {
    return "";
  }
}

/**
 * BoringSSL chooses among the suites of TLS 1.3 by itself: their names select that version, and only the others are
 * a choice.
 */
function chooseCiphers(
  ciphers: string,
  key: string,
  options: tls.SecureContextOptions,
  notes: { option: string; reason: string }[],
): void {
  const names = ciphers.split(/[:, ]+/).filter((name) => name !== "");
  const older = names.filter((name) => !name.startsWith("TLS_"));
  if (older.length > 0) options.ciphers = older.join(":");
  else options.minVersion = "TLSv1.3";
  if (older.length < names.length) {
    notes.push({ option: `${key}.ciphers`, reason: "the suites of TLS 1.3 are all offered and cannot be chosen" });
  }
}

/** Tries each option alone, so that a problem names the one at fault. */
function tryOptions(
  options: tls.SecureContextOptions & { crl?: string[] },
  settings: TlsSettings,
  key: string,
  problems: string[],
): void {
  const attempt = (option: string, value: string | undefined, part: object, right: string) => {
    try {
      if (value !== undefined) tls.createSecureContext(part);
    } catch {
      problems.push(`Cannot use "${value}" as ${key}.${option}: ${right}`);
    }
  };
  if (settings.cacertfile !== undefined && readPem(String(options.ca)).length === 0) {
    problems.push(`Cannot use "${settings.cacertfile}" as ${key}.cacertfile: it holds no PEM certificates`);
  } else {
    attempt("cacertfile", settings.cacertfile, { ca: options.ca }, "one of its certificates cannot be read");
  }
  attempt("ciphers", options.ciphers, { ciphers: options.ciphers }, "none of these cipher suites exists");
  for (const [i, crl] of (options.crl ?? []).entries()) {
    attempt("crl_files", settings.crl_files?.[i], { crl }, "it holds no PEM revocation list");
  }
}

function systemAuthorities(): string[] {
  const system = tls.getCACertificates("system");
  return system.length > 0 ? system : [...tls.rootCertificates];
}
