// The machine's clock is set while the server runs, between two runs and after a kill: back, far forward, right again.
// Nothing that was acknowledged is lost, nothing appears twice, the order in which messages were sent stays the order of
// archives and inboxes, and nobody is locked out or has to wait until the clock has caught up.
//
//   bun test/fault/clock.ts [--phase MS]      needs dist/mongooseimctl and libfaketime, which sets the clock of the server
//
// Clients chat in every phase, in the middle of which the clock is set. After each phase all archives are read from both
// ends and compared with what was acknowledged since the beginning.
//
// The last line is `clock: N passed, N failed`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BinaryServer, freePort } from "../support/binary.ts";
import { auth, c2s, general, MANY_REGISTRATIONS } from "../support/config-text.ts";
import { FAKETIME_PACKAGE, FakeClock, faketimeLibrary } from "../support/faketime.ts";
import { Checks, option } from "../support/script.ts";
import { LoadClient } from "./client.ts";
import { Ledger, lateness, Person } from "./clock/people.ts";
import { problemsOf } from "./clock/reading.ts";

/** Milliseconds of a phase. */
const PHASE = option("phase", 1000);
const HOUR = 3600;
const DAY = 86_400;
/** Messages that such a sender sends at once. */
const BURST = 5;

const library = faketimeLibrary();
if (library === undefined) throw new Error(`Install ${FAKETIME_PACKAGE} first`);
const scratch = mkdtempSync(join(tmpdir(), "mongooseim-clock-"));
const clock = new FakeClock(library, scratch);
const port = await freePort();
/** Where bytes are counted, and where stanzas are: who sends is held up most of the time. */
const [shaped, counted] = [await freePort(), await freePort()];
/** Of a pair one sends, through one of these, and the other reads. */
const doors = [port, shaped, counted];
const server = new BinaryServer({
  port,
  stateDir: join(scratch, "state"),
  env: clock.env,
  config: `${general([MANY_REGISTRATIONS])}${c2s(port)}${c2s(shaped, ['shaper = "slow"'])}${c2s(counted, [
    "max_stanzas_per_second = 100",
  ])}${auth("internal", { plain: true })}
[modules.mod_inbox]
[modules.mod_mam]
[modules.mod_mam.pm]
[modules.mod_offline]
[modules.mod_ping]
  send_pings = true
  ping_interval = 1
[modules.mod_presence]
[modules.mod_register]
[modules.mod_stream_management]
[modules.mod_time]

[shaper.slow]
  max_rate = 20_000

[access]
  register = [{acl = "all", value = "allow"}]
`,
});
const checks = new Checks("clock", true);
const pids: number[] = [];
const start = async (): Promise<void> => {
  await server.start();
  pids.push(server.pid);
};

const ledger = new Ledger();
const people = new Map<string, Person>();
/** Messages that may come twice: their receiver's acknowledgement went down with the server. */
const repeatable = new Set<string>();

/** Makes an account. */
async function account(name: string, door = port): Promise<Person> {
  await LoadClient.register(port, name);
  const person = new Person(name, door, ledger);
  people.set(name, person);
  return person;
}

/** The server's time in seconds ahead of ours, as a client is told it (XEP-0202). */
async function ahead(person: Person): Promise<number> {
  const ask = "<iq type='get' id='time' to='localhost'><time xmlns='urn:xmpp:time'/></iq>";
  const told = /<utc>([^<]*)</.exec(await person.client.ask("time", ask))?.[1] ?? "";
  return Math.round((Date.parse(told) - Date.now()) / 1000);
}

await start();
const senders: Person[] = [];
const readers: Person[] = [];
for (const [i, door] of doors.entries()) {
  senders.push(await account(`sender-${i}`, door));
  readers.push(await account(`reader-${i}`));
}
/** The two who take turns: of their messages the whole order is known. */
const one = await account("turn-one");
const two = await account("turn-two");
/** Is offline most of the time. */
const sleeper = await account("sleeper");
/** Says nothing, and is pinged. */
const quiet = await account("quiet");
const always = [...senders, ...readers, one, two, quiet];
const everybodyIn = async (): Promise<void> => {
  for (const person of always) await person.login();
};

/** Sends bursts until it is told to stop or the connection is gone. */
async function talk(from: Person, to: Person, over: () => boolean): Promise<void> {
  let gone = false;
  void from.client.gone.then(() => {
    gone = true;
  });
  while (!over() && !gone) {
    await from.say(to, BURST);
    await Bun.sleep(5);
  }
}

async function takeTurns(ms: number): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    await one.say(two);
    await two.say(one);
    await Bun.sleep(5);
  }
  await one.say(sleeper);
}

let newcomers = 0;

/** Everybody chats, and in the middle something happens; then somebody new says something to the second of the two. */
async function chat(middle: () => Promise<void> = async () => {}): Promise<void> {
  let over = false;
  const talks = senders.map((sender, i) => talk(sender, readers[i], () => over));
  await takeTurns(PHASE / 2);
  await middle();
  await takeTurns(PHASE / 2);
  const newcomer = await account(`turn-new-${++newcomers}`);
  await newcomer.login();
  await newcomer.say(two);
  over = true;
  await Promise.all(talks);
  await newcomer.client.close();
  await settle();
}

/** Resolves when what was sent has arrived, and the server knows it. */
async function settle(): Promise<void> {
  for (let round = 0; round < 2; round++) {
    for (const [i, person] of always.entries()) await person.client.settled(`settle-${round}-${i}`);
    await Bun.sleep(50);
  }
}

