// Valid requests of every protocol that the features speak, as templates: {me}, {full}, {friend} and the like are of the
// world that is played in (see requests.ts), {known} is something that the server has told before.

const PS = "http://jabber.org/protocol/pubsub";
const DATA = "jabber:x:data";
const RSM = "http://jabber.org/protocol/rsm";
const ADMIN = "http://jabber.org/protocol/admin";

export interface Shape {
  readonly type: "get" | "set";
  /** Whom it is for: undefined is without `to`. */
  readonly to: string | undefined;
  readonly payload: string;
}

const field = (name: string, ...values: string[]): string =>
  `<field var='${name}'>${values.map((v) => `<value>${v}</value>`).join("")}</field>`;
const form = (type: string, ...fields: string[]): string =>
  `<x xmlns='${DATA}' type='submit'><field var='FORM_TYPE' type='hidden'><value>${type}</value></field>${fields.join("")}</x>`;
const page = (inside: string): string => `<set xmlns='${RSM}'>${inside}</set>`;
const PAGES = [
  page("<max>2</max>"),
  page("<max>1</max><after>{known}</after>"),
  page("<max>10</max><before>{known}</before>"),
  page("<max>1</max><before/>"),
  page("<index>1</index><max>3</max>"),
  page("<max>0</max>"),
];
const own = (type: "get" | "set", ...payloads: string[]): Shape[] =>
  payloads.flatMap((payload) => [
    { type, to: undefined, payload },
    { type, to: "{me}", payload },
  ]);
const at = (to: string, type: "get" | "set", ...payloads: string[]): Shape[] =>
  payloads.map((payload) => ({ type, to, payload }));

const roster = (inside: string): string => `<query xmlns='jabber:iq:roster'>${inside}</query>`;
const privacy = (inside: string): string => `<query xmlns='jabber:iq:privacy'>${inside}</query>`;
const privately = (inside: string): string => `<query xmlns='jabber:iq:private'>${inside}</query>`;
const register = (inside: string): string => `<query xmlns='jabber:iq:register'>${inside}</query>`;
const disco = (what: string, node?: string): string =>
  `<query xmlns='http://jabber.org/protocol/disco#${what}'${node === undefined ? "" : ` node='${node}'`}/>`;
const REPORT = `<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><stanza-id xmlns='urn:xmpp:sid:0' by='{me}' id='28482-98726-73623'/><text xml:lang='en'>Never came trouble to my house like this.</text></report>`;

const MAM = "urn:xmpp:mam:2";
const archive = (inside: string, ns = MAM): string => `<query xmlns='${ns}' queryid='f27'>${inside}</query>`;
/** Everything that may be asked of an archive, and the ways to say what is wanted of it. */
const QUERIES = [
  archive(""),
  archive(
    form(MAM, field("with", "{friend}"), field("start", "2010-06-07T00:00:00Z"), field("end", "9999-12-31T23:59:59Z")),
  ),
  archive(form(MAM, field("start", "0001-01-01T00:00:00+14:00"), field("include-groupchat", "false")) + PAGES[3]),
  archive(form(MAM, field("after-id", "{known}"), field("before-id", "{known}")) + PAGES[0]),
  archive(form(MAM, field("ids", "{known}", "7VVVVVVVVVVVV"), field("simple", "true"))),
  archive(
    form(MAM, field("{urn:xmpp:fulltext:0}fulltext", "soft light"), field("from-id", "0"), field("to-id", "{known}")),
  ),
  archive(form(MAM, field("full-text-search", "%_$ ' OR 1=1 --")) + PAGES[5]),
  archive(form(MAM, field("{urn:xmpp:fulltext:0}fulltext", "{words}")) + PAGES[3]),
  archive(form(MAM, field("with", "{anybody}"), field("full-text-search", "{words}")) + PAGES[0]),
  archive(form(MAM, field("ids", "{known}", "{known}", "{known}"), field("include-groupchat", "true"))),
  archive(`${page("<max>2</max><index>3</index>")}<flip-page/>`),
  ...PAGES.map((inside) => archive(`${inside}<flip-page/>`)),
  archive(form("urn:xmpp:mam:1", field("with", "{anybody}")), "urn:xmpp:mam:1"),
  `<prefs xmlns='${MAM}' default='roster'><always><jid>{friend}</jid></always><never><jid>{anybody}</jid></never></prefs>`,
  `<prefs xmlns='urn:xmpp:mam:1' default='always'><always/><never/></prefs>`,
];
const ARCHIVE_GETS = [
  `<query xmlns='${MAM}'/>`,
  "<query xmlns='urn:xmpp:mam:1'/>",
  `<metadata xmlns='${MAM}'/>`,
  `<prefs xmlns='${MAM}'/>`,
];

