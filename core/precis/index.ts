// PRECIS (RFC 8264) and its profiles (RFC 8265), with the domain names of IDNA2008.
export { checkClass, type DerivedProperty, derivedProperty, type StringClass } from "./classes.ts";
export { PrecisError, type PrecisReason } from "./error.ts";
export { canonicalDomain } from "./idna.ts";
export { opaqueString, usernameCaseMapped } from "./profiles.ts";
