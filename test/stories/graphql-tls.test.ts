// GraphQL over HTTPS: who may connect is decided by verify_mode before anybody asks for credentials.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect } from "node:tls";
import { afterAll, describe, expect } from "vitest";
import { covering, stage } from "../support/story.ts";
import { ADMIN } from "../support/story-server.ts";

const covers = covering("graphql_SUITE", { door: "tcp" });

const folder = mkdtempSync(join(tmpdir(), "graphql-tls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => join(folder, name);
const openssl = (...words: string[]): void => void execFileSync("openssl", words, { cwd: folder, stdio: "ignore" });

/** A key and a certificate: signed by itself, or by an authority made before. */
function certificate(name: string, authority?: string): ConnectionOptions {
  const made = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`];
  const subject = ["-subj", `/CN=${name}`, "-days", "3"];
  if (authority === undefined) openssl(...made, "-x509", "-out", `${name}.pem`, ...subject);
  else
    openssl(
      ...made,
      "-x509",
      "-CA",
      `${authority}.pem`,
      "-CAkey",
      `${authority}.key`,
      "-out",
      `${name}.pem`,
      ...subject,
    );
  return { cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}.key`)) };
}
certificate("authority");
certificate("stranger");
const SIGNED = certificate("signed", "authority");
const UNKNOWN = certificate("unknown", "stranger");
const SELF_SIGNED = certificate("selfsigned");

const BODY = JSON.stringify({ query: "{ checkAuth { authStatus } }" });
const UNAUTHORIZED = { data: { checkAuth: { authStatus: "UNAUTHORIZED" } } };

/** What a request over TLS is answered with; the error when the connection is refused. */
function asks(port: number, options: ConnectionOptions): Promise<unknown> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options }, () => {
      const head = `POST /api/graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json`;
      socket.write(`${head}\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n${BODY}`);
    });
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("error", (error) => resolve(error.message));
    socket.on("close", () => resolve(answer === "" ? "closed" : JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))));
  });
}

const listener = (handler: Record<string, string>, tls: Record<string, string | boolean | string[]>) => ({
  port: 0,
  ip_address: "127.0.0.1",
  tls: { cacertfile: file("authority.pem"), ...tls },
  handlers: { mongoose_graphql_handler: [{ host: "_", path: "/api/graphql", ...handler }] },
});

describe("over TLS", () => {
  const { story } = stage({
    listen: {
      http: [
        listener({ schema_endpoint: "admin", ...ADMIN }, { verify_mode: "peer" }),
        listener({ schema_endpoint: "domain_admin" }, { verify_mode: "none" }),
        listener({ schema_endpoint: "user" }, { verify_mode: "selfsigned_peer" }),
        listener({ schema_endpoint: "user" }, { verify_mode: "peer", disconnect_on_failure: false }),
        listener({ schema_endpoint: "user" }, { verify_mode: "none", versions: ["tlsv1.2"] }),
      ],
    },
  });

  story(
    "only a certificate that the authority signed opens a door with verify_mode peer",
    {},
    async ({ graphql, server }) => {
      const ports = [0, 1, 2, 3].map((which) => server.target("websocket", which).port);
      for (const port of [ports[0], ports[2]]) {
        expect(await asks(port, SIGNED)).toEqual(UNAUTHORIZED);
        expect(await asks(port, {})).toMatch(/certificate.required/i);
        expect(await asks(port, UNKNOWN)).toBe("closed");
        expect(await asks(port, SELF_SIGNED)).toBe("closed");
      }
      for (const who of [{}, SIGNED, UNKNOWN, SELF_SIGNED]) {
        expect(await asks(ports[1], who)).toEqual(UNAUTHORIZED);
        expect(await asks(ports[3], who)).toEqual(UNAUTHORIZED);
      }
      (await graphql.ctl.calls("server.status")).includes({ statusCode: "RUNNING" });
      // A Bun server cannot tell a certificate signed by itself from a bad one.
      expect(server.logged.filter(({ what }) => what === "self_signed_clients_refused")).toHaveLength(1);
    },
    covers(
      "tls_connect_admin_no_certificate",
      "tls_connect_admin_unknown_certificate",
      "tls_connect_admin_selfsigned_certificate",
      "tls_connect_admin_signed_certificate",
      "tls_connect_domain_admin_no_certificate",
      "tls_connect_user_no_certificate",
      "tls_connect_user_unknown_certificate",
      "tls_connect_user_signed_certificate",
    ),
  );

  story(
    "only the versions of the configuration are spoken",
    {},
    async ({ graphql, server }) => {
      const { port } = server.target("websocket", 4);
      expect(await asks(port, { maxVersion: "TLSv1.2" })).toEqual(UNAUTHORIZED);
      expect(await asks(port, { minVersion: "TLSv1.3" })).toMatch(/version|closed/i);
      (await graphql.ctl.calls("server.status")).includes({ statusCode: "RUNNING" });
    },
    { door: "tcp" },
  );
});
