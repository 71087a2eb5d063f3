// What stories about XEP-0388 need: doors with TLS, and a client's side of <authenticate/>.
import type { Client, Target } from "./client.ts";
import type { Door } from "./client-wire.ts";
import { childOf, show, textOf, type XElement } from "./match.ts";
import type { Changes, StoryServer } from "./story-server.ts";

export const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
export const NS_SASL2 = "urn:xmpp:sasl:2";
export const NS_BIND2 = "urn:xmpp:bind:0";
export const NS_SM = "urn:xmpp:sm:3";

const WEBSOCKET = { mongoose_websocket_handler: [{ host: "_", path: "/ws-xmpp", max_stanza_size: 65_536 }] };

/** The usual doors, and a WebSocket over TLS. */
export const SECURE_DOORS: Changes = {
  listen: {
    http: [
      { port: 0, ip_address: "127.0.0.1", handlers: WEBSOCKET },
      { port: 0, ip_address: "127.0.0.1", tls: { verify_mode: "none" }, handlers: WEBSOCKET },
    ],
  },
};

/** The door over TLS. */
export function secure(server: StoryServer, door: Door): Target {
  return server.target(door, door === "tcp" ? 2 : 1);
}

const base64 = (data: string | Uint8Array): string =>
  (typeof data === "string" ? Buffer.from(data) : Buffer.from(data)).toString("base64");

/** <authenticate/>; `initial` undefined for no initial response. */
export function authenticate(mechanism: string, initial: string | Uint8Array | undefined, inline = ""): string {
  const response = initial === undefined ? "" : `<initial-response>${base64(initial)}</initial-response>`;
  return `<authenticate xmlns='${NS_SASL2}' mechanism='${mechanism}'>${response}${inline}</authenticate>`;
}

export function response(data: string | Uint8Array): string {
  return `<response xmlns='${NS_SASL2}'>${base64(data)}</response>`;
}

/** The data of SASL PLAIN. */
export const plainData = ({ local, account }: Client, password = account.password): string => `\0${local}\0${password}`;

/** A connection over TLS whose features have come. */
export async function arrives(c: Client, server: StoryServer, door: Door): Promise<Client> {
  await c.connects(secure(server, door));
  await c.opens();
  return c;
}

/** <authentication/> of the features. */
export const offer = (c: Client): XElement | undefined => childOf(c.features!, "authentication", NS_SASL2);

/** Takes <success/>, notes the JID it tells, and takes the features behind it unless the stream was resumed. */
export async function succeeds(c: Client): Promise<XElement> {
  const success = await c.next();
  if (success.name !== "success" || success.ns !== NS_SASL2) throw new Error(`No success: ${show(success)}`);
  c.tally.assertions++;
  const jid = textOf(childOf(success, "authorization-identifier", NS_SASL2)!);
  if (jid.includes("/")) c.full = jid;
  if (childOf(success, "resumed", NS_SM) === undefined) await c.receives`<stream:features/>`;
  return success;
}

/** Authenticates with the password, asking for `inline` too; returns <success/>. */
export function authenticates(c: Client, inline = ""): Promise<XElement> {
  c.sendsRaw(authenticate("PLAIN", plainData(c), inline));
  return succeeds(c);
}

/** Inline of <bind/>, with `tag` and what else it asks for. */
export const bind = (asked = "", tag?: string): string =>
  `<bind xmlns='${NS_BIND2}'>${tag === undefined ? "" : `<tag>${tag}</tag>`}${asked}</bind>`;

export const userAgent = (id?: string): string =>
  `<user-agent${id === undefined ? "" : ` id='${id}'`}><software>AwesomeXMPP</software><device>Kiva's Phone</device></user-agent>`;

/** A user agent's id (UUID, version 4). */
export const UUID = "d4565fa7-4d72-4749-b3d3-740edbf87770";