/** Compares what everybody has got, and is shown of the past, with what was acknowledged. */
async function compare(when: string): Promise<void> {
  const { taken } = ledger;
  const lost = taken.filter(({ id, to }) => always.some((p) => p.name === to) && !people.get(to)?.got.has(id));
  checks.none(
    `${when}: ${taken.length} messages are acknowledged, and have come`,
    lost.map(({ id }) => `${id} has not`),
  );
  const again = [...people.values()].flatMap(({ got }) =>
    [...got].filter(([id, n]) => n > 1 && !repeatable.has(id)).map(([id, n]) => `${id} came ${n} times`),
  );
  checks.none(`${when}: none came twice`, again);
  const wrong: string[] = [];
  for (const name of people.keys()) wrong.push(...(await problemsOf(port, name, ledger)));
  checks.none(`${when}: archives and inboxes are right`, wrong);
}

/** Sets the clock so many seconds ahead of the right time, and has the server asked for it. */
async function setClock(seconds: number): Promise<void> {
  clock.set(seconds);
  const told = await ahead(quiet);
  checks.check(`the server's clock is at ${seconds} s`, Math.abs(told - seconds) <= 1, `${told}`);
}

/** The one who was away comes, and gets what has waited, in order. */
async function wake(when: string): Promise<void> {
  await sleeper.login();
  await sleeper.client.settled("awake");
  await Bun.sleep(200);
  await sleeper.client.settled("wide-awake");
  await sleeper.client.close();
  const meant = ledger.taken.filter(({ to }) => to === sleeper.name).map(({ id }) => id);
  const told = [...sleeper.got.keys()];
  checks.check(
    `${when}: ${meant.length} messages have waited, and came in order`,
    told.join() === meant.join(),
    `${told.join()} in place of ${meant.join()}`,
  );
}

async function whileItRuns(): Promise<void> {
  await everybodyIn();
  await chat(() => setClock(-HOUR));
  await compare("an hour back");
  const before = quiet.pings;
  for (let i = 0; i < 40 && quiet.pings < before + 2; i++) await Bun.sleep(100);
  checks.check("an hour back: silent clients are pinged", quiet.pings >= before + 2, `${quiet.pings - before}`);
  await wake("an hour back");
}

/** What the clock is set back by while the server is down. */
const STEPS = [
  ["half a minute", 30],
  ["an hour", HOUR],
] as const;

/** The server, which is down, starts with a clock that is behind. */
async function startsBack(seconds: number, what: string): Promise<void> {
  clock.set(clock.offset - seconds);
  await start();
  await everybodyIn();
  await chat();
  await compare(what);
}

async function betweenRuns(): Promise<void> {
  for (const [what, seconds] of STEPS) {
    const code = await server.stop();
    checks.check("the server stops", code === 0, String(code));
    await startsBack(seconds, `${what} back at a restart`);
  }
  await wake("back at a restart");
}

async function afterKills(): Promise<void> {
  for (const [what, seconds] of STEPS) {
    const from = ledger.sent.length;
    const talks = senders.map((sender, i) => talk(sender, readers[i], () => false));
    await takeTurns(PHASE / 2);
    await server.kill();
    await Promise.all(talks);
    for (const { id } of ledger.sent.slice(from)) repeatable.add(id);
    await startsBack(seconds, `${what} back after a kill`);
  }
  await wake("back after a kill");
}

/** Far ahead and right again, with streams that broke before and may be resumed. */
async function farAhead(): Promise<void> {
  const torn = [await account("torn-short"), await account("torn-long")];
  for (const person of torn) {
    await person.login();
    await person.client.settled("here");
    person.client.cut();
  }
  const comesBack = async (person: Person, when: string): Promise<void> => {
    const resumed = await person.resume();
    checks.check(`${when}: a stream that broke before is resumed`, resumed);
    if (resumed) always.push(person);
  };
  await Bun.sleep(50);
  for (const person of torn) await one.say(person);
  await chat(async () => {
    await setClock(DAY);
    for (const person of torn) await one.say(person);
    // Timers have had their turn.
    await Bun.sleep(600);
  });
  await comesBack(torn[0], "a day ahead");
  await settle();
  const cut = Promise.race(always.map(({ name, client }) => client.gone.then(() => name)));
  const first = await Promise.race([cut, Bun.sleep(10)]);
  checks.check("a day ahead: nobody was cut off", first === undefined, first);
  await compare("a day ahead");
  await chat(async () => {
    await setClock(0);
    for (const person of torn) await one.say(person);
    await Bun.sleep(600);
  });
  await comesBack(torn[1], "right again");
  await settle();
  await compare("right again");
  await wake("right again");
  await server.stop();
  await start();
  await everybodyIn();
  await chat();
  await compare("restarted with the right clock");
}

try {
  for (const part of [whileItRuns, betweenRuns, afterKills, farAhead]) {
    await Promise.race([part(), lateness(part.name, 60_000)]);
  }
  const errors = /level=(error|critical|alert|emergency)/.test(server.log);
  checks.check("the server's log has no errors", !errors, errors ? server.log.slice(-4000) : "");
} catch (error) {
  checks.brokeOff(error, server.log);
} finally {
  await server.kill();
  for (const pid of pids) clock.forget(pid);
  rmSync(scratch, { recursive: true, force: true });
}
checks.end();
