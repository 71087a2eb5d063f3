"""An actor of test/interop that speaks through slixmpp: over STARTTLS, with SCRAM and stream management.

Commands come in on stdin and events go out on stdout, one JSON object a line (see actor.ts).
"""

import asyncio
import json
import sys
from pathlib import Path

import slixmpp
from slixmpp import ClientXMPP


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Client(ClientXMPP):
    def __init__(self, jid, password, port, ca):
        # The one channel binding that slixmpp 1.8 knows, tls-unique, does not exist in TLS 1.3 (RFC 9266), but it insists
        # on it or claims that the server has none: it must be told to do without.
        super().__init__(jid, password, sasl_mech="SCRAM-SHA-256")
        mechanisms = self["feature_mechanisms"]
        credentials = mechanisms.sasl_callback
        mechanisms.sasl_callback = lambda *wanted: {**credentials(*wanted), "channel_binding": None}
        self.port = port
        self.ca_certs = Path(ca)
        self.leaving = False
        # The play decides who is whose friend.
        self.auto_authorize = None
        self.auto_subscribe = False
        self.register_plugin("xep_0198")
        self.register_plugin("xep_0203")
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("sm_enabled", lambda _: self.on_managed())
        self.add_event_handler("session_resumed", lambda _: tell("resumed"))
        self.add_event_handler("disconnected", self.on_disconnected)
        self.add_event_handler("failed_all_auth", lambda _: tell("failed", why="authentication"))
        self.add_event_handler("ssl_invalid_chain", lambda _: tell("failed", why="certificate"))
        self.add_event_handler("message", self.on_message)
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "available", "unavailable"):
            self.add_event_handler(f"presence_{kind}", self.on_presence)

    def go(self):
        self.connect(("127.0.0.1", self.port), force_starttls=True)

    async def on_start(self, _):
        tls = self.transport.get_extra_info("ssl_object")
        self.how = {"mechanism": self["feature_mechanisms"].mech.name, "tls": tls.version() if tls else None}
        await self.get_roster()
        # Stream management is enabled after binding; "online" is told when both are done.
        if self["xep_0198"].enabled_in:
            self.on_managed()

    def on_managed(self):
        if hasattr(self, "how"):
            tell("online", **self.how)
            del self.how

    def on_disconnected(self, _):
        tell("offline")
        if not self.leaving:
            self.loop.call_later(0.2, self.go)

    def on_message(self, m):
        if m["body"]:
            stamp = m["delay"]["stamp"] if m.get_plugin("delay", check=True) is not None else None
            tell("message", **{"from": m["from"].bare}, body=m["body"], delayed=stamp.isoformat() if stamp else None)

    def on_presence(self, p):
        if p["from"].bare != self.boundjid.bare:
            tell("presence", **{"from": p["from"].bare}, type=p["type"] if p["type"] in p.types else "available")


class Actor:
    client = None

    async def do(self, c):
        xmpp = self.client
        match c["do"]:
            case "login":
                self.client = Client(c["jid"], c["password"], c["port"], c["ca"])
                self.client.go()
            case "logout":
                xmpp.leaving = True
                # As a person who closes the program: this session is not to be resumed.
                await xmpp.disconnect()
            case "presence":
                xmpp.send_presence(pto=c.get("to"), ptype=c.get("type"))
            case "say":
                xmpp.send_message(mto=c["to"], mbody=c["body"], mtype="chat")
            case "roster":
                iq = await xmpp.get_roster()
                items = {str(jid): item["subscription"] for jid, item in iq["roster"]["items"].items()}
                tell("roster", items=items)


async def main():
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tell("ready", client=f"slixmpp {slixmpp.__version__}")
    actor = Actor()
    while line := await lines.readline():
        await actor.do(json.loads(line))


asyncio.get_event_loop_policy().get_event_loop().run_until_complete(main())
