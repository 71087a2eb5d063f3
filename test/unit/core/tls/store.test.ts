import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Log } from "../../../../core/log/log.ts";
import { MemorySink } from "../../../../core/log/sink.ts";
import { selfSigned } from "../../../../core/tls/selfsigned.ts";
import { readContextOptions, TlsSettingsError } from "../../../../core/tls/settings.ts";
import { CertificateStore } from "../../../../core/tls/store.ts";

const DAY = 86_400_000;
let dir: string;
let sink: MemorySink;
let now: number;
let stamp: number;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "store-"));
  mkdirSync(join(dir, "tls"));
  sink = new MemorySink();
  now = Date.now();
  stamp = 1;
});

function store() {
  return new CertificateStore({ stateDir: dir, log: new Log({ sink, level: "notice" }), now: () => now });
}

/** Writes a file with a time of its own: two writes in one tick of the clock must differ too. */
function put(name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  utimesSync(file, stamp, stamp);
  stamp++;
  return file;
}

function putPair(name: string, ...domains: [string, ...string[]]) {
  const made = selfSigned(domains, now);
  return { certfile: put(`${name}.crt`, made.certificate), keyfile: put(`${name}.key`, made.key) };
}

function problemsOf(act: () => unknown): readonly string[] {
  try {
    act();
  } catch (error) {
    if (error instanceof TlsSettingsError) return error.problems.map((line) => line.replaceAll(dir, "D"));
    throw error;
  }
  return [];
}

describe("choice by domain", () => {
  test("a certificate of the folder is found by any of its names, else the listener's own is used", () => {
    putPair("tls/a", "a.example", "b.example");
    const profile = store().open({ ...putPair("own", "own.example"), verify_mode: "none" }, "listen.c2s[1].tls");
    const chosen = ["a.example", "B.Example", "own.example", "c.example", undefined].map(
      (domain) => profile.find(domain)?.certificate.commonName,
    );
    expect(chosen).toEqual(["a.example", "a.example", "own.example", "own.example", "own.example"]);
  });

  test("a wildcard stands for one label", () => {
    putPair("tls/wild", "*.example.org");
    putPair("tls/default", "other");
    const profile = store().open({ verify_mode: "none" }, "k");
    const chosen = ["a.example.org", "a.b.example.org", "example.org"].map(
      (domain) => profile.find(domain)?.certificate.commonName,
    );
    expect(chosen).toEqual(["*.example.org", "other", "other"]);
  });

  test("a domain in its own letters finds the certificate in ASCII", () => {
    putPair("tls/a", "żółw.example");
    putPair("tls/b", "b.example");
    expect(store().open({ verify_mode: "none" }, "k").find("ŻÓŁW.example")?.certificate.dnsNames).toEqual([
      "xn--w-uga1v8h.example",
    ]);
  });

  test("the certificate that lasts longer wins", () => {
    now += 100 * DAY;
    putPair("tls/a", "x.example");
    now -= 100 * DAY;
    putPair("tls/b", "x.example");
    now += 101 * DAY;
    const chosen = store().open({ verify_mode: "none" }, "k").find("x.example")!;
    expect(chosen.certificate.notAfter.getTime()).toBeGreaterThan(now + 3600 * DAY);
  });

  test("the self-made one gives way to the listener's own", () => {
    const certificates = store();
    certificates.ensureSelfSigned(["x.example"]);
    const profile = certificates.open({ ...putPair("own", "own.example"), verify_mode: "none" }, "k");
    expect(profile.find("x.example")?.certificate.commonName).toBe("own.example");
  });

  test("without any certificate there is no context", () => {
    const profile = store().open({ verify_mode: "none" }, "k");
    expect([profile.find("x"), profile.remainingDays(now)]).toEqual([undefined, -32768]);
  });

  test("the context of a domain is made once", () => {
    const profile = store().open({ ...putPair("own", "x"), verify_mode: "none" }, "k");
    expect(profile.find("x")).toBe(profile.find("y"));
  });
});

