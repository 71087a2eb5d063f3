// Sessions, as operations ask for them: the directory, and what each stream knows of itself.

import type { C2S } from "../c2s/stream.ts";
import { StreamError } from "../errors.ts";
import type { Node } from "../node.ts";
import { NS_CLIENT } from "../ns.ts";
import type { PresenceToSet, SessionInfo, SessionOps } from "../operations.ts";
import type { Stanza } from "../stanza.ts";
import { viewText } from "../xml/framer.ts";
import { attr, xml } from "../xml/markup.ts";
import { parseElement } from "../xml/tree.ts";
import { sendAs } from "./stanzas.ts";

export function sessionOps(node: Node): SessionOps {
  const { sessions } = node;
  const all = (domain: string | undefined): C2S[] => {
    const found: C2S[] = [];
    for (const session of sessions) if (domain === undefined || session.domain === domain) found.push(session);
    return found;
  };
  return {
    list: (domain) => all(domain).map((session) => describe(session, node)),
    count: (domain) => (domain === undefined ? sessions.count : all(domain).length),
    countHere: () => sessions.count,
    of: (user) => sessions.of(user.text).map((session) => describe(session, node)),
    kick(jid, reason) {
      const session = sessions.get(jid);
      session?.close(new StreamError("conflict", reason), "kicked");
      return session !== undefined;
    },
    async setPresence(jid, presence) {
      const session = sessions.get(jid);
      if (session === undefined) return false;
      const stanza = viewText(presenceText(presence));
      stanza.from = session.jid;
      stanza.to = session.jid.bare;
      await sendAs(node, stanza, session);
      return true;
    },
  };
}

function describe(session: C2S, node: Node): SessionInfo {
  const { jid, conn, presence } = session;
  return {
    jid,
    // A stream that waits for its client (XEP-0198) has no connection.
    ...(conn && { connection: connectionKind(session), ip: conn.address, port: conn.port }),
    ...(presence && { priority: session.priority }),
    node: node.name,
    uptime: (node.steady() - session.since) / 1000,
    presence: presence
      ? { show: childText(presence, "show") || "available", status: childText(presence, "status") }
      : { show: "unavailable", status: "" },
  };
}

/** MongooseIM 6.8's words for the kind of connection, over WebSocket too. */
const connectionKind = ({ secure }: C2S): string => (secure ? "tls" : "tcp");

/** The text of a child. The session's presence is kept for long: no tree of the whole is to be kept with it. */
function childText(presence: Stanza, name: string): string {
  const child = presence.childXml(name, NS_CLIENT);
  return child === undefined ? "" : parseElement(child.text).text();
}

/** The presence as a client would write it. */
function presenceText({ type, show, status, priority }: PresenceToSet): string {
  const kind = attr("type", type === "available" ? undefined : type);
  return xml`<presence${kind}>${show === undefined || show === "online" ? undefined : xml`<show>${show}</show>`}${
    status ? xml`<status>${status}</status>` : undefined
  }${priority === undefined ? undefined : xml`<priority>${priority}</priority>`}</presence>`.text;
}
