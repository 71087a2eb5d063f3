// What is given out or ordered beside the things of a user: invitations, tokens, blocked accounts, broadcasts, the
// message of the day. What was answered has to be there after the kill.

import { createHash, createHmac } from "node:crypto";
import type { Sql } from "../backing.ts";
import { LoadClient } from "../client.ts";
import { ask, isResult } from "./cells.ts";

const NS_COMMANDS = "http://jabber.org/protocol/commands";
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Makes an invitation; its token, undefined when an error came. */
export async function invite(client: LoadClient): Promise<string | undefined> {
  const command = `<command xmlns='${NS_COMMANDS}' node='urn:xmpp:invite#invite' action='execute'/>`;
  const answer = await ask(client, "set", command, "localhost");
  return /preauth=([0-9a-f]+)/.exec(answer)?.[1];
}

export const inviteIsKept = async (sql: Sql, token: string): Promise<boolean> => {
  const hash = createHash("sha256").update(token).digest("hex");
  return (
    (await sql(`SELECT id FROM mongooseim_invites WHERE token_hash = ${quoted(hash)} AND uses_left = 1`)).length === 1
  );
};

/** Makes an account with an invitation; the answer to the registration. */
export async function register(port: number, user: string, token: string): Promise<string> {
  const client = await LoadClient.connect(port, user, { stanza() {}, acknowledged() {} });
  try {
    await ask(client, "set", `<preauth xmlns='urn:xmpp:pars:0' token='${token}'/>`, "localhost");
    const fields = `<username>${user}</username><password>password</password>`;
    return await ask(client, "set", `<query xmlns='jabber:iq:register'>${fields}</query>`);
  } finally {
    client.cut();
  }
}

/** Sets the message of the day. */
export async function setMotd(admin: LoadClient, body: string): Promise<boolean> {
  const command = (more: string): string =>
    `<command xmlns='${NS_COMMANDS}' node='http://jabber.org/protocol/admin#set-motd' ${more}</command>`;
  const form = await ask(admin, "set", command("action='execute'>"), "localhost");
  const session = /sessionid='([^']*)'/.exec(form)?.[1];
  if (session === undefined) return false;
  const type = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/admin</value></field>";
  const x = `<x xmlns='jabber:x:data' type='submit'>${type}<field var='motd'><value>${body}</value></field></x>`;
  return isResult(await ask(admin, "set", command(`sessionid='${session}'>${x}`), "localhost"));
}

const MECHANISM = "HT-SHA-256-NONE";
const AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770";

/**
 * Logs in with SASL2 over TLS: with a token, or with the password and asking for one. Gives <success/> or <failure/>,
 * undefined when the connection goes before.
 */
function authenticate(port: number, mechanism: string, initial: Uint8Array, more: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    let asked = false;
    const request =
      `<authenticate xmlns='urn:xmpp:sasl:2' mechanism='${mechanism}'><initial-response>${Buffer.from(initial).toString("base64")}` +
      `</initial-response><user-agent id='${AGENT}'/>${more}</authenticate>`;
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      tls: { rejectUnauthorized: false },
      socket: {
        open: (socket) => {
          socket.write(
            "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
          );
        },
        data: (socket, bytes) => {
          text += bytes.toString();
          if (!asked && text.includes("</stream:features>")) {
            asked = true;
            socket.write(request);
          }
          const answer = /<(success|failure) [\s\S]*<\/(success|failure)>/.exec(text);
          if (answer === null) return;
          resolve(answer[0]);
          socket.end();
        },
        close: () => resolve(undefined),
        error: () => resolve(undefined),
      },
    }).catch(() => resolve(undefined));
  });
}

/** A token for the next log-in; undefined when none came. */
export async function requestToken(tlsPort: number, user: string): Promise<string | undefined> {
  const asking = `<request-token xmlns='urn:xmpp:fast:0' mechanism='${MECHANISM}'/>`;
  const answer = await authenticate(tlsPort, "PLAIN", Buffer.from(`\0${user}\0password`), asking);
  return answer === undefined ? undefined : / token='([^']*)'/.exec(answer)?.[1];
}

/** Whether a token lets its user in, used for the `count`th time when that is given. */
export async function tokenOpens(tlsPort: number, user: string, token: string, count?: number): Promise<boolean> {
  const proof = createHmac("sha256", token).update("Initiator").digest();
  const fast = `<fast xmlns='urn:xmpp:fast:0'${count === undefined ? "" : ` count='${count}'`}/>`;
  const answer = await authenticate(tlsPort, MECHANISM, Buffer.concat([Buffer.from(`${user}\0`), proof]), fast);
  return answer?.startsWith("<success") ?? false;
}

/** The administrators' API. */
export class Graphql {
  constructor(private readonly port: number) {}