describe("the self-made certificate", () => {
  test("is written with a key that only the server reads", () => {
    store().ensureSelfSigned(["localhost"]);
    expect(statSync(join(dir, "tls/self-signed.key")).mode & 0o777).toBe(0o600);
  });

  test("is kept over a restart, made again for a new domain and before it ends", () => {
    const fingerprint = (...domains: [string, ...string[]]) => {
      const certificates = store();
      certificates.ensureSelfSigned(domains);
      return certificates.fallback!.certificate.fingerprint;
    };
    const first = fingerprint("a", "b");
    expect(fingerprint("b")).toBe(first);
    const second = fingerprint("a", "c");
    expect(second).not.toBe(first);
    now += 3640 * DAY;
    expect(fingerprint("a", "c")).not.toBe(second);
  });

  test("whose key is damaged is made again", () => {
    store().ensureSelfSigned(["a"]);
    put("tls/self-signed.key", "damaged");
    const certificates = store();
    certificates.ensureSelfSigned(["a"]);
    expect(certificates.open({ verify_mode: "none" }, "k").find("a")).toBeDefined();
  });

  test("says how long it lasts", () => {
    const certificates = store();
    certificates.ensureSelfSigned(["a"]);
    const profile = certificates.open({ verify_mode: "none" }, "k");
    expect([now, now + 3660 * DAY, now - 2 * DAY].map((at) => profile.remainingDays(at))).toEqual([3649, -10, -32767]);
  });
});

describe("reload", () => {
  test("a new certificate of the listener replaces the old one", () => {
    const certificates = store();
    const profile = certificates.open({ ...putPair("own", "old"), verify_mode: "none" }, "k");
    const { certfile } = putPair("own", "new");
    expect(certificates.reload()).toEqual({ changed: [certfile], failed: [] });
    expect(profile.find(undefined)?.certificate.commonName).toBe("new");
  });

  test("files added to the folder and taken from it are seen", () => {
    const certificates = store();
    const profile = certificates.open({ ...putPair("own", "own"), verify_mode: "none" }, "k");
    const { certfile } = putPair("tls/a", "a");
    certificates.reload();
    expect(profile.find("a")?.certificate.commonName).toBe("a");
    rmSync(certfile);
    certificates.reload();
    expect(profile.find("a")?.certificate.commonName).toBe("own");
  });

  test("a bad file keeps the old one and is logged once, and the good one that follows is taken", () => {
    const certificates = store();
    const profile = certificates.open({ ...putPair("own", "old"), verify_mode: "none" }, "k");
    const { certfile } = putPair("own", "new");
    put("own.key", "damaged");
    expect([certificates.reload(), certificates.reload()].map(({ failed }) => failed)).toEqual([
      [certfile],
      [certfile],
    ]);
    expect(profile.find(undefined)?.certificate.commonName).toBe("old");
    expect(sink.lines.filter((line) => line.includes("tls_certificate_not_loaded"))).toHaveLength(1);
    putPair("own", "newer");
    certificates.reload();
    expect(profile.find(undefined)?.certificate.commonName).toBe("newer");
  });

  test("nothing changed is nothing done", () => {
    const certificates = store();
    const profile = certificates.open({ ...putPair("own", "x"), verify_mode: "none" }, "k");
    const before = profile.find("x");
    expect(certificates.reload()).toEqual({ changed: [], failed: [] });
    expect(profile.find("x")).toBe(before);
  });

  test("a changed cacertfile makes new contexts, a bad one keeps the old", () => {
    const certificates = store();
    const cacertfile = put("ca.pem", selfSigned(["ca"], now).certificate);
    const profile = certificates.open({ ...putPair("own", "x"), cacertfile, verify_mode: "peer" }, "k");
    const first = profile.find("x");
    put("ca.pem", "damaged");
    expect(certificates.reload().failed).toEqual(["k"]);
    expect(profile.find("x")).toBe(first);
    put("ca.pem", selfSigned(["ca"], now).certificate);
    expect(certificates.reload().changed).toEqual(["k"]);
    expect(profile.find("x")).not.toBe(first);
  });

  test("watch reloads on the caller's timer until it is stopped", () => {
    const certificates = store();
    const profile = certificates.open({ ...putPair("own", "old"), verify_mode: "none" }, "k");
    let tick = () => {};
    let stopped = false;
    const stop = certificates.watch((ms, run) => {
      expect(ms).toBe(60_000);
      tick = run;
      return () => {
        stopped = true;
      };
    });
    putPair("own", "new");
    tick();
    stop();
    expect([profile.find("x")?.certificate.commonName, stopped]).toEqual(["new", true]);
  });
});

