// Calls of every operation with arguments made by chance, by an administrator, by the one of a domain, by a user and by
// nobody. `bun test/fuzz/operations.ts --count 20000 --seed 1`
//
// What must hold, whatever is asked:
// - the answer is GraphQL's: 200, or 400 and 401 with an error;
// - an error is one line for a person, with a code, and tells nothing of the inside;
// - the server logs no error;
// - what is of another domain is refused to the administrator of a domain, and to a user everything of administrators;
// - no file is written but the new ones that were asked for.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type GraphQLArgument,
  type GraphQLInputType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
} from "graphql";
import { coreOperations } from "../../core/operations/index.ts";
import { buildSchema } from "../../core/operations/schema.ts";
import { MODULES } from "../../modules/index.ts";
import { type Body, Graphql, type HttpFace } from "../support/graphql.ts";
import { StoryServer } from "../support/story-server.ts";
import { type DatabaseServer, EVERYTHING, inServer, scratchDatabase } from "./everything.ts";
import { ODD } from "./mutate.ts";
import { Random } from "./random.ts";

/** What ends the server, or what is looked for in its log. */
const NOT_CALLED: ReadonlySet<string> = new Set(["server.stop", "server.restart", "server.setLoglevel"]);
/** Nothing of these is for whoever asks. */
const INSIDE =
  /StorageError|TypeError|RangeError|SQLITE|\b(SELECT|INSERT|UPDATE|DELETE) |undefined|\[object|\n| {2}at /;
const HOME = "localhost";
const AWAY = "second.example";

interface Called {
  readonly category: string;
  readonly name: string;
  readonly kind: "query" | "mutation";
  readonly args: readonly GraphQLArgument[];
  /** What is asked of the result. */
  readonly selection: string;
}

export interface OperationsReport {
  calls: number;
  /** Answers by what they were. */
  readonly answers: Map<string, number>;
  readonly problems: string[];
}

function callable(schema: GraphQLSchema): Called[] {
  const found: Called[] = [];
  for (const [kind, root] of [
    ["query", schema.getQueryType()],
    ["mutation", schema.getMutationType()],
  ] as const) {
    for (const [category, { type }] of Object.entries(root?.getFields() ?? {})) {
      const inner = isNonNullType(type) ? type.ofType : type;
      if (!isObjectType(inner)) continue;
      for (const [name, field] of Object.entries(inner.getFields())) {
        if (NOT_CALLED.has(`${category}.${name}`)) continue;
        let result: unknown = field.type;
        while (isNonNullType(result) || isListType(result)) result = result.ofType;
        const selection =
          typeof result === "object" && result !== null && "getFields" in result ? " { __typename }" : "";
        const union = typeof result === "object" && result !== null && "getTypes" in result;
        found.push({ category, name, kind, args: field.args, selection: union ? " { __typename }" : selection });
      }
    }
  }
  return found;
}

const variables = (audience: "admin" | "user") =>
  callable(buildSchema([...coreOperations, ...MODULES.flatMap((m) => m.operations ?? [])], audience));

const BAD = [
  ...ODD,
  "a\0b",
  "\ud800",
  0,
  -1,
  1.5,
  2_147_483_647,
  2_147_483_648,
  1e300,
  true,
  [],
  {},
  [[]],
  { a: 1 },
  null,
];

export class OperationsFuzzer {
  readonly report: OperationsReport = { calls: 0, answers: new Map(), problems: [] };
  private readonly dir = mkdtempSync(join(tmpdir(), "fuzz-operations-"));
  private readonly admin = variables("admin");
  private readonly user = variables("user");
  private readonly graphql: Graphql;
  private faces: [HttpFace, string][] = [];
  private logged = 0;
  private files = 0;

  constructor(private readonly server: StoryServer) {
    this.graphql = new Graphql(server, { assertions: 0 });
  }

  async prepare(): Promise<void> {
    for (const domain of [HOME, AWAY]) for (const n of [1, 2]) await this.there(`user${n}`, domain);
    mkdirSync(join(this.dir, "directory"));
    writeFileSync(join(this.dir, "file"), "mine");
    symlinkSync(join(this.dir, "elsewhere"), join(this.dir, "link"));
    const account = { local: "user1", domain: HOME, password: "secret" };
    this.faces = [
      [this.graphql.admin, "administrator"],
      [await this.graphql.domainAdmin(HOME), "domain's administrator"],
      [this.graphql.user({ account }), "user"],
      [this.graphql.endpoint("admin"), "nobody"],
      [this.graphql.endpoint("user", `user1@${HOME}:wrong`), "nobody"],
      [this.graphql.endpoint("domain_admin", `admin@${AWAY}:wrong`), "nobody"],
    ];
  }

  /** An account may have been removed by a call, or given another password. */
  private async there(local: string, domain: string): Promise<void> {
    const auth = this.server.node.hostOf(domain)?.auth;
    if ((await auth?.create(local, domain, "secret")) !== "ok") await auth?.setPassword(local, domain, "secret");
  }

  close(): void {
    rmSync(this.dir, { recursive: true });
  }

  async play(seed: number, count: number): Promise<OperationsReport> {
    const r = new Random(seed);
    for (let n = 0; n < count && this.report.problems.length < 10; n++) {
      if (n % 50 === 0) for (const domain of [HOME, AWAY]) await this.there("user1", domain);
      await this.one(r);
    }
    const odd = readdirSync(this.dir).filter((name) => !/^(directory|file|link|new\d+)$/.test(name));
    if (odd.length > 0) this.report.problems.push(`files were written: ${odd}`);
    return this.report;
  }

  private async one(r: Random): Promise<void> {
    const [face, who] = r.pick(this.faces);
    const called = r.pick(face.name === "user" ? this.user : this.admin);
    // Everything of the other domain: nothing of it is for the administrator of this one.
    const away = who === "domain's administrator" && r.once(3);
    const args: Record<string, unknown> = {};
    for (const arg of called.args) {
      if (!isNonNullType(arg.type) && r.once(3)) continue;
      args[arg.name] = this.value(arg.type, arg.name, r, away);
    }
    if (!away && r.once(6) && called.args.length > 0) args[r.pick(called.args).name] = r.pick(BAD);
    const declared = called.args.map(({ name, type }) => `$${name}: ${String(type)}`).join(", ");
    const passed = called.args.map(({ name }) => `${name}: $${name}`).join(", ");
    const [head, given] = declared === "" ? ["", ""] : [`(${declared})`, `(${passed})`];
    const document = `${called.kind} x${head} { ${called.category} { ${called.name}${given}${called.selection} } }`;
    const what = `${who} ${called.category}.${called.name} ${JSON.stringify(args).slice(0, 600)}`;
    this.report.calls++;
    const begun = performance.now();
    let status: number;
    let body: Body;
    try {
      ({ status, body } = await face.asks(document, args));
    } catch (error) {
      this.complain(`no answer: ${String(error)}`, what);
      return;
    }
    if (performance.now() - begun > 5000) this.complain("it took long", what);
    this.look(status, body, what, who, away && called.args.some(isOfDomain));
    this.logs(what);
  }

  private look(status: number, body: Body, what: string, who: string, mustFail: boolean): void {
    const [error] = body.errors ?? [];
    const key = error === undefined ? "result" : String(error.extensions?.code);
    this.report.answers.set(key, (this.report.answers.get(key) ?? 0) + 1);
    if (![200, 400, 401].includes(status)) this.complain(`status ${status}: ${JSON.stringify(body)}`, what);
    if (error === undefined) {
      if (status !== 200) this.complain(`status ${status} without an error`, what);
      if (mustFail || (who === "nobody" && !/checkAuth/.test(what))) this.complain("it was done", what);
      return;
    }
    if (error.extensions?.code === undefined) this.complain(`an error without a code: ${error.message}`, what);
    if (error.message.length > 1500 || INSIDE.test(shown(error.message, what)))
      this.complain(`the error ${JSON.stringify(error.message)}`, what);
    if (/internal_server/.test(key)) this.complain(`${key}: ${error.message}`, what);
  }

  private logs(what: string): void {
    const { logged } = this.server;
    for (const line of logged.slice(this.logged)) {
      if (["error", "critical", "alert", "emergency"].includes(line.level)) {
        this.complain(`the server logged ${JSON.stringify(line).slice(0, 1500)}`, what);
      }
    }
    this.logged = logged.length;
  }

  private complain(problem: string, what: string): void {
    this.report.problems.push(`${problem}\n  ${what}`);
  }

  private value(type: GraphQLInputType, name: string, r: Random, away: boolean): unknown {
    if (isNonNullType(type)) return this.value(type.ofType, name, r, away);
    if (isListType(type))
      return Array.from({ length: r.below(4) }, () => this.value(type.ofType as GraphQLInputType, name, r, away));
    if (isEnumType(type)) return r.pick(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((f) => isNonNullType(f.type) || r.once(2));
      return Object.fromEntries(fields.map((f) => [f.name, this.value(f.type, f.name, r, away)]));
    }
    const domain = away ? AWAY : r.pick([HOME, HOME, HOME, AWAY, "nowhere.example", "vjud.localhost"]);
    const user = r.pick(["user1", "user2", "nobody", "USER1"]);
    switch (type.name) {
      case "Int":
      case "PosInt":
      case "NonNegInt":
        return r.pick([1, 2, 5, 0, 2_147_483_647]);
      case "Float":
        return r.pick([0, 1.5, -1e9]);
      case "Boolean":
        return r.once(2);
      case "DomainName":
        return domain;
      case "UserName":
        return user;
      case "ResourceName":
        return "laptop";
      case "JID":
      case "BareJID":
        return `${user}@${domain}`;
      case "FullJID":
        return `${user}@${domain}/laptop`;
      case "DateTime":
        return r.pick(["2026-11-26T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]);
      case "XmlElement":
      case "Stanza":
        return r.pick([
          `<message to='user2@${domain}' from='${user}@${domain}' type='chat'><body>hi</body></message>`,
          "<x xmlns='urn:test:x'>&lt;</x>",
          "<message",
        ]);
      default:
        return this.text(name, r, domain, user);
    }
  }

  private text(name: string, r: Random, domain: string, user: string): unknown {
    if (/file/i.test(name)) {
      const within = ["directory", "file", "link", "file/below", "none/below", `new${++this.files}`, ""];
      return r.pick([
        ...within.map((path) => join(this.dir, path)),
        "",
        "/",
        "/dev/null",
        "/proc/self/x",
        `${this.dir}/${"x".repeat(300)}`,
      ]);
    }
    if (/domain|host/i.test(name)) return domain;
    return r.pick([user, "secret", domain, "urn:test:x", "text", ...ODD]);
  }
}

/** A message without the words that were asked with, for those come back. */
const shown = (message: string, what: string): string =>
  message
    .replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'|<<.*>>/gs, '""')
    .replaceAll(/\S{30,}/g, (word) => (what.includes(word) ? "" : word));

/** Whether an argument says of which domain something is. */
const isOfDomain = ({ type, name }: GraphQLArgument): boolean =>
  isNonNullType(type) &&
  /^(JID|BareJID|FullJID|DomainName)!$/.test(String(type)) &&
  !/^(to|with|contact|peer|sender)$/.test(name);

export const FUZZED = { ...EVERYTHING, general: { ...(EVERYTHING["general"] as object), hosts: [HOME, AWAY] } };

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
      on: { type: "string" },
    },
  });
  const on = values.on as DatabaseServer | undefined;
  const database = on && (await scratchDatabase(on));
  const server = await StoryServer.start(on && database ? inServer(on, database.name, FUZZED) : FUZZED, "error");
  const fuzzer = new OperationsFuzzer(server);
  await fuzzer.prepare();
  const { calls, answers, problems } = await fuzzer.play(Number(values.seed), Number(values.count));
  for (const problem of problems) console.log(problem, "\n");
  console.log(Object.fromEntries([...answers].sort()));
  fuzzer.close();
  await server.close();
  await database?.drop();
  console.log(`operations: ${calls} called, ${problems.length} problems`);
  process.exit(problems.length > 0 ? 1 : 0);
}
