// TLS options, composed as MongooseIM composes them: common + server or client + xmpp.
import { z } from "zod";
import { enumOf, filename, inert, nonEmpty, note, rule, secret } from "./types.ts";

const common = () => ({
  verify_mode: enumOf("peer", "selfsigned_peer", "none")
    .default("peer")
    .describe("How the peer's certificate is checked"),
  certfile: filename().optional().describe("Certificate chain, PEM"),
  cacertfile: filename().optional().describe("Certificates of trusted authorities, PEM"),
  ciphers: z.string().optional().describe("Cipher suites, OpenSSL notation"),
  keyfile: filename().optional().describe("Private key, PEM"),
  password: secret(z.string()).optional().describe("Passphrase of the private key"),
  versions: z.array(z.string()).optional().describe("Protocol versions allowed, such as tlsv1.3"),
  disconnect_on_failure: z.boolean().default(true).describe("Refuse the connection when the certificate check fails"),
  crl_files: z.array(filename()).default([]).describe("Certificate revocation lists, PEM"),
});

const server = () => ({
  dhfile: inert(filename(), "Bun's TLS library has no finite-field Diffie-Hellman; ECDHE is used")
    .optional()
    .describe("Diffie-Hellman parameters"),
  early_data: inert(z.boolean(), "Bun accepts no TLS 1.3 early data").optional().describe("Accept TLS 1.3 early data"),
  session_tickets: inert(enumOf("stateless"), "Bun resumes sessions with stateless tickets without being asked")
    .optional()
    .describe("TLS 1.3 session tickets"),
});

const keepSecrets = () =>
  inert(z.boolean(), "channel binding takes its key material from Bun, without kept secrets")
    .default(false)
    .describe("Keep the secrets of the handshake");

const modes = () => enumOf("tls", "starttls", "starttls_required");

const serverName = () => ({
  server_name_indication: z
    .strictObject({
      enabled: z.boolean().default(true).describe("Send the server's name in the handshake"),
      host: nonEmpty().optional().describe("The name to send, instead of the host connected to"),
      protocol: note(enumOf("default", "https"), {
        inert: "certificates with a wildcard always match",
        heeded: ["https"],
      })
        .default("default")
        .describe("https: wildcard certificates match"),
    })
    .prefault({})
    .describe("Which name is asked for and checked"),
});

/** MongooseIM refuses a certificate without its own key file: both in one file is not supported any more. */
function paired<T extends z.ZodType<{ certfile?: string; keyfile?: string }>>(table: T): T {
  return rule(table, (tls) => !tls.certfile || !!tls.keyfile, "it needs tls.keyfile beside it", "certfile");
}

/** `listen.c2s[].tls`, `listen.s2s[].tls` */
export const xmppServerTls = () =>
  paired(
    z.strictObject({
      ...common(),
      ...server(),
      mode: modes().default("starttls").describe("TLS at once, offered by STARTTLS, or required"),
      keep_secrets: keepSecrets(),
    }),
  );

/** `listen.component[].tls`: TLS at once unless said otherwise. */
export const componentTls = () =>
  paired(
    z.strictObject({
      ...common(),
      ...server(),
      mode: modes().default("tls").describe("TLS at once, offered by STARTTLS, or required"),
      keep_secrets: keepSecrets(),
    }),
  );

/** `listen.http[].tls` */
export const serverTls = () => paired(z.strictObject({ ...common(), ...server() }));

/** `s2s.outgoing.tls` */
export const xmppClientTls = () =>
  paired(
    z.strictObject({
      ...common(),
      ...serverName(),
      mode: modes().default("starttls").describe("TLS at once, STARTTLS if offered, or required"),
      keep_secrets: keepSecrets(),
    }),
  );

/** `outgoing_pools.*.*.connection.tls` */
export const clientTls = () => paired(z.strictObject({ ...common(), ...serverName() }));

/** `outgoing_pools.rdbms.*.connection.tls` */
export const sqlTls = () =>
  paired(
    z.strictObject({
      ...common(),
      ...serverName(),
      required: z.boolean().optional().describe("Refuse a database that offers no TLS"),
    }),
  );

/** `modules.mod_global_distrib.connections.tls` */
export const clientAndServerTls = () => paired(z.strictObject({ ...common(), ...server(), ...serverName() }));
