// The enums, objects and inputs that the core's operations and the base modules' operations speak of.
// Names and fields are MongooseIM's. A module with types of its own declares them beside its operations.

import { enumType, inputType, objectType, unionType } from "./language.ts";
import { scalars } from "./scalars.ts";
import { vcardTypes } from "./types-vcard.ts";

const METRIC_HEAD = { name: "[String]", type: "MetricType" } as const;

export const coreTypes = {
  ...scalars,
  ...vcardTypes,

  // checkAuth
  AdminAuthInfo: objectType("AdminAuthInfo", "Who the request is authorised as", {
    domain: "DomainName",
    authStatus: "AuthStatus!",
    authType: "AuthType",
  }),
  UserAuthInfo: objectType("UserAuthInfo", "Who the request is authorised as: his bare JID", {
    username: "UserName",
    authStatus: "AuthStatus",
  }),
  AuthStatus: enumType("AuthStatus", "Whether the request is authorised", ["AUTHORIZED", "UNAUTHORIZED"]),
  AuthType: enumType("AuthType", "The role of the request", ["DOMAIN_ADMIN", "ADMIN", "UNAUTHORIZED"]),

  // account
  UserPayload: objectType("UserPayload", "What was done to a user", { jid: "JID!", message: "String!" }),
  ImportPayload: objectType("ImportPayload", "What became of the records of a CSV file", {
    status: "String!",
    created: "[JID!]",
    existing: "[JID!]",
    notAllowed: "[JID!]",
    invalidJID: "[String!]",
    emptyPassword: "[JID!]",
    invalidRecord: "[String!]",
  }),
  CheckPasswordPayload: objectType("CheckPasswordPayload", "Whether a password is right", {
    correct: "Boolean!",
    message: "String!",
  }),
  CheckUserPayload: objectType("CheckUserPayload", "Whether a user exists", {
    exist: "Boolean!",
    message: "String!",
  }),

  // domain
  Domain: objectType("Domain", "A dynamic domain", {
    domain: "DomainName",
    hostType: "String",
    status: "DomainStatus",
  }),
  DomainWithType: objectType("DomainWithType", "A domain, dynamic or from the configuration", {
    domain: "DomainName",
    hostType: "String",
    status: "DomainStatus",
    type: "DomainType",
  }),
  DomainStatus: enumType("DomainStatus", "State of a domain", ["ENABLED", "DISABLED", "DELETING", "DELETED"]),
  DomainType: enumType("DomainType", "STATIC is in the configuration, DYNAMIC in the database", ["STATIC", "DYNAMIC"]),

  // session
  Session: objectType("Session", "A session of a user; uptime is in seconds", {
    user: "JID!",
    connection: "String",
    ip: "String",
    port: "Int",
    priority: "Int",
    node: "String",
    uptime: "Int",
  }),
  UserStatus: objectType("UserStatus", "The presence of a session", {
    user: "JID!",
    priority: "Int",
    text: "String",
  }),
  KickUserResult: objectType("KickUserResult", "What became of a session to be closed; code tells why it was not", {
    jid: "JID!",
    kicked: "Boolean!",
    code: "String",
    message: "String!",
  }),
  SessionPayload: objectType("SessionPayload", "What was done to a session", { jid: "JID!", message: "String!" }),
  PresenceType: enumType("PresenceType", "Type of a presence stanza (RFC 6121 section 4.7.1)", [
    "AVAILABLE",
    "ERROR",
    "PROBE",
    "SUBSCRIBE",
    "SUBSCRIBED",
    "UNAVAILABLE",
    "UNSUBSCRIBE",
    "UNSUBSCRIBED",
  ]),
  PresenceShow: enumType("PresenceShow", "Availability (RFC 6121 section 4.7.2.1); ONLINE is no <show/>", [
    "ONLINE",
    "AWAY",
    "CHAT",
    "DND",
    "XA",
  ]),

  // token
  Token: objectType("Token", "Tokens to log in with: as they are, to be sent as Base64", {
    access: "String",
    refresh: "String",
  }),

  // stanza
  SendStanzaPayload: objectType("SendStanzaPayload", "A stanza that was sent", { id: "ID" }),
  StanzaMap: objectType("StanzaMap", "An archived stanza", {
    sender: "JID",
    timestamp: "DateTime",
    stanza_id: "String",
    stanza: "XmlElement",
  }),
  StanzasPayload: objectType("StanzasPayload", "Archived stanzas, and the limit that was applied", {
    stanzas: "[StanzaMap]",
    limit: "Int",
  }),

  // server
  Status: objectType("Status", "State of the server", {
    statusCode: "StatusCode",
    message: "String",
    version: "String",
    commitHash: "String",
  }),
  StatusCode: enumType("StatusCode", "State of the server", ["RUNNING", "NOT_RUNNING"]),
  LogLevel: enumType("LogLevel", "Events of this level and more severe ones are logged", [
    "NONE",
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "DEBUG",
    "ALL",
  ]),
  HostTypeInfo: objectType("HostTypeInfo", "A host type with what runs in it", {
    name: "String!",
    modules: "[ModuleInfo!]!",
    authMethods: "[String!]!",
  }),
  ModuleInfo: objectType("ModuleInfo", "A running module", { name: "String!", options: "[ModuleOption!]!" }),
  ModuleOption: objectType("ModuleOption", "An option worth reporting", { key: "String!", value: "String" }),
  GlobalInfo: objectType("GlobalInfo", "What runs once for all host types", {
    services: "[ServiceInfo!]!",
    internalDatabases: "[String!]!",
  }),
  ServiceInfo: objectType("ServiceInfo", "A running service", { name: "String!" }),

  // stat
  GlobalStats: objectType("GlobalStats", "Figures of the whole installation", {
    uptimeSeconds: "Int",
    registeredUsers: "Int",
    onlineUsersNode: "Int",
    onlineUsers: "Int",
    incomingS2S: "Int",
    outgoingS2S: "Int",
  }),
  DomainStats: objectType("DomainStats", "Figures of a domain", { registeredUsers: "Int", onlineUsers: "Int" }),

  // metric
  MetricType: enumType("MetricType", "Kind of a metric", ["histogram", "counter", "spiral", "gauge"]),
  MetricResult: unionType("MetricResult", "A metric and its values", [
    "HistogramMetric",
    "CounterMetric",
    "SpiralMetric",
    "GaugeMetric",
  ]),
  HistogramMetric: objectType("HistogramMetric", "Distribution of observed values", {
    ...METRIC_HEAD,
    n: "Int",
    mean: "Int",
    min: "Int",
    max: "Int",
    median: "Int",
    p50: "Int",
    p75: "Int",
    p90: "Int",
    p95: "Int",
    p99: "Int",
    p999: "Int",
  }),
  CounterMetric: objectType("CounterMetric", "A number that only grows", {
    ...METRIC_HEAD,
    value: "Int",
    ms_since_reset: "Int",
  }),
  SpiralMetric: objectType("SpiralMetric", "Events in the last minute (one) and in all (count)", {
    ...METRIC_HEAD,
    one: "Int",
    count: "Int",
  }),
  GaugeMetric: objectType("GaugeMetric", "A number that goes up and down", { ...METRIC_HEAD, value: "Int" }),
  MetricDictEntry: objectType("MetricDictEntry", "One value of a metric", { key: "String", value: "Int" }),
  MetricDictResult: objectType("MetricDictResult", "A metric as keys and values", {
    name: "[String]",
    dict: "[MetricDictEntry]",
  }),
  MetricNodeResult: objectType("MetricNodeResult", "The metrics of a node", {
    node: "String",
    result: "[MetricDictResult]",
  }),

  // roster
  Contact: objectType("Contact", "An item of a roster", {
    jid: "JID!",
    name: "String",
    groups: "[String!]",
    subscription: "ContactSub",
    ask: "ContactAsk",
  }),
  ContactInput: inputType("ContactInput", "A contact to add", { jid: "JID!", name: "String!", groups: "[String!]" }),
  ContactSub: enumType("ContactSub", "State of the subscription", ["NONE", "BOTH", "FROM", "TO"]),
  ContactAsk: enumType("ContactAsk", "Pending subscription requests", [
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "IN",
    "OUT",
    "BOTH",
    "NONE",
  ]),
  SubAction: enumType("SubAction", "What to do about a subscription", ["INVITE", "ACCEPT", "DECLINE", "CANCEL"]),
  MutualSubAction: enumType("MutualSubAction", "What to do about both subscriptions", ["CONNECT", "DISCONNECT"]),

  // last
  LastActivity: objectType("LastActivity", "When a user was last seen, and the status then", {
    user: "JID!",
    timestamp: "DateTime!",
    status: "String!",
  }),
  OldUser: objectType("OldUser", "A user who has not been seen for long", { jid: "JID!", timestamp: "DateTime" }),
} as const;

type CoreTypes = typeof coreTypes;

declare module "./language.ts" {
  interface NamedTypes extends CoreTypes {}
}
