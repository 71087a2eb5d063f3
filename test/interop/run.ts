// Two real clients of different authors befriend, chat, miss each other and lose their connections, through the
// compiled executable. Prints the conversation; every fact it rests on is a check.
//
//   bun test/interop/run.ts        needs dist/mongooseimctl, python3-slixmpp, node
//
// The last line is `interop: N passed, N failed`; exit code 1 when anything failed.

import { BinaryServer, freePort } from "../support/binary.ts";
import { auth, c2s, general, tls, webSocket } from "../support/config-text.ts";
import { Actor, type Happening, type Kind } from "./actor.ts";
import { Cable } from "./cable.ts";

let passed = 0;
let failed = 0;

const say = (line: string): void => console.log(line);

function check(fact: string, holds: boolean, seen?: unknown): void {
  if (holds) passed++;
  else failed++;
  say(holds ? `        ✓ ${fact}` : `        ✗ ${fact}: saw ${JSON.stringify(seen)}`);
}

const ports = { starttls: await freePort(), tls: await freePort(), ws: await freePort(), wss: await freePort() };

const config = `
${general()}
${c2s(ports.starttls, tls("starttls_required"))}
${c2s(ports.tls, tls("tls"))}
${webSocket(ports.ws)}
${webSocket(ports.wss, ['tls.verify_mode = "none"'])}
${auth("internal")}
[modules.mod_carboncopy]
[modules.mod_csi]
[modules.mod_disco]
[modules.mod_offline]
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_roster]
[modules.mod_stream_management]
`;

interface Door {
  readonly words: string;
  readonly port: number;
  /** The address as @xmpp/client wants it. */
  service?(port: number): string;
}

const STARTTLS: Door = { words: "STARTTLS", port: ports.starttls };
const TLS: Door = { words: "direct TLS", port: ports.tls, service: (port) => `xmpps://localhost:${port}` };
const WS: Door = { words: "WebSocket", port: ports.ws, service: (port) => `ws://localhost:${port}/ws-xmpp` };
const WSS: Door = { words: "secure WebSocket", port: ports.wss, service: (port) => `wss://localhost:${port}/ws-xmpp` };

/** A person: an account, a client and the cable it uses. */
class Person {
  /** Capitalised, for the narrator. */
  readonly title: string;

  private constructor(
    readonly name: string,
    readonly actor: Actor,
    readonly cable: Cable,
    readonly door: Door,
    private readonly ca: string,
  ) {
    this.title = name.replace(/^./, (c) => c.toUpperCase());
  }

  get jid(): string {
    return this.actor.jid;
  }

  static async enter(server: BinaryServer, kind: Kind, account: string, door: Door): Promise<Person> {
    const ca = server.ca;
    const name = account.replace(/\d/g, "");
    const made = await server.ctl(
      ...["account", "registerUser", "--domain", "localhost", "--username", account, "--password", "wherefore"],
    );
    check(`mongooseimctl makes the account ${account}@localhost`, made.code === 0, made);
    const actor = await Actor.start(kind, name, `${account}@localhost`, ca);
    return new Person(name, actor, await Cable.to(door.port), door, ca);
  }

  async logsIn(): Promise<Happening> {
    const { actor, cable, door, ca, jid } = this;
    const where = door.service === undefined ? { port: cable.port } : { service: door.service(cable.port) };
    actor.tell({ do: "login", jid, password: "wherefore", ca, ...where });
    const how = await actor.sees("online");
    say(`    ${this.title} logs in over ${door.words}: ${how.mechanism}${how.tls ? `, ${how.tls}` : ""}.`);
    return how;
  }

  async leaves(): Promise<void> {
    this.actor.tell({ do: "logout" });
    await this.actor.sees("offline");
    say(`    ${this.title} goes offline.`);
  }

  shows(): void {
    this.actor.tell({ do: "presence" });
  }

  answers(type: string, whom: Person): void {
    say(`    ${this.title} -> ${whom.title}: <presence type="${type}"/>`);
    this.actor.tell({ do: "presence", to: whom.jid, type });
  }

