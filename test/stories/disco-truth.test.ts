// XEP-0030: the server and accounts tell exactly what works: every request that a running feature answers is told, every
// feature that is told belongs to one that runs, and every service that is listed is there.
import { describe, expect } from "vitest";
import { MODULES } from "../../modules/index.ts";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf } from "../support/match.ts";
import { type Scene, stage } from "../support/story.ts";
import type { Changes } from "../support/story-server.ts";

const NS_INFO = "http://jabber.org/protocol/disco#info";
const NS_ITEMS = "http://jabber.org/protocol/disco#items";

/** Requests that the protocol has no feature for, or that are told elsewhere. */
const UNTOLD: ReadonlySet<string> = new Set([
  "jabber:iq:roster", // RFC 6121: every server of instant messaging has it
  "urn:ietf:params:xml:ns:xmpp-session",
  "http://jabber.org/protocol/pubsub#owner", // told as pubsub (XEP-0060 §10)
  "erlang-solutions.com:xmpp:inbox:0#conversation", // told as the inbox
]);
/** Features whose protocol has no requests to the server. */
const name = (feature: string): boolean => feature.includes(":") || feature.includes("/");

async function told(c: Client, to: string): Promise<Set<string>> {
  c.says(`<iq type="get" id="info-${to}" to="${to}"><query xmlns="${NS_INFO}"/></iq>`);
  const answer = await c.hears(`<iq type="result" id="info-${to}" from="${to}"/>`);
  const features = childrenOf(childOf(answer, "query", NS_INFO)!).filter((e) => e.name === "feature");
  const list = features.map((e) => e.attrs["var"]);
  expect(list.filter((f, i) => list.indexOf(f) !== i)).toEqual([]);
  return new Set(list);
}

async function listed(c: Client, to: string): Promise<string[]> {
  c.says(`<iq type="get" id="items-${to}" to="${to}"><query xmlns="${NS_ITEMS}"/></iq>`);
  const answer = await c.hears(`<iq type="result" id="items-${to}" from="${to}"/>`);
  return childrenOf(childOf(answer, "query", NS_ITEMS)!).map((e) => e.attrs["jid"]);
}

const running = (server: Scene["server"]) => [...[...server.node.hosts.values()][0].modules.values()];
/** Namespaces of the requests that running features answer for one of these targets. */
const answered = (server: Scene["server"], ...targets: string[]): string[] =>
  running(server)
    .flatMap(({ def }) => Object.keys(def.iq ?? {}))
    .filter((key) => targets.includes(key.split(" ")[1]))
    .map((key) => key.split(" ")[2])
    .filter((ns, i, all) => all.indexOf(ns) === i && !UNTOLD.has(ns));

/** Everything that needs no more than its name to run. */
const EVERYTHING: Changes = Object.fromEntries(
  MODULES.filter(({ config }) => config.safeParse({}).success).map((m) => [m.name, {}]),
);
// Without a kind of archive there is none.
EVERYTHING["mod_mam"] = { pm: {} };

for (const [what, modules] of [
  ["everything", EVERYTHING],
  ["the usual", {}],
  ["nearly nothing", Object.fromEntries([...Object.keys(EVERYTHING)].filter((m) => !KEPT(m)).map((m) => [m, null]))],
] as const) {
  describe(`with ${what}`, () => {
    const { story } = stage({ modules });

    story(
      "what is answered is told",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const ofServer = await told(romeo, "localhost");
        const ofAccount = await told(romeo, romeo.bare);
        expect(answered(server, "host").filter((ns) => !ofServer.has(ns))).toEqual([]);
        const either = answered(server, "account", "own").filter((ns) => !ofServer.has(ns) && !ofAccount.has(ns));
        expect(either).toEqual([]);
      },
      { door: "tcp" },
    );

    story(
      "what is told as a request's namespace is answered",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const known = new Set(MODULES.flatMap((m) => Object.keys(m.iq ?? {})).map((key) => key.split(" ")[2]));
        const works = new Set(answered(server, "host", "account", "own"));
        for (const to of ["localhost", romeo.bare]) {
          const lies = [...(await told(romeo, to))].filter((f) => name(f) && known.has(f) && !works.has(f));
          // A service on its own domain is told at the domain above.
          expect(lies.filter((f) => f !== "http://jabber.org/protocol/pubsub" || to !== "localhost")).toEqual([]);
        }
      },
      { door: "tcp" },
    );

    story(
      "the services that are listed are those of the features that run, and answer",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const addresses = running(server).flatMap(({ def, ctx }) =>
          (def.services ?? []).filter((s) => s.listed !== false).flatMap((s) => s.address(ctx.config) ?? []),
        );
        const services = (await listed(romeo, "localhost")).sort();
        expect(services).toEqual(addresses.map((a) => a.replace("@HOST@", "localhost")).sort());
        for (const service of services) expect((await told(romeo, service)).has(NS_INFO)).toBe(true);
        expect(await listed(romeo, romeo.bare)).toEqual([romeo.full]);
      },
      { door: "tcp" },
    );
  });
}

/** What the stories themselves need. */
function KEPT(module: string): boolean {
  return ["mod_disco", "mod_presence", "mod_ping", "mod_roster"].includes(module);
}