  /** The data; undefined when the server could not be asked, or has told an error. */
  async run(query: string): Promise<Record<string, Record<string, unknown>> | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}/api/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Basic ${btoa("admin:secret")}` },
        body: JSON.stringify({ query }),
        signal: AbortSignal.timeout(20_000),
      });
      const answer = (await response.json()) as { data?: Record<string, Record<string, unknown>>; errors?: unknown };
      return answer.errors === undefined ? answer.data : undefined;
    } catch {
      return undefined;
    }
  }

  /** Makes an account with the password "password". */
  async account(user: string, domain = "localhost"): Promise<boolean> {
    const args = `domain: "${domain}", username: "${user}", password: "password"`;
    return (await this.run(`mutation { account { registerUser(${args}) { jid } } }`)) !== undefined;
  }

  async removeAccount(jid: string): Promise<boolean> {
    return (await this.run(`mutation { account { removeUser(user: "${jid}") { jid } } }`)) !== undefined;
  }

  async domain(what: "addDomain" | "removeDomain", domain: string): Promise<boolean> {
    const call = `${what}(domain: "${domain}", hostType: "dynamic")`;
    return (await this.run(`mutation { domain { ${call} { domain } } }`)) !== undefined;
  }

  async block(user: string, on: boolean): Promise<boolean> {
    const call = on ? `addUser(user: "${user}@localhost", reason: "test")` : `removeUser(user: "${user}@localhost")`;
    return (await this.run(`mutation { blocklist { ${call} } }`)) !== undefined;
  }

  /** The number of a new broadcast. */
  async broadcast(name: string, sender: string, rate: number): Promise<number | undefined> {
    const made = await this.run(
      `mutation { broadcast { startBroadcast(name: "${name}", domain: "localhost", messageSubject: "", messageBody: "${name}",
       senderJid: "${sender}@localhost", messageRate: ${rate}, recipientGroup: ALL_USERS_IN_DOMAIN) { ids } } }`,
    );
    return (made?.["broadcast"]?.["startBroadcast"] as { ids: number[] } | undefined)?.ids[0];
  }

  /** The state of a broadcast; undefined for one that is not there. */
  async broadcastState(id: number): Promise<string | undefined> {
    const found = await this.run(
      `query { broadcast { getBroadcast(domain: "localhost", id: ${id}) { executionState } } }`,
    );
    return (found?.["broadcast"]?.["getBroadcast"] as { executionState: string } | undefined)?.executionState;
  }
}

/** Statements that find rows which belong to nothing. */
export const ORPHANS: Readonly<Record<string, string>> = {
  "groups of no roster item": `SELECT 1 FROM rostergroups g WHERE NOT EXISTS (SELECT 1 FROM rosterusers r
    WHERE r.server = g.server AND r.username = g.username AND r.jid = g.jid)`,
  "vCards that cannot be searched": `SELECT 1 FROM vcard v WHERE NOT EXISTS (SELECT 1 FROM vcard_search s
    WHERE s.server = v.server AND s.lusername = v.username AND v.vcard LIKE '%' || s.fn || '%' AND s.fn = s.nickname)`,
  "search rows of no vCard": `SELECT 1 FROM vcard_search s WHERE NOT EXISTS (SELECT 1 FROM vcard v
    WHERE s.server = v.server AND s.lusername = v.username)`,
  "items of no privacy list": "SELECT 1 FROM privacy_list_data d WHERE d.id NOT IN (SELECT id FROM privacy_list)",
  "default lists that are not there": `SELECT 1 FROM privacy_default_list d WHERE NOT EXISTS (SELECT 1 FROM privacy_list l
    JOIN privacy_list_data i ON i.id = l.id WHERE l.server = d.server AND l.username = d.username AND l.name = d.name)`,
  "PEP nodes without configuration": `SELECT 1 FROM pubsub_node n WHERE NOT EXISTS (SELECT 1 FROM mongooseim_pubsub_config c
    WHERE c.service_domain = n.service_domain AND c.service_user = n.service_user AND c.node_id = n.node_id)`,
  "PEP items of no node": `SELECT 1 FROM pubsub_item i WHERE NOT EXISTS (SELECT 1 FROM pubsub_node n
    WHERE i.service_domain = n.service_domain AND i.service_user = n.service_user AND i.node_id = n.node_id)`,
  "nodes of nobody": `SELECT 1 FROM pubsub_nodes WHERE nidx NOT IN (SELECT nidx FROM pubsub_affiliations)
    AND nidx NOT IN (SELECT nidx FROM pubsub_subscriptions)`,
  "items of no node": "SELECT 1 FROM pubsub_items WHERE nidx NOT IN (SELECT nidx FROM pubsub_nodes)",
  "last items of no node": "SELECT 1 FROM pubsub_last_item WHERE nidx NOT IN (SELECT nidx FROM pubsub_nodes)",
  "affiliations of no node": "SELECT 1 FROM pubsub_affiliations WHERE nidx NOT IN (SELECT nidx FROM pubsub_nodes)",
  "subscriptions of no node": "SELECT 1 FROM pubsub_subscriptions WHERE nidx NOT IN (SELECT nidx FROM pubsub_nodes)",
};
