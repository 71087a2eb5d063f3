// The grammar of SCRAM's client messages (RFC 5802 §7), read strictly.
import { decodeBase64 } from "./text.ts";

export interface ClientFirst {
  /** The GS2 header as sent, with its final comma. */
  gs2: string;
  /** `p`: channel binding is used; `y`: the client can, but believes that the server cannot; `n`: it cannot. */
  flag: "p" | "y" | "n";
  /** Channel binding type, with flag `p`. */
  bindingType: string | undefined;
  authzid: string | undefined;
  username: string;
  nonce: string;
  /** The message without the GS2 header. */
  bare: string;
}

export interface ClientFinal {
  /** The text of `c=`, Base64. */
  binding: string;
  nonce: string;
  proof: Uint8Array;
  /** The message up to the proof. */
  withoutProof: string;
}

/** One attribute: a letter, "=", and a value without NUL and comma. */
const ATTRIBUTE = /^[A-Za-z]=[^\0,]+$/;
const BINDING_TYPE = /^[A-Za-z0-9.-]+$/;
/** `printable` of RFC 5802 §7: ASCII but for the comma. */
const NONCE = /^[\x21-\x2b\x2d-\x7e]+$/;
/** A client that sends more than this wants to cost us, not to be random. */
const MAX_NONCE = 1024;

/** A `saslname` (RFC 5802 §5.1): "=2C" and "=3D" stand for comma and "="; no other "=" may be there. */
function decodeName(text: string): string | undefined {
  if (text === "" || /=(?!2C|3D)/.test(text)) return undefined;
  return text.replaceAll("=2C", ",").replaceAll("=3D", "=");
}

/** Reads client-first-message; a string says what is wrong with it, in RFC 5802's words where it has some. */
export function parseClientFirst(text: string): ClientFirst | string {
  if (text.includes("\0")) return "NUL in message";
  const [binding, identity, ...attributes] = text.split(",");
  if (identity === undefined || attributes.length < 2) return "Attributes are missing";

  const flag = binding[0];
  let bindingType: string | undefined;
  if (flag === "p") {
    bindingType = binding.slice(2);
    if (binding[1] !== "=" || !BINDING_TYPE.test(bindingType)) return "Bad channel binding flag";
  } else if (binding !== "y" && binding !== "n") return "Bad channel binding flag";

  let authzid: string | undefined;
  if (identity !== "") {
    authzid = identity.startsWith("a=") ? decodeName(identity.slice(2)) : undefined;
    if (authzid === undefined) return "Bad authorization identity";
  }

  const [user, nonceAttribute, ...extensions] = attributes;
  if (user.startsWith("m=")) return "extensions-not-supported";
  const username = user.startsWith("n=") ? decodeName(user.slice(2)) : undefined;
  if (username === undefined) return "invalid-username-encoding";
  const nonce = parseNonce(nonceAttribute);
  if (nonce === undefined) return "Bad nonce";
  if (!extensions.every((extension) => ATTRIBUTE.test(extension))) return "Bad extension";

  const gs2 = `${binding},${identity},`;
  return {
    gs2,
    flag: flag as ClientFirst["flag"],
    bindingType,
    authzid,
    username,
    nonce,
    bare: text.slice(gs2.length),
  };
}

/** Reads client-final-message; a string says what is wrong with it. */
export function parseClientFinal(text: string): ClientFinal | string {
  if (text.includes("\0")) return "NUL in message";
  const attributes = text.split(",");
  if (attributes.length < 3) return "Attributes are missing";
  const binding = attributes[0].startsWith("c=") ? attributes[0].slice(2) : "";
  if (binding === "" || !decodeBase64(binding)) return "Bad channel binding";
  const nonce = parseNonce(attributes[1]);
  if (nonce === undefined) return "Bad nonce";
  const extensions = attributes.slice(2, -1);
  if (extensions.some((extension) => extension.startsWith("m="))) return "extensions-not-supported";
  if (!extensions.every((extension) => ATTRIBUTE.test(extension))) return "Bad extension";
  const last = attributes[attributes.length - 1];
  const proof = last.startsWith("p=") && last.length > 3 ? decodeBase64(last.slice(2)) : undefined;
  if (!proof) return "Bad proof";
  return { binding, nonce, proof, withoutProof: text.slice(0, -last.length - 1) };
}

function parseNonce(attribute: string): string | undefined {
  const nonce = attribute.startsWith("r=") ? attribute.slice(2) : "";
  return nonce.length <= MAX_NONCE && NONCE.test(nonce) ? nonce : undefined;
}