  says(body: string, whom: Person): void {
    say(`    ${this.title} -> ${whom.title}: ${body}`);
    this.actor.tell({ do: "say", to: whom.jid, body });
  }

  hears = (body: string, whom: Person): Promise<Happening> =>
    this.actor.sees("message", (h) => h.body === body && h.from === whom.jid);

  seesPresence = (type: string, whom: Person): Promise<Happening> =>
    this.actor.sees("presence", (h) => h.type === type && h.from === whom.jid);

  async subscriptionTo(whom: Person): Promise<string | undefined> {
    this.actor.tell({ do: "roster" });
    return (await this.actor.sees("roster")).items?.[whom.jid];
  }

  async exits(): Promise<void> {
    await this.actor.stop();
    this.cable.close();
  }
}

async function logIn(romeo: Person, juliet: Person): Promise<void> {
  say("  They log in.");
  for (const person of [romeo, juliet]) {
    const how = await person.logsIn();
    check(`${person.name} authenticated with SCRAM`, how.mechanism?.startsWith("SCRAM-") === true, how);
    if (how.tls !== null) check(`${person.name}'s stream is encrypted`, how.tls?.startsWith("TLSv1.") === true, how);
    person.shows();
  }
}

async function befriend(romeo: Person, juliet: Person): Promise<void> {
  say("  They befriend.");
  juliet.answers("subscribe", romeo);
  await romeo.seesPresence("subscribe", juliet);
  romeo.answers("subscribed", juliet);
  await juliet.seesPresence("subscribed", romeo);
  check("juliet sees romeo come online once he agreed", !!(await juliet.seesPresence("available", romeo)));
  romeo.answers("subscribe", juliet);
  await juliet.seesPresence("subscribe", romeo);
  juliet.answers("subscribed", romeo);
  await romeo.seesPresence("subscribed", juliet);
  check("romeo sees juliet come online once she agreed", !!(await romeo.seesPresence("available", juliet)));
  for (const [one, other] of pairs(romeo, juliet)) {
    const subscription = await one.subscriptionTo(other);
    check(`${one.name}'s roster says "both" of ${other.name}`, subscription === "both", subscription);
  }
}

async function chat(romeo: Person, juliet: Person): Promise<void> {
  say("  They chat.");
  for (const [one, other] of pairs(romeo, juliet)) {
    for (const body of ["O, speak again, bright angel! 😇", `<&> "${one.name}" 'ﷺ' \u{10348}`]) {
      one.says(body, other);
      const heard = await other.hears(body, one);
      check(`${other.name} hears it at once, letter by letter`, heard.delayed === null, heard);
    }
  }
}

async function missEachOther(away: Person, here: Person): Promise<void> {
  say(`  ${away.title} goes away and comes back.`);
  await away.leaves();
  check(`${here.name} sees ${away.name} go`, !!(await here.seesPresence("unavailable", away)));
  const bodies = ["Parting is such sweet sorrow", "That I shall say good night", "Till it be morrow"];
  for (const body of bodies) here.says(body, away);
  // The server has them when it has answered what was sent after them.
  await here.subscriptionTo(away);
  await away.logsIn();
  away.shows();
  const heard: Happening[] = [];
  for (const _ of bodies) heard.push(await away.actor.sees("message"));
  check(
    `${away.name} receives the offline messages in their order`,
    heard.every((h, i) => h.body === bodies[i] && h.from === here.jid),
    heard,
  );
  check(
    "each says when it was sent",
    heard.every((h) => Math.abs(Date.now() - Date.parse(h.delayed ?? "")) < 60_000),
    heard,
  );
  check(`${here.name} sees ${away.name} come back`, !!(await here.seesPresence("available", away)));
}

