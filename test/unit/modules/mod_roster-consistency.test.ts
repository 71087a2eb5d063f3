// Whatever two users say to each other about subscriptions, their rosters agree in the end.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import modPresence from "../../../modules/mod_presence/index.ts";
import modRoster, { rosterOf } from "../../../modules/mod_roster/index.ts";
import { asked, hasFrom, hasTo, isAsked, type State } from "../../../modules/mod_roster/subscription.ts";
import { FakeServer } from "../../support/fake-server.ts";

const USERS = ["romeo", "juliet"] as const;
const TYPES = ["subscribe", "subscribed", "unsubscribe", "unsubscribed", "add", "remove"] as const;
const step = fc.tuple(fc.constantFrom(0, 1), fc.constantFrom(...TYPES));

const rosterSet = (contact: string, attrs: string) =>
  `<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='${contact}'${attrs}/></query></iq>`;

async function play(steps: readonly (readonly [number, (typeof TYPES)[number]])[], together: boolean) {
  const server = new FakeServer({ users: [...USERS] });
  await server.startModule(modRoster);
  await server.startModule(modPresence);
  const clients = USERS.map((user) => server.connect(`${user}@localhost/r`));
  for (const client of clients) await client.sends("<presence/>");
  const doing = steps.map(([who, what]) => () => {
    const contact = `${USERS[1 - who]}@localhost`;
    if (what === "add") return clients[who].sends(rosterSet(contact, " name='x'"));
    if (what === "remove") return clients[who].sends(rosterSet(contact, " subscription='remove'"));
    return clients[who].sends(`<presence to='${contact}' type='${what}'/>`);
  });
  if (together) await Promise.all(doing.map((run) => run()));
  else for (const run of doing) await run();
  await server.settle();
  const { store } = rosterOf(server.host)!;
  const stateOf = async (a: string, b: string): Promise<State> =>
    (await store.store.item(parseBareJid(`${a}@localhost`), `${b}@localhost`))?.state ?? "none";
  const summary = await store.summary(server, parseBareJid("romeo@localhost"));
  return { mine: await stateOf("romeo", "juliet"), theirs: await stateOf("juliet", "romeo"), summary, server };
}

test("RFC 6121 A: one has a subscription to where the other has one from, and requests wait at both ends", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { mine, theirs } = await play(steps, false);
      expect([hasTo(mine), hasFrom(mine), asked(mine), isAsked(mine)]).toEqual([
        hasFrom(theirs),
        hasTo(theirs),
        isAsked(theirs),
        asked(theirs),
      ]);
    }),
    { numRuns: 150 },
  );
});

test("what is kept in memory is what is stored, also when all is said at once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { mine, summary, server } = await play(steps, true);
      const rows = await server.db.query("SELECT 1 AS one FROM rosterusers WHERE username = 'romeo'");
      const there = (yes: boolean) => (yes ? ["juliet@localhost"] : []);
      expect(summary).toEqual({
        items: mine === "none/in" ? 0 : rows.length,
        requests: mine === "none/in" ? rows.length : 0,
        from: there(hasFrom(mine)),
        to: there(hasTo(mine)),
        pending: there(isAsked(mine)),
      });
    }),
    { numRuns: 100 },
  );
});