const INBOX = "erlang-solutions.com:xmpp:inbox:0";
const inbox = (inside: string): string => `<inbox xmlns='${INBOX}' queryid='f28'>${inside}</inbox>`;
const conversation = (inside: string, jid = "{friend}"): string =>
  `<query xmlns='${INBOX}#conversation' jid='${jid}'>${inside}</query>`;
const INBOX_SETS = [
  inbox(""),
  inbox(
    form(
      INBOX,
      field("start", "2010-06-07T00:00:00Z"),
      field("end", "9999-12-31T23:59:59Z"),
      field("order", "asc"),
      field("hidden_read", "true"),
    ),
  ),
  inbox(form(INBOX, field("box", "{box}")) + PAGES[0]),
  inbox(form(INBOX, field("archive", "true"), field("order", "desc")) + PAGES[2]),
  ...PAGES.map(inbox),
  inbox(page("<max>2</max><before>{place}</before>")),
  inbox(form(INBOX, field("order", "asc")) + page("<max>2</max><after>{place}</after>")),
  `<empty-bin xmlns='${INBOX}'/>`,
  conversation("<box>{box}</box>"),
  conversation("<archive>true</archive><read>true</read>", "{anybody}"),
  conversation("<read>false</read><mute>86400</mute>"),
  conversation("<mute>0</mute><box>inbox</box>"),
  `<reset xmlns='${INBOX}#conversation' jid='{anybody}'/>`,
];
const INBOX_GETS = [
  `<query xmlns='${INBOX}'/>`,
  `<inbox xmlns='${INBOX}'/>`,
  conversation("", "{anybody}"),
  `<query xmlns='${INBOX}#conversation' jid='{friend}' complete='true'/>`,
  `<query xmlns='${INBOX}#conversation'/>`,
];

const pubsub = (inside: string): string => `<pubsub xmlns='${PS}'>${inside}</pubsub>`;
const owner = (inside: string): string => `<pubsub xmlns='${PS}#owner'>${inside}</pubsub>`;
const NODE_FIELDS = [
  field("pubsub#title", "Diary"),
  field("pubsub#access_model", "whitelist"),
  field("pubsub#publish_model", "open"),
  field("pubsub#persist_items", "1"),
  field("pubsub#max_items", "5"),
  field("pubsub#item_expire", "604800"),
  field("pubsub#max_payload_size", "1028"),
  field("pubsub#send_last_published_item", "on_sub"),
  field("pubsub#notification_type", "headline"),
  field("pubsub#roster_groups_allowed", "Friends", "Enemies"),
  field("pubsub#contact", "{friend}"),
  field("pubsub#collection", "{node}"),
];
const OPTIONS = form(
  `${PS}#subscribe_options`,
  field("pubsub#deliver", "1"),
  field("pubsub#digest", "0"),
  field("pubsub#expire", "2099-03-31T23:59Z"),
  field("pubsub#include_body", "0"),
  field("pubsub#show-values", "chat", "online", "away"),
  field("pubsub#subscription_depth", "all"),
);
const ITEM = `<item id='{item}'><entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title></entry></item>`;