async function breakAndResume(broken: Person, other: Person): Promise<void> {
  say(`  ${broken.title}'s connection breaks.`);
  // What was on its way before has arrived when the answer to a request has.
  await other.subscriptionTo(broken);
  other.actor.took("presence");
  const bodies = ["What man art thou", "that thus bescreen'd in night", "So stumblest on my counsel?"];
  say(`    (The cable of ${broken.name} loses what it carries.)`);
  broken.cable.lose();
  other.says(bodies[0], broken);
  other.says(bodies[1], broken);
  await other.subscriptionTo(broken);
  say("    (It is cut.)");
  broken.cable.cut();
  await broken.actor.sees("offline");
  other.says(bodies[2], broken);
  await other.subscriptionTo(broken);
  broken.cable.mend();
  await broken.actor.sees("resumed");
  say(`    (The cable is mended; ${broken.name}'s client resumes its stream.)`);
  const heard: Happening[] = [];
  for (const _ of bodies) heard.push(await broken.actor.sees("message"));
  check(
    `${broken.name} receives what was sent meanwhile, in order`,
    heard.every((h, i) => h.body === bodies[i]),
    heard,
  );
  broken.says("I am here again", other);
  await other.hears("I am here again", broken);
  other.says("So I hear", broken);
  await broken.hears("So I hear", other);
  const twice = broken.actor.took("message");
  check("nothing came twice", twice.length === 0, twice);
  const gone = other.actor.took("presence");
  check(`${other.name} saw nothing of it`, gone.length === 0, gone);
}

/** What got lost on its way to the server is sent again by the client, and reaches the other once. */
async function breakWhileSpeaking(broken: Person, other: Person): Promise<void> {
  say(`  ${broken.title}'s connection breaks while speaking.`);
  const verses = Array.from({ length: 6 }, (_, i) => `Verse ${i + 1}`);
  for (const body of verses.slice(0, 3)) broken.says(body, other);
  await other.hears("Verse 3", broken);
  say(`    (The cable of ${broken.name} loses what it carries.)`);
  broken.cable.lose();
  for (const body of verses.slice(3)) broken.says(body, other);
  // The client's commands are done in their order.
  broken.actor.tell({ do: "tick" });
  await broken.actor.sees("tick");
  say("    (It is cut and mended.)");
  broken.cable.cut();
  await broken.actor.sees("offline");
  broken.cable.mend();
  await broken.actor.sees("resumed");
  broken.says("That was all", other);
  await other.hears("That was all", broken);
  const heard = ["Verse 3", ...other.actor.took("message").map((h) => h.body!)].sort();
  check(`${other.name} heard every verse exactly once`, heard.join() === verses.join(), heard);
}

const pairs = (a: Person, b: Person): [Person, Person][] => [
  [a, b],
  [b, a],
];

async function act(n: number, server: BinaryServer, julietsDoor: Door): Promise<void> {
  const romeo = await Person.enter(server, "slixmpp", `romeo${n}`, STARTTLS);
  const juliet = await Person.enter(server, "xmppjs", `juliet${n}`, julietsDoor);
  say(
    `\nAct ${n}. Romeo (${romeo.actor.client}, ${romeo.door.words}), Juliet (${juliet.actor.client}, ${juliet.door.words}).\n`,
  );
  try {
    await logIn(romeo, juliet);
    await befriend(romeo, juliet);
    await chat(romeo, juliet);
    await missEachOther(romeo, juliet);
    await missEachOther(juliet, romeo);
    await breakAndResume(romeo, juliet);
    await breakAndResume(juliet, romeo);
    // slixmpp 1.8 forgets its unacknowledged stanzas when it resumes, so only @xmpp/client can show this.
    await breakWhileSpeaking(juliet, romeo);
    say("  They log out.");
    await romeo.leaves();
    await juliet.leaves();
  } catch (error) {
    check("the act goes on", false, error instanceof Error ? error.message : String(error));
  } finally {
    await romeo.exits();
    await juliet.exits();
  }
}

const server = new BinaryServer({ config, port: ports.starttls });
try {
  await server.start();
  let n = 0;
  for (const door of [TLS, WS, WSS]) await act(++n, server, door);
  const code = await server.stop();
  check("the server ends in order when it is told to", code === 0, { code, log: server.log });
  check("its log has no error", !/level=(error|critical|alert|emergency)/.test(server.log), server.log);
} finally {
  await server.kill();
  server.remove();
}
say(`\ninterop: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
