// XML namespaces, by the name of what they mark. One constant a namespace; features keep their own in their files.

export const NS_CLIENT = "jabber:client";
export const NS_STREAM = "http://etherx.jabber.org/streams";
export const NS_STREAMS = "urn:ietf:params:xml:ns:xmpp-streams";
export const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
export const NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls";
export const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
export const NS_SASL2 = "urn:xmpp:sasl:2";
export const NS_SASL_CB = "urn:xmpp:sasl-cb:0";
export const NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind";
export const NS_SESSION = "urn:ietf:params:xml:ns:xmpp-session";
export const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
export const NS_XML = "http://www.w3.org/XML/1998/namespace";
export const NS_XMLNS = "http://www.w3.org/2000/xmlns/";
export const NS_SM = "urn:xmpp:sm:3";
export const NS_DELAY = "urn:xmpp:delay";
export const NS_HINTS = "urn:xmpp:hints";
export const NS_FORWARD = "urn:xmpp:forward:0";
export const NS_SID = "urn:xmpp:sid:0";
export const NS_DISCO_INFO = "http://jabber.org/protocol/disco#info";
export const NS_DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
export const NS_DATA = "jabber:x:data";
export const NS_ROSTER = "jabber:iq:roster";
export const NS_ROSTER_VER = "urn:xmpp:features:rosterver";
export const NS_CHATSTATES = "http://jabber.org/protocol/chatstates";
