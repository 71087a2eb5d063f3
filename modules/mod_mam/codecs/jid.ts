// How the archive's tables write JIDs (`db_jid_format`), as MongooseIM does.

import { BareJid, type Jid, tryParseJid } from "../../../core/jid.ts";

/** Whose archive it is: prepared parts. */
export interface ArchiveOwner {
  readonly local: string;
  readonly domain: string;
}

export interface JidCodec {
  /** A JID as the columns `from_jid`, `remote_bare_jid` and `remote_jid` hold it. */
  encode(owner: ArchiveOwner, jid: Jid): string;
  /** The text of the JID that a column holds. What is no JID comes out as the nearest thing to one. */
  decode(owner: ArchiveOwner, stored: string): string;
}

export const JID_FORMATS = ["mam_jid_mini", "mam_jid_rfc", "mam_jid_rfc_trust"] as const;
export type JidFormat = (typeof JID_FORMATS)[number];

const IPV6 = /^\[[\da-f:.]*\]/i;
const slash = (resource: string): string => (resource === "" ? "" : `/${resource}`);

/**
 * Leaves out what the owner's own JID says: "" is the owner, "/res" a session of his, "user" another one of his server,
 * ":" the server; those of other servers are "server:user" or "server@user/res".
 */
const mini: JidCodec = {
  encode(owner, jid) {
    const { domain } = owner;
    const { bare, domain: server } = jid;
    if (server === domain && owner instanceof BareJid && !bare.isDomain) {
      // Nearly always: what follows the owner's own bare JID, or the user of the same server.
      if (bare.text === owner.text) return jid.text.slice(bare.text.length);
      const user = bare.text.slice(0, -domain.length - 1);
      return jid === bare ? user : user + jid.text.slice(bare.text.length);
    }
    const { local } = owner;
    const { local: user, resource } = jid;
    if (server !== domain) return resource === "" ? `${server}:${user}` : `${server}@${user}/${resource}`;
    if (user === "") return `:${slash(resource)}`;
    return (user === local ? "" : user) + slash(resource);
  },
  decode({ local, domain }, stored) {
    const own = local === "" ? domain : `${local}@${domain}`;
    if (stored === "" || stored.startsWith("/")) return own + stored;
    // None of the three may be in a localpart, which may begin with a bracket though; in a domain only an IPv6 address has
    // one, within its brackets.
    const after = stored.startsWith("[") ? (IPV6.exec(stored)?.[0].length ?? 0) : 0;
    const end = after + stored.slice(after).search(/[@/:]/);
    if (end < after) return `${stored}@${domain}`;
    const [first, rest] = [stored.slice(0, end), stored.slice(end + 1)];
    if (stored[end] === "/") return `${first}@${domain}/${rest}`;
    const server = first === "" ? domain : first;
    if (stored[end] === ":") {
      if (first === "") return server + rest;
      return rest === "" ? server : `${rest}@${server}`;
    }
    const cut = rest.indexOf("/");
    const user = cut < 0 ? rest : rest.slice(0, cut);
    return (user === "" ? server : `${user}@${server}`) + (cut < 0 ? "" : rest.slice(cut));
  },
};

/** The JID as text; what is read is prepared again. */
const rfc: JidCodec = {
  encode: (_owner, jid) => jid.text,
  decode: (_owner, stored) => tryParseJid(stored)?.text ?? stored,
};

/** The JID as text, taken for prepared when it is read. */
const trust: JidCodec = {
  encode: (_owner, jid) => jid.text,
  decode: (_owner, stored) => stored,
};

const CODECS: Readonly<Record<JidFormat, JidCodec>> = {
  mam_jid_mini: mini,
  mam_jid_rfc: rfc,
  mam_jid_rfc_trust: trust,
};

/** The codec that `db_jid_format` names. */
export const jidCodec = (format: JidFormat): JidCodec => CODECS[format];
