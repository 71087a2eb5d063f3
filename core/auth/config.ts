// The parsed `auth` section, as its schema gives it.
import type { z } from "zod";
import type { auth } from "../config/auth.ts";

/** A parsed `auth` section (or the one of a `host_config`), defaults applied. Keys are those of the file. */
export type AuthConfig = z.output<ReturnType<typeof auth>>;

/** Ways of turning a certificate into a user. */
export type CertificateRule = AuthConfig["sasl_external"][number];

/** A setting of the `auth` section that cannot be used here. The message is one line for the sysadmin. */
export class AuthConfigError extends Error {
  override readonly name = "AuthConfigError";
}