describe("problems are lines that name key, value and what is wrong", () => {
  test("all at once", () => {
    const settings = { certfile: join(dir, "no.pem"), keyfile: "x", cacertfile: join(dir, "ca"), versions: ["ssl2"] };
    expect(problemsOf(() => store().open(settings, "listen.c2s[1].tls"))).toEqual([
      'Cannot read "D/ca" as listen.c2s[1].tls.cacertfile: no such file',
      'Cannot use "ssl2" in listen.c2s[1].tls.versions: use tlsv1, tlsv1.1, tlsv1.2 or tlsv1.3',
      'Cannot read "D/no.pem" as listen.c2s[1].tls.certfile: no such file',
    ]);
  });

  test("a certificate without its key", () => {
    const { certfile } = putPair("a", "a");
    expect(problemsOf(() => store().open({ certfile, verify_mode: "none" }, "k"))).toEqual([
      "Missing k.keyfile: certfile needs it",
    ]);
  });

  test("a key of another certificate", () => {
    const { certfile } = putPair("a", "a");
    const { keyfile } = putPair("b", "b");
    expect(problemsOf(() => store().open({ certfile, keyfile, verify_mode: "none" }, "k"))).toEqual([
      'Cannot use "D/b.key" as k.keyfile: it is not the key of "D/a.crt"',
    ]);
  });

  test("files that hold something else", () => {
    const { certfile, keyfile } = putPair("a", "a");
    const wrong = { certfile: keyfile, keyfile, cacertfile: keyfile };
    expect(problemsOf(() => store().open(wrong, "k"))).toEqual([
      'Cannot use "D/a.key" as k.cacertfile: it holds no PEM certificates',
      'Cannot use "D/a.key" as k.certfile: it holds no PEM certificate',
    ]);
    expect(problemsOf(() => store().open({ certfile, keyfile: certfile, verify_mode: "none" }, "k"))).toEqual([
      'Cannot use "D/a.crt" as k.keyfile: it holds no PEM private key',
    ]);
  });

  test("an encrypted key opens with its password only", () => {
    const { certfile, keyfile } = putPair("a", "a");
    const secret = join(dir, "secret.key");
    execFileSync("openssl", ["pkcs8", "-topk8", "-in", keyfile, "-out", secret, "-passout", "pass:secret"]);
    const open = (password?: string) => store().open({ certfile, keyfile: secret, verify_mode: "none", password }, "k");
    expect(open("secret").find("a")).toBeDefined();
    expect(problemsOf(() => open("wrong"))).toEqual([
      'Cannot use "D/secret.key" as k.keyfile: it is encrypted and the password is wrong',
    ]);
    expect(problemsOf(() => open())).toEqual([
      'Cannot use "D/secret.key" as k.keyfile: it is encrypted and no password is given',
    ]);
  });

  test("cipher suites that do not exist and a list that is none", () => {
    const crl = put("crl", "x");
    const settings = { ciphers: "NOPE", crl_files: [crl], verify_mode: "none" as const };
    expect(problemsOf(() => store().open(settings, "k"))).toEqual([
      'Cannot use "NOPE" as k.ciphers: none of these cipher suites exists',
      'Cannot use "D/crl" as k.crl_files: it holds no PEM revocation list',
    ]);
  });
});

describe("settings", () => {
  test("versions bound what is spoken", () => {
    const { options } = readContextOptions({ versions: ["tlsv1.3", "tlsv1.2"], verify_mode: "none" }, "k");
    expect([options.minVersion, options.maxVersion]).toEqual(["TLSv1.2", "TLSv1.3"]);
  });

  test("only suites of TLS 1.3 mean TLS 1.3", () => {
    const { options, notes } = readContextOptions({ ciphers: "TLS_AES_128_GCM_SHA256", verify_mode: "none" }, "k");
    expect([options.minVersion, options.ciphers, notes.length]).toEqual(["TLSv1.3", undefined, 1]);
  });

  test("client certificates are checked against the system's authorities unless a cacertfile says otherwise", () => {
    expect(readContextOptions({}, "k").options.ca?.length).toBeGreaterThan(10);
    expect(readContextOptions({ verify_mode: "none" }, "k").options.ca).toBeUndefined();
  });

  test("a choice that changes nothing is logged", () => {
    store().open({ ciphers: "TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", verify_mode: "none" }, "k");
    expect(sink.lines[0]).toContain("what=tls_option_without_effect option=k.ciphers");
  });
});

test("the folder of the state directory may be missing", () => {
  rmSync(join(dir, "tls"), { recursive: true });
  const certificates = store();
  certificates.ensureSelfSigned(["localhost"]);
  expect(readFileSync(join(dir, "tls/self-signed.crt"), "utf8")).toContain("BEGIN CERTIFICATE");
});
