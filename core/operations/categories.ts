// The categories operations are grouped into: fields of the root types and first words on the command line.

interface Category {
  /** Begins the names of the category's types: AccountAdminQuery, AccountUserMutation. */
  readonly typePrefix: string;
  readonly description: string;
}

const CATEGORIES: Readonly<Record<string, Category>> = {
  account: { typePrefix: "Account", description: "Account management" },
  blocklist: { typePrefix: "Blocklist", description: "Users who may not log in" },
  broadcast: { typePrefix: "Broadcast", description: "Messages to all users of a domain" },
  cets: { typePrefix: "CETS", description: "In-memory tables of the cluster" },
  domain: { typePrefix: "Domain", description: "Dynamic domains" },
  externalServices: { typePrefix: "ExternalServices", description: "STUN, TURN and other services" },
  gdpr: { typePrefix: "Gdpr", description: "Personal data of a user" },
  httpUpload: { typePrefix: "HttpUpload", description: "Slots for file upload" },
  inbox: { typePrefix: "Inbox", description: "Emptying of inbox bins" },
  invite: { typePrefix: "Invite", description: "Invitations to become a contact or to make an account" },
  last: { typePrefix: "Last", description: "Last activity of users" },
  metric: { typePrefix: "Metric", description: "Metrics and their values" },
  mnesia: { typePrefix: "Mnesia", description: "Mnesia database" },
  muc: { typePrefix: "MUC", description: "MUC rooms" },
  muc_light: { typePrefix: "MUCLight", description: "MUC Light rooms" },
  offline: { typePrefix: "Offline", description: "Stored offline messages" },
  private: { typePrefix: "Private", description: "Private XML storage" },
  report: { typePrefix: "Report", description: "What users reported when they blocked somebody" },
  retention: { typePrefix: "Retention", description: "Deletion of what is older than it may be" },
  roster: { typePrefix: "Roster", description: "Contacts and subscriptions" },
  server: { typePrefix: "Server", description: "The server, its log level and its cluster" },
  session: { typePrefix: "Session", description: "Sessions of users" },
  stanza: { typePrefix: "Stanza", description: "Sending of stanzas, archived messages" },
  stat: { typePrefix: "Stats", description: "Statistics of the server and of domains" },
  token: { typePrefix: "Token", description: "Authentication tokens" },
  vcard: { typePrefix: "Vcard", description: "vCards of users" },
};

/** Throws a TypeError for a category nobody has described: a declaration misspelt it. */
export function category(name: string): Category {
  const found = Object.hasOwn(CATEGORIES, name) ? CATEGORIES[name] : undefined;
  if (!found) throw new TypeError(`"${name}" is not a category of operations`);
  return found;
}
