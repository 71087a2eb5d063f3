import { expect, test } from "vitest";
import modTime, { offset } from "../../../modules/mod_time.ts";
import { FakeServer } from "../../support/fake-server.ts";

test("XEP-0202: the server tells its time in UTC and its zone", async () => {
  const server = new FakeServer();
  await server.startModule(modTime);
  const romeo = server.connect("romeo@localhost/orchard");
  await romeo.sends("<iq type='get' id='t' to='localhost'><time xmlns='urn:xmpp:time'/></iq>");
  const zone = offset(-new Date(server.now()).getTimezoneOffset());
  romeo.hears(
    `<iq from='localhost' id='t' to='romeo@localhost/orchard' type='result'><time xmlns='urn:xmpp:time'><tzo>${zone}</tzo><utc>2026-11-22T12:00:00Z</utc></time></iq>`,
  );
});

test.each([
  [0, "+00:00"],
  [60, "+01:00"],
  [-150, "-02:30"],
])("a zone of %i minutes is written %s", (minutes, text) => expect(offset(minutes)).toBe(text));
