// Certificates: the store, and what is read from one.
export type { Certificate, ClientCertificate } from "./certificate.ts";
export { endpointHash, readCertificate, readClientCertificate, readPem } from "./certificate.ts";
export type { PemPair } from "./profile.ts";
export { TlsContext, TlsProfile } from "./profile.ts";
export type { TlsSettings, Verification, VerifyMode } from "./settings.ts";
export { TlsSettingsError } from "./settings.ts";
export type { Reloaded, StoreOptions } from "./store.ts";
export { CertificateStore } from "./store.ts";
