// Stories: a cast of real clients on real sockets against a real server, told twice, once at each door.
//
//     const { story } = stage();
//     story("RFC 6121 §8.5.3: a message for a full JID goes to it alone", { romeo: 1, juliet: 2 },
//       async ({ romeo, juliet: [laptop, phone] }) => {
//         romeo.sends`<message to="${laptop.full}" type="chat"><body>Hi</body></message>`;
//         await laptop.receives`<message from="${romeo.full}"><body>Hi</body></message>`;
//         await phone.receivesNothing();
//       }, { covers: ["carboncopy_SUITE:discover_support"] });
import { afterAll, beforeAll, describe, test } from "vitest";
import { type Account, Client, type Tally } from "./client.ts";
import type { Door } from "./client-wire.ts";
import { Graphql } from "./graphql.ts";
import { type Changes, StoryServer } from "./story-server.ts";

/** How many clients of a role are online; 0 is an account whose clients come later. */
type Role = 0 | 1 | 2 | 3;
type Cast = Record<string, Role>;
type Player<R extends Role> = R extends 0
  ? Absent
  : R extends 1
    ? Client
    : R extends 2
      ? [Client, Client]
      : [Client, Client, Client];
type Players<C extends Cast> = { [K in keyof C]: Player<C[K]> };

/** What a story has beside its cast. */
export interface Scene {
  readonly door: Door;
  readonly server: StoryServer;
  /** The server's operations, for administrators, users and the command line. */
  readonly graphql: Graphql;
  /** A client that is not connected yet, of an account that exists. */
  actor(name: string, domain?: string): Promise<Client>;
  /** Another client of the account of `of`, not connected yet. */
  another(of: Client | Absent): Client;
  /** A client of an account that does not exist. */
  stranger(name?: string, domain?: string): Client;
  /** An account without a client. */
  account(name: string, domain?: string): Promise<Absent>;
  /** Romeo and Juliet see each other's presence from now on. */
  befriend(a: Client, b: Client): Promise<void>;
}

export interface StoryOptions {
  /** Test cases of MongooseIM's big_tests that this story stands for, "suite:case". */
  covers?: readonly string[];
  /** The story is about this door. */
  door?: Door;
  /** The clients have a session but have not sent presence. */
  silent?: boolean;
  /** The story waits for the server's clock: such stories of a file run side by side. */
  slow?: boolean;
  /** Errors that the server logs in this story by intent (`what`). */
  logs?: readonly string[];
}

/** Options of stories that stand for cases of one of MongooseIM's suites; `more` is said of all of them. */
export const covering =
  (suite: string, more: StoryOptions = {}) =>
  (...cases: readonly string[]): StoryOptions => ({ ...more, covers: cases.map((name) => `${suite}:${name}`) });

/** An account whose client is not there. */
export class Absent {
  constructor(
    readonly account: Account,
    private readonly connect: (account: Account, resource?: string) => Promise<Client>,
  ) {}
  get local(): string {
    return this.account.local;
  }
  get domain(): string {
    return this.account.domain;
  }
  get bare(): string {
    return `${this.account.local}@${this.account.domain}`;
  }
  /** A client of the account comes, logs in and binds; it has not sent presence. */
  comes(resource?: string): Promise<Client> {
    return this.connect(this.account, resource);
  }
}

const DOORS: readonly Door[] =
  process.env["STORY_DOOR"] === undefined ? ["tcp", "websocket"] : [process.env["STORY_DOOR"] as Door];
const RESOURCES = ["laptop", "phone", "tablet"];

export interface Stage {
  story<const C extends Cast>(
    title: string,
    cast: C,
    run: (players: Players<C> & Scene) => Promise<void>,
    options?: StoryOptions,
  ): void;
  /** The server of this file, once its tests run. */
  readonly server: StoryServer;
}

/** A server for the stories of a file (or of a `describe`), with changes to the usual configuration. */
export function stage(changes: Changes = {}): Stage {
  let server: StoryServer;
  let accounts = 0;
  beforeAll(async () => {
    server = await StoryServer.start(changes);
  });
  afterAll(() => server?.close());

  const perform = async <C extends Cast>(
    door: Door,
    cast: C,
    run: (players: Players<C> & Scene) => Promise<void>,
    options: StoryOptions,
  ): Promise<number> => {
    const tally: Tally = { assertions: 0 };
    const clients: Client[] = [];
    const logged = server.logged.length;
    const settle = async (except: Client) => {
      for (const client of clients) if (client !== except && client.full !== "") await client.settled();
    };
    const make = (account: Account): Client => {
      const client = new Client(account, tally, settle);
      clients.push(client);
      return client;
    };
    const open = async (name: string, domain = "localhost"): Promise<Account> => {
      const account = { local: `${name}${++accounts}`, domain, password: `${name}'s secret` };
      await server.addAccount(account.local, account.domain, account.password);
      return account;
    };
    const connect = (account: Account, resource?: string): Promise<Client> =>
      make(account).logsIn(server.target(door), resource);
    const players: Record<string, Client | Client[] | Absent> = {};
    for (const [name, count] of Object.entries(cast)) {
      const account = await open(name);
      if (count === 0) {
        players[name] = new Absent(account, connect);
        continue;
      }
      const own: Client[] = [];
      for (const resource of RESOURCES.slice(0, count)) {
        const client = await connect(account, resource);
        if (!options.silent) {
          await client.comesOnline();
          for (const earlier of own) {
            await earlier.hears(`<presence from="${client.full}"/>`);
            await client.hears(`<presence from="${earlier.full}"/>`);
          }
        }
        own.push(client);
      }
      players[name] = count === 1 ? own[0] : own;
    }
    tally.assertions = 0;
    const scene: Scene = {
      door,
      server,
      graphql: new Graphql(server, tally),
      actor: async (name, domain) => make(await open(name, domain)),
      another: (of) => make(of.account),
      stranger: (name = "stranger", domain = "localhost") =>
        make({ local: `${name}${++accounts}`, domain, password: "secret" }),
      account: async (name, domain) => new Absent(await open(name, domain), connect),
      befriend,
    };
    try {
      await run({ ...players, ...scene } as unknown as Players<C> & Scene);
      if (tally.assertions === 0) throw new Error("The story checked nothing");
      const errors = server.logged
        .slice(logged)
        .filter((line) => ["error", "critical", "alert", "emergency"].includes(line.level));
      const unexpected = errors.filter((line) => !options.logs?.includes(line.what));
      if (unexpected.length > 0) throw new Error(`The server logged ${JSON.stringify(unexpected[0])}`);
    } finally {
      for (const client of clients) if (client.wire !== undefined && !client.gone) client.wire.cut();
    }
    return tally.assertions;
  };

  return {
    get server() {
      return server;
    },
    story(title, cast, run, options = {}) {
      const doors = options.door === undefined ? DOORS : DOORS.filter((door) => door === options.door);
      (options.slow ? describe.concurrent : describe).each(doors)("%s", (door) => {
        test(title, async ({ task }) => {
          const assertions = await perform(door, cast, run, options);
          // Read by test/cases.ts.
          Object.assign(task.meta, { story: { covers: options.covers ?? [], assertions } });
        });
      });
    },
  };
}

/** Mutual subscription, by the protocol; both are online, and have nothing left to read when it is done. */
async function befriend(a: Client, b: Client): Promise<void> {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ]) {
    one.sends`<presence to="${other.bare}" type="subscribe"/>`;
    await other.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "subscribe");
    other.sends`<presence to="${one.bare}" type="subscribed"/>`;
    await other.settled();
    await one.settled();
  }
  await a.settles();
  await b.settles();
}