/** What XEP-0060 has, for a service or for an account. */
const SETS = [
  pubsub("<create node='{node}'/>"),
  pubsub("<create/>"),
  pubsub(`<create node='{node}'/><configure>${form(`${PS}#node_config`, ...NODE_FIELDS.slice(0, 10))}</configure>`),
  pubsub(
    `<create node='{node}'/><configure>${form(`${PS}#node_config`, field("pubsub#node_type", "collection"))}</configure>`,
  ),
  pubsub(`<publish node='{node}'>${ITEM}</publish>`),
  pubsub(`<publish node='{node}'>${ITEM}</publish>`),
  pubsub(
    `<publish node='{node}'>${ITEM}</publish><publish-options>${form(`${PS}#publish-options`, field("pubsub#access_model", "presence"))}</publish-options>`,
  ),
  pubsub("<retract node='{node}' notify='true'><item id='{item}'/></retract>"),
  pubsub("<subscribe node='{node}' jid='{me}'/>"),
  pubsub(`<subscribe node='{node}' jid='{full}'/><options>${OPTIONS}</options>`),
  pubsub("<unsubscribe node='{node}' jid='{me}' subid='{known}'/>"),
  pubsub("<unsubscribe node='{node}' jid='{full}'/>"),
  pubsub(`<options node='{node}' jid='{me}'>${OPTIONS}</options>`),
  owner(`<configure node='{node}'>${form(`${PS}#node_config`, ...NODE_FIELDS)}</configure>`),
  owner(
    `<configure node='{node}'>${form(`${PS}#node_config`, field("pubsub#access_model", "authorize"), field("pubsub#max_items", "1"))}</configure>`,
  ),
  owner("<delete node='{node}'/>"),
  owner("<delete node='{node}'><redirect uri='xmpp:pubsub.localhost?;node=new'/></delete>"),
  owner("<purge node='{node}'/>"),
  owner(
    "<affiliations node='{node}'><affiliation jid='{friend}' affiliation='publisher'/><affiliation jid='{target}' affiliation='outcast'/></affiliations>",
  ),
  owner("<subscriptions node='{node}'><subscription jid='{friend}' subscription='subscribed'/></subscriptions>"),
  owner("<subscriptions node='{node}'><subscription jid='{me}' subscription='none' subid='{known}'/></subscriptions>"),
];
const GETS = [
  pubsub("<items node='{node}'/>"),
  pubsub("<items node='{node}' max_items='2'/>"),
  pubsub("<items node='{node}'><item id='{item}'/></items>"),
  ...PAGES.map((set) => pubsub(`<items node='{node}'/>${set}`)),
  pubsub("<subscriptions/>"),
  pubsub("<subscriptions node='{node}'/>"),
  pubsub("<affiliations/>"),
  pubsub("<options node='{node}' jid='{me}'/>"),
  pubsub("<default node='{node}'/>"),
  pubsub("<default/>"),
  owner("<configure node='{node}'/>"),
  owner("<default/>"),
  owner("<affiliations node='{node}'/>"),
  owner("<subscriptions node='{node}'/>"),
];
const ASKS = [disco("info"), disco("items"), disco("info", "{node}"), disco("items", "{node}")];

const command = (node: string, attrs = "", inside = ""): string =>
  `<command xmlns='http://jabber.org/protocol/commands' node='${node}'${attrs}>${inside}</command>`;
const ADMIN_COMMANDS = [
  "add-user",
  "delete-user",
  "disable-user",
  "reenable-user",
  "end-user-session",
  "change-user-password",
  "get-user-roster",
  "get-user-lastlogin",
  "user-stats",
  ...["registered", "disabled", "online", "active", "idle"].flatMap((g) => [
    `get-${g}-users-num`,
    `get-${g}-users-list`,
  ]),
  "announce",
  "set-motd",
  "edit-motd",
  "delete-motd",
  "set-welcome",
  "delete-welcome",
  "edit-admin",
];
const ADMIN_FORM = form(
  ADMIN,
  field("accountjid", "{friend}"),
  field("accountjids", "{friend}", "{me}"),
  field("password", "secret"),
  field("password-verify", "secret"),
  field("max_items", "25"),
  field("announcement", "Hear ye"),
  field("motd", "Good morrow"),
  field("welcome", "Well met"),
);

const VCARD = `<vCard xmlns='vcard-temp'><FN>Romeo Montague</FN><N><FAMILY>Montague</FAMILY><GIVEN>Romeo</GIVEN></N><NICKNAME>rom</NICKNAME><EMAIL><INTERNET/><USERID>romeo@montague.lit</USERID></EMAIL><BDAY>1476-01-29</BDAY><ADR><CTRY>Italy</CTRY><LOCALITY>Verona</LOCALITY></ADR><PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO></vCard>`;

export const SHAPES: readonly Shape[] = [
  ...own(
    "set",
    roster("<item jid='{friend}' name='Juliet'><group>Friends</group><group>Capulets</group></item>"),
    roster("<item jid='{anybody}' name='Somebody'/>"),
    roster("<item jid='{anybody}' subscription='remove'/>"),
  ),
  ...own("get", roster(""), "<query xmlns='jabber:iq:roster' ver='{known}'/>"),
  ...own(
    "set",
    privacy(
      "<list name='{list}'><item type='jid' value='{anybody}' action='deny' order='1'><message/><presence-in/></item><item type='group' value='Friends' action='allow' order='2'/><item type='subscription' value='none' action='deny' order='3'><iq/></item><item action='allow' order='4'/></list>",
    ),
    privacy("<list name='{list}'/>"),
    privacy("<active name='{list}'/>"),
    privacy("<active/>"),
    privacy("<default name='{list}'/>"),
    privacy("<default/>"),
  ),
  ...own("get", privacy(""), privacy("<list name='{list}'/>")),
  ...own(
    "set",
    "<block xmlns='urn:xmpp:blocking'><item jid='{anybody}'/><item jid='bots.example'/></block>",
    `<block xmlns='urn:xmpp:blocking'><item jid='{anybody}'>${REPORT}</item></block>`,
    "<unblock xmlns='urn:xmpp:blocking'><item jid='{anybody}'/></unblock>",
    "<unblock xmlns='urn:xmpp:blocking'/>",
  ),
  ...own("get", "<blocklist xmlns='urn:xmpp:blocking'/>"),
  ...own(
    "set",
    privately("<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>"),
    privately("<a xmlns='urn:test:a'/><b xmlns='urn:test:b'>two</b>"),
    privately(
      "<storage xmlns='storage:bookmarks'><conference name='Council' autojoin='true' jid='council@conference.example'><nick>Puck</nick></conference><url name='x' url='http://example.org/'/></storage>",
    ),
  ),
  ...own(
    "get",
    privately("<exodus xmlns='exodus:prefs'/>"),
    privately("<a xmlns='urn:test:a'/><storage xmlns='storage:bookmarks'/>"),
  ),
  ...own("set", VCARD),
  ...own("get", "<vCard xmlns='vcard-temp'/>"),
  ...at("{anybody}", "get", "<vCard xmlns='vcard-temp'/>", ...ASKS),
  ...at("localhost", "get", "<vCard xmlns='vcard-temp'/>"),
  ...at(
    "vjud.localhost",
    "set",
    `<query xmlns='jabber:iq:search'>${form("jabber:iq:search", field("last", "Mont*"), field("user", "{me}"))}${PAGES[0]}</query>`,
    "<query xmlns='jabber:iq:search'><last>Montague</last><first>R*</first></query>",
  ),
  ...at("vjud.localhost", "get", "<query xmlns='jabber:iq:search'/>", "<vCard xmlns='vcard-temp'/>", ...ASKS),
  ...own("set", "<enable xmlns='urn:xmpp:carbons:2'/>", "<disable xmlns='urn:xmpp:carbons:2'/>"),
  ...own("get", "<address xmlns='urn:xmpp:sic:1'/>", "<query xmlns='erlang-solutions.com:xmpp:token-auth:0'/>"),
  ...at("localhost", "get", "<address xmlns='urn:xmpp:sic:1'/>"),
  ...own(
    "get",
    "<query xmlns='esl:xmpp:smart-markers:0' peer='{friend}'/>",
    "<query xmlns='esl:xmpp:smart-markers:0' peer='{anybody}' thread='t1' after='2020-01-01T00:00:00.000000Z'/>",
  ),
  ...at(
    "localhost",
    "get",
    "<query xmlns='jabber:iq:last'/>",
    "<query xmlns='jabber:iq:version'/>",
    "<time xmlns='urn:xmpp:time'/>",
    "<ping xmlns='urn:xmpp:ping'/>",
    register(""),
    ...ASKS,
    disco("items", "http://jabber.org/protocol/commands"),
    disco("info", `${ADMIN}#add-user`),
    disco("info", "http://jabber.org/protocol/amp"),
  ),
  ...at("{anybody}", "get", "<query xmlns='jabber:iq:last'/>", "<ping xmlns='urn:xmpp:ping'/>", disco("items")),
  ...at(
    "localhost",
    "set",
    register("<username>{name}</username><password>{password}</password>"),
    register("<username>{fresh}</username><password>secret</password>"),
    `<preauth xmlns='urn:xmpp:pars:0' token='{known}'/>`,
  ),
  ...own("get", register("")),
  ...at(
    "localhost",
    "set",
    command("ping"),
    command("urn:xmpp:invite#invite", " action='execute'"),
    command("urn:xmpp:invite#create-account"),
    command(
      "urn:xmpp:invite#create-account",
      " sessionid='{session}' action='complete'",
      form("urn:xmpp:invite#create-account", field("username", "{fresh}"), field("roster-subscription", "1")),
    ),
    command("urn:xmpp:invite#create-account", " sessionid='{session}' action='cancel'"),
    command("{command}", " sessionid='{session}' action='prev'"),
    ...ADMIN_COMMANDS.flatMap((name) => [
      command(`${ADMIN}#${name}`, " action='execute'"),
      command(`${ADMIN}#${name}`, " sessionid='{session}'", ADMIN_FORM),
    ]),
  ),
  ...at("{anybody}", "set", command("ping"), command("{command}", " sessionid='{session}' action='next'")),
  ...own("set", ...QUERIES),
  ...own("get", ...ARCHIVE_GETS),
  ...own("set", ...INBOX_SETS),
  ...own("get", ...INBOX_GETS),
  ...at("{anybody}", "set", ...QUERIES),
  ...at("{anybody}", "get", ...ARCHIVE_GETS, ...INBOX_GETS),
  ...at("{anybody}", "set", ...INBOX_SETS),
  ...own("set", ...SETS),
  ...own("get", ...GETS, ...ASKS),
  ...at("{anybody}", "set", ...SETS),
  ...at("{anybody}", "get", ...GETS, ...ASKS),
  ...at("pubsub.localhost", "set", ...SETS, ...SETS, command("http://jabber.org/protocol/pubsub#get-pending")),
  ...at(
    "pubsub.localhost",
    "set",
    command(
      "http://jabber.org/protocol/pubsub#get-pending",
      " sessionid='{session}'",
      form("http://jabber.org/protocol/pubsub#subscribe_authorization", field("pubsub#node", "{node}")),
    ),
    `<pubsub xmlns='${PS}'><publish node='{node}'><item><notification xmlns='urn:xmpp:push:0'><x xmlns='${DATA}'><field var='FORM_TYPE'><value>urn:xmpp:push:summary</value></field><field var='message-count'><value>1</value></field></x></notification></item></publish><publish-options>${form(`${PS}#publish-options`, field("service", "apns"), field("device_id", "x"))}</publish-options></pubsub>`,
  ),
  ...at("pubsub.localhost", "get", ...GETS, ...GETS, ...ASKS),
  ...at("localhost", "set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"),
  ...at("{me}", "set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>again</resource></bind>"),
];

/** The requests by their payload: each is as likely as the others, however many it can be for. */
export const PAYLOADS: readonly (readonly Shape[])[] = [...Map.groupBy(SHAPES, (shape) => shape.payload).values()];
/** Those that are not an administrator's. */
export const ORDINARY: readonly (readonly Shape[])[] = PAYLOADS.filter(([{ payload }]) => !payload.includes(ADMIN));

/** Messages and presence that features look at. */
export const STANZAS: readonly string[] = [
  ...Array<string>(3).fill(
    "<message to='{friend}' type='chat' id='m{item}'><body>{words}</body><origin-id xmlns='urn:xmpp:sid:0' id='o{item}'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>",
  ),
  "<message to='{anybody}' type='chat' id='{known}'><body xml:lang='en'>{words}</body><body xml:lang='de'>{words}</body><stanza-id xmlns='urn:xmpp:sid:0' by='{me}' id='{known}'/><stanza-id xmlns='urn:xmpp:sid:0' by='{friend}' id='{known}'/><store xmlns='urn:xmpp:hints'/></message>",
  "<message to='{me}' type='chat' id='m{item}'><body>{words}</body></message>",
  "<message type='normal' to='{anybody}'><body>{words}</body><subject>{words}</subject><no-permanent-store xmlns='urn:xmpp:hints'/></message>",
  "<message to='{friend}' type='chat'><apply-to xmlns='urn:xmpp:fasten:0' id='o{item}'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to></message>",
  "<message to='{friend}' type='chat'><apply-to xmlns='urn:xmpp:fasten:0' id='{known}'><retract xmlns='urn:esl:message-retract-by-stanza-id:0'/></apply-to></message>",
  "<message to='{friend}' type='chat' id='r1'><retract xmlns='urn:xmpp:message-retract:1' id='o{item}'/><body>gone</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/></message>",
  "<message to='{anybody}' type='groupchat' id='m{item}'><body>{words}</body></message>",
  "<message to='{friend}' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='m{item}'/></message>",
  "<message to='{anybody}' type='chat'><body>{words}</body><result xmlns='urn:xmpp:mam:2' id='{known}' queryid='x'><forwarded xmlns='urn:xmpp:forward:0'/></result></message>",
  "<message to='{anybody}' type='chat'><body>But, soft!</body><amp xmlns='http://jabber.org/protocol/amp'><rule condition='deliver' action='notify' value='stored'/><rule condition='match-resource' action='drop' value='exact'/><rule condition='expire-at' action='error' value='2099-01-01T00:00:00Z'/></amp></message>",
  "<message to='{friend}' id='m1'><displayed xmlns='urn:xmpp:chat-markers:0' id='{known}'/><thread>t1</thread></message>",
  "<message to='{anybody}' type='chat'><received xmlns='urn:xmpp:chat-markers:0' id='m0'/><body>x</body><markable xmlns='urn:xmpp:chat-markers:0'/></message>",
  "<message to='{me}'><displayed xmlns='urn:xmpp:mds:displayed:0' id='x'/><stanza-id xmlns='urn:xmpp:sid:0' id='y' by='{me}'/></message>",
  "<message to='{friend}' type='chat'><body>copy me</body><private xmlns='urn:xmpp:carbons:2'/><no-store xmlns='urn:xmpp:hints'/><no-copy xmlns='urn:xmpp:hints'/></message>",
  `<message to='pubsub.localhost'>${form(`${PS}#subscribe_authorization`, field("pubsub#node", "{node}"), field("pubsub#subid", "{known}"), field("pubsub#subscriber_jid", "{friend}"), field("pubsub#allow", "true"))}</message>`,
  `<message to='{me}'>${form(`${PS}#subscribe_authorization`, field("pubsub#node", "{node}"), field("pubsub#subscriber_jid", "{friend}"), field("pubsub#allow", "false"))}</message>`,
  "<message to='vjud.localhost'><body>anybody there?</body></message>",
  "<message to='{anybody}' type='headline'><body>news</body></message>",
  "<message to='{anybody}' type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
  "<message to='{me}' type='chat'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{friend}' to='{me}'><body>forged</body></message></forwarded></sent></message>",
  "<message to='{friend}'><subject/><delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z' from='localhost'/><body>old</body></message>",
  "<presence><show>away</show><status>thinking</status><priority>5</priority></presence>",
  "<presence><priority>-1</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
  "<presence><c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=</hash></c><x xmlns='vcard-temp:x:update'><photo>{known}</photo></x></presence>",
  "<presence><x xmlns='vcard-temp:x:update'/></presence>",
  "<presence to='{anybody}'/>",
  "<presence to='{anybody}' type='subscribe'/>",
  "<presence to='{anybody}' type='subscribed'/>",
  "<presence to='{anybody}' type='unsubscribe'/>",
  "<presence to='{anybody}' type='unsubscribed'/>",
  "<presence to='{anybody}' type='probe'/>",
  "<presence to='{anybody}' type='unavailable'/>",
  "<presence to='{friend}' type='subscribe'><preauth xmlns='urn:xmpp:pars:0' token='{known}'/></presence>",
  "<active xmlns='urn:xmpp:csi:0'/>",
  "<inactive xmlns='urn:xmpp:csi:0'/>",
  "<r xmlns='urn:xmpp:sm:3'/>",
];

/** Elements that end a stream when they come at the wrong time, as they may. */
export const NONZAS: readonly string[] = [
  "<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>",
  "<resume xmlns='urn:xmpp:sm:3' h='0' previd='{known}'/>",
  "<a xmlns='urn:xmpp:sm:3' h='1'/>",
  "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHgAeA==</auth>",
  "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>",
];

const AUTHENTICATE = (inside: string, mechanism = "PLAIN"): string =>
  `<authenticate xmlns='urn:xmpp:sasl:2' mechanism='${mechanism}'><initial-response>{plain}</initial-response>${inside}</authenticate>`;
const AGENT =
  "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>AwesomeXMPP</software><device>Kiva's Phone</device></user-agent>";

/** What a stream may begin with before there is a session. */
export const BEFORE: readonly string[] = [
  AUTHENTICATE(AGENT),
  AUTHENTICATE(
    `${AGENT}<bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag><inactive xmlns='urn:xmpp:csi:0'/><enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>`,
  ),
  AUTHENTICATE(
    `${AGENT}<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/><bind xmlns='urn:xmpp:bind:0'/>`,
  ),
  AUTHENTICATE(`<fast xmlns='urn:xmpp:fast:0' count='1' invalidate='true'/>${AGENT}`, "HT-SHA-256-NONE"),
  AUTHENTICATE("<resume xmlns='urn:xmpp:sm:3' h='0' previd='{known}'/>"),
  AUTHENTICATE("", "SCRAM-SHA-256"),
  AUTHENTICATE("", "X-OAUTH"),
  "<response xmlns='urn:xmpp:sasl:2'>{plain}</response>",
  "<abort xmlns='urn:xmpp:sasl:2'/>",
  "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>",
  "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj11c2VyLHI9ZnlrbytkMmxiYmZhZg==</auth>",
  "<iq type='get' id='b'><query xmlns='jabber:iq:register'/></iq>",
  "<iq type='set' id='b'><query xmlns='jabber:iq:register'><username>{fresh}</username><password>secret</password></query></iq>",
  "<iq type='set' id='b' to='localhost'><preauth xmlns='urn:xmpp:pars:0' token='{known}'/></iq>",
  "<enable xmlns='urn:xmpp:sm:3'/>",
  "<resume xmlns='urn:xmpp:sm:3' h='0' previd='{known}'/>",
  "<inactive xmlns='urn:xmpp:csi:0'/>",
];
