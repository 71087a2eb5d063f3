// A SCRAM client written from RFC 5802 alone, over node:crypto: it shares no code with the server it talks to.
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import type { SaslExchange, SaslStep } from "../../../../core/sasl/index.ts";

export interface ScramClientOptions {
  hash: "sha1" | "sha224" | "sha256" | "sha384" | "sha512";
  username: string;
  password: string;
  nonce: string;
  /** GS2 header; "n,," when left out. */
  gs2?: string;
  /** Channel binding data. */
  binding?: Uint8Array;
  /** What comes after the nonce in either message, for instance ",x=y". */
  extensions?: string;
  /** Sent, and signed, in place of the nonce of the server's challenge. */
  falseNonce?: string;
}

export class ScramClient {
  #authMessage = "";
  #salted = Buffer.alloc(0);
  constructor(readonly options: ScramClientOptions) {}

  get #firstBare(): string {
    const { username, nonce, extensions = "" } = this.options;
    const name = username.replaceAll("=", "=3D").replaceAll(",", "=2C");
    return `n=${name},r=${nonce}${extensions}`;
  }

  first(): Buffer {
    return Buffer.from((this.options.gs2 ?? "n,,") + this.#firstBare);
  }

  /** Answers the server's challenge. */
  final(challenge: Uint8Array): Buffer {
    const { hash, password, gs2 = "n,,", binding, extensions = "", nonce, falseNonce } = this.options;
    const serverFirst = Buffer.from(challenge).toString();
    const fields = /^r=([^,]+),s=([^,]+),i=(\d+)(?:,|$)/.exec(serverFirst);
    if (!fields?.[1].startsWith(nonce)) throw new Error(`Bad challenge ${serverFirst}`);
    const size = createHash(hash).digest().length;
    this.#salted = pbkdf2Sync(password, Buffer.from(fields[2], "base64"), Number(fields[3]), size, hash);
    const c = Buffer.concat([Buffer.from(gs2), binding ?? Buffer.alloc(0)]).toString("base64");
    const bare = `c=${c},r=${falseNonce ?? fields[1]}${extensions}`;
    this.#authMessage = `${this.#firstBare},${serverFirst},${bare}`;
    const clientKey = this.#mac(this.#salted, "Client Key");
    const signature = this.#mac(createHash(hash).update(clientKey).digest(), this.#authMessage);
    const proof = clientKey.map((byte, i) => byte ^ signature[i]);
    return Buffer.from(`${bare},p=${Buffer.from(proof).toString("base64")}`);
  }

  /** What the server must say at the end to prove that it knows the password too. */
  serverSignature(): string {
    return `v=${this.#mac(this.#mac(this.#salted, "Server Key"), this.#authMessage).toString("base64")}`;
  }

  #mac(key: Uint8Array, text: string): Buffer {
    return createHmac(this.options.hash, key).update(text).digest();
  }
}

/** Runs a log-in to its end. */
export async function login(exchange: SaslExchange | undefined, client: ScramClient): Promise<SaslStep> {
  if (!exchange) throw new Error("The mechanism was not offered");
  const step = await exchange.start(client.first());
  return step.kind === "challenge" ? exchange.next(client.final(step.data)) : step;
}
