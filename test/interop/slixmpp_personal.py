"""Two slixmpp clients use the personal extensions, through the library's plugins: capabilities, personal eventing,
avatars, blocking, vCards, ad-hoc commands, private storage and the small ones.

    slixmpp_personal.py PORT CA ALICE BOB PASSWORD

Every fact is a line `{"fact": ..., "holds": ..., "seen": ...}` on stdout.
"""

import asyncio
import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import slixmpp
from slixmpp.exceptions import IqError

PORT, CA, ALICE, BOB, PASSWORD = int(sys.argv[1]), *sys.argv[2:6]
DOMAIN = ALICE.split("@")[1]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000100ffff03000006000557bfabd40000000049454e44ae426082"
)
PLUGINS = (
    "xep_0012 xep_0030 xep_0048 xep_0049 xep_0050 xep_0054 xep_0060 xep_0077 xep_0084 xep_0092 xep_0115 xep_0118 xep_0153 "
    "xep_0163 xep_0172 xep_0191 xep_0199 xep_0202 xep_0223 xep_0280 xep_0352"
).split()


def fact(words, holds, seen=None):
    print(json.dumps({"fact": words, "holds": bool(holds), "seen": None if holds else str(seen)}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid):
        # As slixmpp_client.py: its only channel binding does not exist in TLS 1.3.
        super().__init__(jid, PASSWORD, sasl_mech="SCRAM-SHA-256")
        mechanisms = self["feature_mechanisms"]
        credentials = mechanisms.sasl_callback
        mechanisms.sasl_callback = lambda *wanted: {**credentials(*wanted), "channel_binding": None}
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.ca_certs = Path(CA)
        self.auto_authorize = True
        self.auto_subscribe = True
        self.heard = asyncio.Queue()
        self.started = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.started.set())

    def listen(self, *events):
        for event in events:
            self.add_event_handler(event, lambda x, event=event: self.heard.put_nowait((event, x)))

    async def sees(self, event, which=lambda _: True, seconds=8):
        """Waits for an event; what came before it is forgotten. None when it does not come."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                name, what = await asyncio.wait_for(self.heard.get(), end - asyncio.get_running_loop().time())
            except (asyncio.TimeoutError, ValueError):
                return None
            if name == event and which(what):
                return what

    def hears_nothing(self, event):
        return all(name != event for name, _ in list(self.heard._queue))


async def condition(call):
    """The error condition a request is answered with, "" for a result."""
    try:
        await call
    except IqError as error:
        return error.condition
    return ""


async def features(client, jid):
    info = await client["xep_0030"].get_info(jid=jid, cached=False)
    return info["disco_info"]


async def discovery(alice, bob):
    server = await features(alice, DOMAIN)
    for ns in ("urn:xmpp:blocking", "vcard-temp", "urn:xmpp:ping", "http://jabber.org/protocol/commands", "urn:xmpp:sic:1"):
        fact(f"the server says that it knows {ns}", ns in server["features"], server["features"])
    own = await features(alice, alice.boundjid.bare)
    fact("the account says that it is a personal eventing service", ("pubsub", "pep") in {i[:2] for i in own["identities"]}, own)
    for ns in ("http://jabber.org/protocol/pubsub#publish", "http://jabber.org/protocol/pubsub#access-whitelist"):
        fact(f"the account says that it knows {ns}", ns in own["features"], own["features"])
    fact("a contact may discover the account", "http://jabber.org/protocol/pubsub#publish" in (await features(bob, alice.boundjid.bare))["features"])


async def eventing(alice, bob):
    await alice["xep_0118"].publish_tune(artist="Orff", title="O Fortuna")
    tune = await bob.sees("user_tune_publish")
    got = tune and tune["pubsub_event"]["items"]["item"]["tune"]
    fact("a contact hears what is published", got and got["artist"] == "Orff" and got["title"] == "O Fortuna", tune)
    fact("and who published it", tune and tune["from"] == alice.boundjid.bare, tune)
    await alice["xep_0172"].publish_nick("Ally")
    nick = await bob.sees("user_nick_publish")
    fact("a nickname arrives", nick and nick["pubsub_event"]["items"]["item"]["nick"]["nick"] == "Ally", nick)
    items = await bob["xep_0060"].get_items(alice.boundjid.bare, "http://jabber.org/protocol/nick")
    fact("a contact may read the node", "Ally" in str(items), items)
    payload = ElementTree.fromstring("<secret xmlns='urn:test:private'>sesame</secret>")
    await alice["xep_0060"].publish(alice.boundjid.bare, "urn:test:private", payload=payload, options=options(alice, "whitelist"))
    own = await alice["xep_0060"].get_items(alice.boundjid.bare, "urn:test:private")
    fact("the owner reads a whitelist node", "sesame" in str(own), own)
    refused = await condition(bob["xep_0060"].get_items(alice.boundjid.bare, "urn:test:private"))
    fact("nobody else reads a whitelist node", refused in ("forbidden", "not-allowed", "item-not-found"), refused)
    refused = await condition(bob["xep_0060"].publish(alice.boundjid.bare, "http://jabber.org/protocol/nick"))
    fact("nobody else publishes", refused == "forbidden", refused)


def options(client, access_model):
    form = client["xep_0004"].make_form(ftype="submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
    form.add_field(var="pubsub#access_model", value=access_model)
    form.add_field(var="pubsub#persist_items", value="true")
    return form


async def avatars(alice, bob):
    await alice["xep_0054"].publish_vcard(alice["xep_0054"].make_vcard())
    # XEP-0398 §7: an avatar that not everybody may see is not put where everybody looks.
    everybody = options(alice, "open")
    await alice["xep_0084"].publish_avatar(PNG, options=everybody)
    avatar = alice["xep_0084"].generate_id(PNG)
    await alice["xep_0084"].publish_avatar_metadata([{"id": avatar, "type": "image/png", "bytes": str(len(PNG))}], options=everybody)
    told = await bob.sees("avatar_metadata_publish", lambda m: m["from"].bare == alice.boundjid.bare)
    info = told and told["pubsub_event"]["items"]["item"]["avatar_metadata"]["items"]
    fact("a contact hears of a new avatar", info and info[0]["id"] == avatar, told)
    data = await bob["xep_0084"].retrieve_avatar(alice.boundjid.bare, avatar)
    fact("and fetches it", data["pubsub"]["items"]["item"]["avatar_data"]["value"] == PNG, data)
    photo = (await bob["xep_0054"].get_vcard(alice.boundjid.bare, cached=False))["vcard_temp"]["PHOTO"]
    fact("older clients find it in the vCard (XEP-0398)", photo["BINVAL"] == PNG, photo)


async def vcards(alice, bob):
    vcard = alice["xep_0054"].make_vcard()
    vcard["FN"] = "Alice of Wonderland"
    vcard["NICKNAME"] = "Ally"
    await alice["xep_0054"].publish_vcard(vcard)
    seen = (await bob["xep_0054"].get_vcard(alice.boundjid.bare, cached=False))["vcard_temp"]
    fact("a vCard is read by others", seen["FN"] == "Alice of Wonderland", seen)
    # The plugin adds the photo to the vCard that is there.
    await bob["xep_0054"].publish_vcard(bob["xep_0054"].make_vcard())
    await bob["xep_0153"].set_avatar(avatar=PNG, mtype="image/png")
    photo = (await alice["xep_0054"].get_vcard(bob.boundjid.bare, cached=False))["vcard_temp"]["PHOTO"]
    fact("a vCard avatar is kept", photo["BINVAL"] == PNG, photo)
    told = await alice.sees("avatar_metadata_publish", lambda m: m["from"].bare == bob.boundjid.bare)
    fact("newer clients hear of it (XEP-0398)", told and alice["xep_0084"].generate_id(PNG) in str(told), told)


async def blocking(alice, bob):
    alice.heard = asyncio.Queue()
    await alice["xep_0191"].block(bob.boundjid.bare)
    gone = await bob.sees("presence_unavailable", lambda p: p["from"].bare == alice.boundjid.bare)
    fact("who is blocked sees the other go", gone is not None)
    listed = (await alice["xep_0191"].get_blocked())["blocklist"]["items"]
    fact("the block list has him", listed == {slixmpp.JID(bob.boundjid.bare)}, listed)
    bob.send_message(mto=alice.boundjid.bare, mbody="Are you there?", mtype="chat")
    error = await bob.sees("message_error")
    fact("his messages come back", error and error["error"]["condition"] == "service-unavailable", error)
    fact("and are not seen", alice.hears_nothing("message"))
    await alice["xep_0191"].unblock(bob.boundjid.bare)
    back = await bob.sees("presence_available", lambda p: p["from"].bare == alice.boundjid.bare)
    fact("unblocked, he sees the other again", back is not None)
    bob.send_message(mto=alice.boundjid.bare, mbody="And now?", mtype="chat")
    heard = await alice.sees("message", lambda m: m["body"] == "And now?")
    fact("and is heard", heard is not None)


async def commands(alice):
    listed = await alice["xep_0050"].get_commands(DOMAIN)
    nodes = {node for _, node, _ in listed["disco_items"]["items"]}
    fact("the server has the ping command", "ping" in nodes, nodes)
    done = await alice["xep_0050"].send_command(DOMAIN, "ping")
    fact("and runs it", done["command"]["status"] == "completed", done)
    unknown = await condition(alice["xep_0050"].send_command(DOMAIN, "no-such-command"))
    fact("an unknown command is refused", unknown == "item-not-found", unknown)
    admin = await condition(alice["xep_0050"].send_command(DOMAIN, "http://jabber.org/protocol/admin#add-user"))
    fact("service administration is for administrators", admin == "forbidden", admin)


async def small_ones(alice, bob):
    ping = await alice["xep_0199"].ping(DOMAIN)
    fact("the server answers a ping", ping < 5, ping)
    version = (await alice["xep_0092"].get_version(DOMAIN))["software_version"]
    fact("and says what it is", version["name"] == "MongooseIM", version)
    time = (await alice["xep_0202"].get_entity_time(DOMAIN))["entity_time"]
    fact("and what time it is", time.xml.find("{urn:xmpp:time}utc") is not None, time)
    last = (await bob["xep_0012"].get_last_activity(alice.boundjid.bare))["last_activity"]
    fact("a contact may ask for the last activity", last["seconds"] >= 0, last)


async def private_storage(alice, bob):
    bookmarks = alice["xep_0048"].stanza.Bookmarks()
    bookmarks.add_conference("room@conference.example", "Alice", autojoin=True, name="The room")
    await alice["xep_0048"].set_bookmarks(bookmarks, method="xep_0049")
    back = await alice["xep_0048"].get_bookmarks(method="xep_0049")
    fact("private storage keeps bookmarks", "room@conference.example" in str(back), back)
    pep = await alice["xep_0060"].get_items(alice.boundjid.bare, "urn:xmpp:bookmarks:1")
    fact("they are found in PEP too (XEP-0402 #compat)", "room@conference.example" in str(pep), pep)
    refused = await condition(bob["xep_0060"].get_items(alice.boundjid.bare, "urn:xmpp:bookmarks:1"))
    fact("by nobody else", refused != "", refused)


async def main():
    alice, bob = Client(ALICE), Client(BOB)
    for client in (alice, bob):
        client.listen(
            "message", "message_error", "user_tune_publish", "user_nick_publish", "avatar_metadata_publish",
            "presence_available", "presence_unavailable", "roster_subscription_state",
        )
        for node in ("xep_0118", "xep_0172"):
            client["xep_0163"].add_interest(client[node].stanza.UserTune.namespace if node == "xep_0118" else client[node].stanza.UserNick.namespace)
        client["xep_0163"].add_interest("urn:xmpp:avatar:metadata")
        client.connect(("127.0.0.1", PORT), force_starttls=True)
    for client in (alice, bob):
        await asyncio.wait_for(client.started.wait(), 15)
        fact(f"{client.boundjid.user} logs in", True)
        await client.get_roster()
        await client["xep_0115"].update_caps()
        client.send_presence()
    alice.send_presence_subscription(pto=bob.boundjid.bare)
    fact("alice sees bob", await alice.sees("presence_available", lambda p: p["from"].bare == bob.boundjid.bare) is not None)
    fact("bob sees alice", await bob.sees("presence_available", lambda p: p["from"].bare == alice.boundjid.bare) is not None)
    # The server asks for the clients' features once it has seen their presence.
    await asyncio.sleep(1)
    acts = (
        ("discovery", discovery(alice, bob)), ("eventing", eventing(alice, bob)), ("avatars", avatars(alice, bob)),
        ("vcards", vcards(alice, bob)), ("blocking", blocking(alice, bob)), ("commands", commands(alice)),
        ("small ones", small_ones(alice, bob)), ("private storage", private_storage(alice, bob)),
    )
    for name, act in acts:
        try:
            await asyncio.wait_for(act, 60)
        except Exception as error:  # one act that breaks off must not hide the others
            fact(f"the act {name} goes on", False, repr(error))
    for client in (alice, bob):
        await client.disconnect()


asyncio.get_event_loop_policy().get_event_loop().run_until_complete(main())
