// Method `pki`: whoever holds a certificate that names a user is that user; no passwords, no list of accounts.
import type { AuthBackend } from "./types.ts";

/** SASL EXTERNAL has checked the certificate before it asks. */
export function pkiAccounts(): AuthBackend {
  return {
    name: "pki",
    proofs: ["external"],
    stored: true,
    exists: () => true,
    acceptsCertificate: () => true,
  };
}
