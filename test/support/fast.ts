// What stories about XEP-0484 need: the client's side of the HT mechanisms, and a look into the table of tokens.
import { createHmac } from "node:crypto";
import { expect } from "vitest";
import { makeBare } from "../../core/jid.ts";
import { FastTokenStore, type Token, type Tokens } from "../../modules/mod_fast_auth_token/store.ts";
import type { Client } from "./client.ts";
import type { Door } from "./client-wire.ts";
import { childOf, textOf, type XElement } from "./match.ts";
import { arrives, authenticate, authenticates, bind, NS_SASL, NS_SASL2, succeeds, UUID, userAgent } from "./sasl2.ts";
import type { Scene } from "./story.ts";

export const NS_FAST = "urn:xmpp:fast:0";

const HASHES: Record<string, [hash: string, none: number, expr: number]> = {
  "SHA-256": ["sha256", 1, 13],
  "SHA-384": ["sha384", 7, 14],
  "SHA-512": ["sha512", 8, 15],
  "SHA-3-256": ["sha3-256", 10, 16],
  "SHA-3-384": ["sha3-384", 11, 17],
  "SHA-3-512": ["sha3-512", 12, 18],
};
const NAMES = Object.keys(HASHES);
export const NONE = NAMES.map((name) => `HT-${name}-NONE`);
export const EXPR = NAMES.map((name) => `HT-${name}-EXPR`);

/** The WebSocket's channel gives no binding data. */
export const everyKind = (door: Door): string[] => (door === "tcp" ? [...NONE, ...EXPR] : NONE);
/** One of each sort. */
export const kinds = (door: Door): string[] => everyKind(door).filter((name) => name.startsWith("HT-SHA-256-"));
export const numberOf = (mechanism: string): number => {
  const [, name, binding] = /^HT-(.+)-(NONE|EXPR)$/.exec(mechanism)!;
  return HASHES[name][binding === "NONE" ? 1 : 2];
};

export const failure = (condition: string, more = ""): string =>
  `<failure xmlns="${NS_SASL2}"><${condition} xmlns="${NS_SASL}"/>${more}</failure>`;
export const askFor = (mechanism: string): string => `<request-token xmlns='${NS_FAST}' mechanism='${mechanism}'/>`;
export const fast = (attrs = ""): string => `<fast xmlns='${NS_FAST}' ${attrs}/>`;

/** What the draft has the client send, and the server answer. */
export function proof(c: Client, mechanism: string, token: string, who: "Initiator" | "Responder"): Buffer {
  const [hash] = HASHES[/^HT-(.+)-(?:NONE|EXPR)$/.exec(mechanism)![1]];
  const binding = mechanism.endsWith("-EXPR") ? c.wire.exporter!() : Buffer.alloc(0);
  return createHmac(hash, token).update(who).update(binding).digest();
}

export const tokenIn = (success: XElement): string | undefined => childOf(success, "token", NS_FAST)?.attrs["token"];

/** A client of a new account that has logged in with its password and asked for a token. */
export async function asks(scene: Scene, mechanism: string): Promise<{ c: Client; token: string }> {
  const c = await arrives(await scene.actor("romeo"), scene.server, scene.door);
  const token = tokenIn(await authenticates(c, bind() + askFor(mechanism) + userAgent(UUID)));
  if (token === undefined) throw new Error("no token came");
  await c.leaves();
  return { c, token };
}

export interface Return {
  token: string;
  mechanism: string;
  inline?: string;
  agent?: string;
}

/** A new connection of the account sends its token. */
export async function proves(
  of: Client,
  scene: Scene,
  { token, mechanism, inline = "", agent = userAgent(UUID) }: Return,
) {
  const c = await arrives(scene.another(of), scene.server, scene.door);
  const initial = Buffer.concat([Buffer.from(`${c.local}\0`), proof(c, mechanism, token, "Initiator")]);
  c.sendsRaw(authenticate(mechanism, initial, bind() + agent + inline));
  return c;
}

/** It gets in; the server shows that it has the token too. */
export async function enters(of: Client, scene: Scene, options: Return): Promise<{ success: XElement; c: Client }> {
  const c = await proves(of, scene, options);
  const success = await succeeds(c);
  const data = Buffer.from(textOf(childOf(success, "additional-data", NS_SASL2)!), "base64");
  expect(data).toEqual(proof(c, options.mechanism, options.token, "Responder"));
  expect(c.full).toContain(`${c.bare}/`);
  await c.leaves();
  return { success, c };
}

export async function isRefused(
  of: Client,
  scene: Scene,
  options: Return,
  condition = "not-authorized",
): Promise<void> {
  const c = await proves(of, scene, options);
  await c.hears(failure(condition));
  c.wire.cut();
}

const store = ({ server }: Scene): FastTokenStore => new FastTokenStore(server.node.db("rdbms"));
const owner = (c: Client) => ({ jid: makeBare(c.local, c.domain), agent: UUID });
export const kept = async (c: Client, scene: Scene): Promise<Tokens> => (await store(scene).read(owner(c)))!;

/** Minutes from now, in Unix seconds. */
export const within = (minutes: number): number => Math.floor(Date.now() / 1000) + minutes * 60;

/** An account that has these tokens in the table. */
export async function has(
  scene: Scene,
  mechanism: string,
  tokens: { fresh?: number; current?: number },
): Promise<Client> {
  const c = await scene.actor("romeo");
  const token = (text: string, minutes: number): Token => ({
    text,
    expires: within(minutes),
    count: 0,
    mechanism: numberOf(mechanism),
  });
  const { current, fresh } = tokens;
  if (current !== undefined) {
    await store(scene).give(owner(c), token("currentsecret", current));
    await store(scene).adopt(owner(c), token("currentsecret", current), 0);
  }
  if (fresh !== undefined) await store(scene).give(owner(c), token("verysecret", fresh));
  return c;
}
