import { expect, test } from "vitest";
import modVersion from "../../../modules/mod_version.ts";
import { FakeServer } from "../../support/fake-server.ts";

const ask = "<iq type='get' id='v' to='localhost'><query xmlns='jabber:iq:version'/></iq>";

test("XEP-0092: the server tells its name and version", async () => {
  const server = new FakeServer();
  await server.startModule(modVersion);
  const romeo = server.connect("romeo@localhost/orchard");
  await romeo.sends(ask);
  romeo.hears(
    "<iq from='localhost' id='v' to='romeo@localhost/orchard' type='result'><query xmlns='jabber:iq:version'><name>MongooseIM</name><version>0.0.0-test</version></query></iq>",
  );
});

test("the operating system is told only when os_info says so", async () => {
  const server = new FakeServer();
  await server.startModule(modVersion, { os_info: true });
  const romeo = server.connect("romeo@localhost/orchard");
  await romeo.sends(ask);
  expect(romeo.received()[0]).toMatch(/<os>\S+ \S+<\/os>/);
});
