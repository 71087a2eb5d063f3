"""Two slixmpp clients talk, and read their archives through the library's plugin for XEP-0313.

    slixmpp_archive.py PORT CA ALICE BOB PASSWORD

Every fact is a line `{"fact": ..., "holds": ..., "seen": ...}` on stdout.
"""

import asyncio
import json
import sys
from pathlib import Path

import slixmpp
from slixmpp.exceptions import IqError

PORT, CA, ALICE, BOB, PASSWORD = int(sys.argv[1]), *sys.argv[2:6]
DOMAIN = ALICE.split("@")[1]


def fact(words, holds, seen=None):
    print(json.dumps({"fact": words, "holds": bool(holds), "seen": None if holds else str(seen)}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid):
        # As slixmpp_client.py: its only channel binding does not exist in TLS 1.3.
        super().__init__(jid, PASSWORD, sasl_mech="SCRAM-SHA-256")
        mechanisms = self["feature_mechanisms"]
        credentials = mechanisms.sasl_callback
        mechanisms.sasl_callback = lambda *wanted: {**credentials(*wanted), "channel_binding": None}
        for plugin in ("xep_0030", "xep_0059", "xep_0313", "xep_0441", "xep_0359"):
            self.register_plugin(plugin)
        self.ca_certs = Path(CA)
        self.heard = asyncio.Queue()
        self.started = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.started.set())
        self.add_event_handler("message", self.heard.put_nowait)


def forwarded(message):
    return message["mam_result"]["forwarded"]["stanza"]


def bodies(messages):
    return [forwarded(m)["body"] for m in messages]


async def talk(alice, bob, count):
    for n in range(1, count + 1):
        one, other = (alice, bob) if n % 2 else (bob, alice)
        one.send_message(mto=other.boundjid.full, mbody=f"Message #{n}", mtype="chat")
        await asyncio.wait_for(other.heard.get(), 8)


async def reading(alice, bob):
    mam = alice["xep_0313"]
    info = await alice["xep_0030"].get_info(jid=alice.boundjid.bare)
    for ns in ("urn:xmpp:mam:2", "urn:xmpp:mam:2#extended"):
        fact(f"the account says that it knows {ns}", ns in info["disco_info"]["features"], info)
    empty = await mam.get_archive_metadata()
    fact("the archive is empty at first", empty["mam_metadata"].xml.find("{urn:xmpp:mam:2}start") is None, empty)
    await talk(alice, bob, 25)
    answer = await mam.retrieve(with_jid=BOB, rsm={"max": 50})
    expected = [f"Message #{n}" for n in range(1, 26)]
    fact("a query gives the conversation", bodies(answer["mam"]["results"]) == expected, bodies(answer["mam"]["results"]))
    first = answer["mam"]["results"][0]
    fact("each message has its time", first["mam_result"]["forwarded"]["delay"]["stamp"] is not None, first)
    fact("and its sender", forwarded(first)["from"] == alice.boundjid, first)
    pages = [m async for m in mam.iterate(rsm={"max": 10})]
    fact("pages come one after the other", bodies(pages) == expected, bodies(pages))
    # Its iterator ends with the first page that is the end of the archive, backwards too.
    backwards = [m async for m in mam.iterate(rsm={"max": 10}, reverse=True)]
    fact("and from the end", bodies(backwards)[:10] == expected[:-11:-1], bodies(backwards))
    few = [m async for m in mam.iterate(with_jid=BOB, reverse=True, rsm={"max": 5}, total=5)]
    fact("as many as are wanted", len(few) == 5, bodies(few))
    start = pages[4]["mam_result"]["forwarded"]["delay"]["stamp"]
    end = pages[9]["mam_result"]["forwarded"]["delay"]["stamp"]
    between = [m async for m in mam.iterate(start=start, end=end)]
    fact("of a time", bodies(between)[:1] == ["Message #5"] and len(between) in (5, 6), bodies(between))
    meta = (await mam.get_archive_metadata())["mam_metadata"]
    ids = [m["mam_result"]["id"] for m in pages]
    fact("metadata tell the ends", [meta["start"]["id"], meta["end"]["id"]] == [ids[0], ids[-1]], meta)
    fields = await mam.get_fields()
    fact("the form tells the fields", {"with", "start", "end", "ids"} <= set(fields.get_fields()), fields)
    try:
        await mam.retrieve(jid=BOB)
        refused = ""
    except IqError as error:
        refused = error.condition
    fact("another's archive is not given", refused == "forbidden", refused)


async def preferring(alice, bob):
    prefs = alice["xep_0441"]
    before = await prefs.get_preferences()
    fact("everything is archived by default", before[0] == "always" and not before[1] and not before[2], before)
    after = (await prefs.set_preferences(default="never", never=[BOB]))["mam_prefs"]
    fact("preferences are set", after["default"] == "never" and {str(j) for j in after["never"]} == {BOB}, after)
    last = (await alice["xep_0313"].get_archive_metadata())["mam_metadata"]["end"]["id"]
    await talk(alice, bob, 2)
    still = (await alice["xep_0313"].get_archive_metadata())["mam_metadata"]["end"]["id"]
    fact("and followed", last == still, still)


async def main():
    alice, bob = Client(ALICE), Client(BOB)
    for client in (alice, bob):
        client.connect(("127.0.0.1", PORT), force_starttls=True)
    for client in (alice, bob):
        await asyncio.wait_for(client.started.wait(), 15)
        fact(f"{client.boundjid.user} logs in", True)
        client.send_presence()
    for name, act in (("reading", reading(alice, bob)), ("preferring", preferring(alice, bob))):
        try:
            await asyncio.wait_for(act, 60)
        except Exception as error:  # one act that breaks off must not hide the others
            fact(f"the act {name} goes on", False, repr(error))
    for client in (alice, bob):
        await client.disconnect()


asyncio.get_event_loop_policy().get_event_loop().run_until_complete(main())
