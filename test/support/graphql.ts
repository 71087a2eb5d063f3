// Operations as stories call them: over HTTP as administrator, as administrator of a domain and as user, and by the
// command line over the control socket.
//
//     story("...", { romeo: 0 }, async ({ graphql, romeo }) => {
//       for (const face of [graphql.admin, await graphql.domainAdmin(), graphql.ctl]) {
//         (await face.calls("account.checkUser", { user: romeo.bare })).includes({ exist: true });
//         (await face.calls("account.countUsers", { domain: "unknown" })).fails("domain_not_found", "Domain");
//       }
//       (await graphql.user(romeo).calls("roster.listContacts")).gives([]);
//       (await graphql.admin.asks("{ checkAuth { authType } }")).data; // a document of one's own
//     }, { door: "tcp" });
import { expect } from "vitest";
import { runCtl } from "../../cmd/ctl/index.ts";
import type { CtlIo } from "../../cmd/ctl/io.ts";
import { type CommandCategory, commandTree } from "../../core/operations/commands.ts";
import { coreOperations } from "../../core/operations/index.ts";
import { buildSchema } from "../../core/operations/schema.ts";
import type { Audience } from "../../core/operations.ts";
import { MODULES } from "../../modules/index.ts";
import type { Tally } from "./client.ts";
import { ADMIN, GRAPHQL_PATHS, type StoryServer } from "./story-server.ts";

interface GraphqlError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly code: string; readonly [key: string]: unknown };
}
export interface Body {
  readonly data?: unknown;
  readonly errors?: readonly GraphqlError[];
}
type Args = Readonly<Record<string, unknown>>;
/** A user, by his password. */
interface Someone {
  readonly account: { readonly local: string; readonly domain: string; readonly password: string };
}

/** What an operation answered. Everything asked of it is an assertion of the story. */
export class Answer {
  constructor(
    private readonly tally: Tally,
    /** HTTP's status; over the command line the exit code. */
    readonly status: number,
    readonly body: Body,
    /** `category.operation` when one operation was called. */
    private readonly operation?: string,
  ) {}

  /** All data of an answer without errors. */
  get data(): unknown {
    this.tally.assertions++;
    expect(this.body.errors, `${this.operation ?? "the document"} was refused`).toBeUndefined();
    return this.body.data;
  }

  /** What the operation gave; there are no errors. */
  get value(): unknown {
    return at(this.data, this.operation);
  }

  /** The operation gave exactly this. */
  gives(expected: unknown): this {
    expect(this.value).toEqual(expected);
    return this;
  }

  /** The operation gave at least this (toMatchObject). */
  includes(expected: object): this {
    expect(this.value).toMatchObject(expected);
    return this;
  }

  /** The first error; there is one. */
  get error(): GraphqlError {
    this.tally.assertions++;
    const [error] = this.body.errors ?? [];
    if (error === undefined) {
      throw new Error(`${this.operation ?? "The document"} succeeded with ${JSON.stringify(this.body)}`);
    }
    return error;
  }

  /** The operation was called and refused with this code, by a message with this in it, and gave nothing. */
  fails(code: string, message: string | RegExp = "", extensions: object = {}): this {
    const { error } = this;
    expect(error.extensions).toMatchObject({ ...extensions, code });
    expect(error.message).toMatch(message);
    if (this.body.data !== undefined) expect(at(this.body.data, this.operation)).toBeNull();
    return this;
  }

  /** The caller may not do that: nothing ran. */
  isUnauthorized(message: string | RegExp = ""): this {
    expect(this.status).toBe(401);
    expect(this.body.data).toBeUndefined();
    return this.fails("no_permissions", message);
  }

  /** The document or its variables are wrong: nothing ran. */
  isBadRequest(code?: string, message: string | RegExp = ""): this {
    const { error } = this;
    expect([400, 1]).toContain(this.status);
    expect(this.body.data).toBeUndefined();
    if (code !== undefined) expect(error.extensions.code).toBe(code);
    expect(error.message).toMatch(message);
    return this;
  }

  /** A scalar did not take a value: MongooseIM's suites look for its reason, such as failed_to_parse_jid. */
  isNotCoerced(reason: string | RegExp = ""): this {
    return this.isBadRequest("input_coercion", reason);
  }

  /** What the operation needs is not loaded: `not_loaded_modules` and the like. */
  lacks(names: readonly string[], kind: "modules" | "services" | "internal_databases" = "modules"): this {
    return this.fails("deps_not_loaded", `Some of the required ${kind.replace("_", " ")} are not loaded`, {
      [`not_loaded_${kind}`]: names,
    });
  }
}

function at(data: unknown, operation: string | undefined): unknown {
  let value = data;
  for (const key of operation?.split(".") ?? []) value = (value as Args | null)?.[key];
  return value;
}

/** Some way to call operations. */
export abstract class Face {
  constructor(
    /** For the messages of tables. */
    readonly name: string,
    protected readonly tally: Tally,
  ) {}

  protected abstract readonly audience: Audience;
  /** Runs a document. */
  abstract asks(document: string, variables?: Args, operationName?: string): Promise<Answer>;

  /** Calls `category.operation` and asks for every field of what it gives. */
  async calls(operation: string, args: Args = {}): Promise<Answer> {
    const { status, body } = await this.asks(documentOf(operation, this.audience), args);
    return new Answer(this.tally, status, body, operation);
  }
}

const trees = new Map<Audience, readonly CommandCategory[]>();

/** The document that `mongooseimctl` has for an operation; there is one for the user schema's too. */
function documentOf(operation: string, audience: Audience): string {
  let tree = trees.get(audience);
  if (tree === undefined) {
    tree = commandTree(buildSchema([...coreOperations, ...MODULES.flatMap((m) => m.operations ?? [])], audience));
    trees.set(audience, tree);
  }
  const [category, name] = operation.split(".");
  const found = tree.find((c) => c.name === category)?.commands.find((c) => c.name === name);
  if (found === undefined) throw new Error(`The ${audience} schema has no operation "${operation}"`);
  return found.document;
}

/** An endpoint over HTTP. */
export class HttpFace extends Face {
  constructor(
    name: string,
    tally: Tally,
    protected readonly audience: Audience,
    readonly url: string,
    /** `user:password`; without them the request has no Authorization. */
    readonly credentials?: string,
  ) {
    super(name, tally);
  }

  async asks(query: string, variables?: Args, operationName?: string): Promise<Answer> {
    const response = await this.fetch({
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query, variables, operationName }),
    });
    return new Answer(this.tally, response.status, (await response.json()) as Body);
  }

  /** Begins a subscription; an answer when it does not begin. */
  async subscribes(operation: string, args: Args = {}): Promise<EventReader | Answer> {
    return this.listens(documentOf(operation, this.audience), args, operation);
  }

  /** As `subscribes`, with a document of one's own. */
  async listens(query: string, variables: Args = {}, operation?: string): Promise<EventReader | Answer> {
    const search = new URLSearchParams({ query, variables: JSON.stringify(variables) });
    const response = await this.fetch({ method: "GET" }, `/sse?${search}`);
    if (response.headers.get("Content-Type") === "text/event-stream" && response.body !== null) {
      return new EventReader(this.tally, response.body, operation);
    }
    return new Answer(this.tally, response.status, (await response.json()) as Body, operation);
  }

  /** Any request to the endpoint, with its credentials. */
  fetch(init: RequestInit, search = ""): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.credentials !== undefined && !headers.has("Authorization")) {
      headers.set("Authorization", `Basic ${Buffer.from(this.credentials).toString("base64")}`);
    }
    return fetch(this.url + search, { ...init, headers });
  }
}

/** The events of a subscription (text/event-stream). */
export class EventReader {
  private readonly reader: ReadableStreamDefaultReader<string>;
  private text = "";
  private last = 0;

  constructor(
    private readonly tally: Tally,
    body: ReadableStream<Uint8Array>,
    private readonly operation?: string,
  ) {
    this.reader = body.pipeThrough(new TextDecoderStream() as never).getReader() as never;
  }

  /** The next event's answer; undefined when the stream has ended. */
  async next(): Promise<Answer | undefined> {
    for (;;) {
      const end = this.text.indexOf("\n\n");
      if (end >= 0) {
        const event = this.text.slice(0, end);
        this.text = this.text.slice(end + 2);
        if (event.startsWith(":")) continue;
        const [, id, data] = /^id: (\d+)\ndata: (.*)$/.exec(event) ?? [];
        expect(Number(id), event).toBe(++this.last);
        return new Answer(this.tally, 200, JSON.parse(data) as Body, this.operation);
      }
      const { value, done } = await this.reader.read();
      if (done) {
        this.tally.assertions++;
        expect(this.text).toBe("");
        return undefined;
      }
      this.text += value;
    }
  }

  /** What the next event gives. */
  async value(): Promise<unknown> {
    const answer = await this.next();
    expect(answer, "another event comes").toBeDefined();
    return answer?.value;
  }

  /** The reader goes away. */
  stop(): Promise<void> {
    return this.reader.cancel();
  }
}

/** What a run of `mongooseimctl` left. */
export interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** `mongooseimctl`, in this process, over the control socket of the story's server. */
export class CtlFace extends Face {
  protected readonly audience = "admin";

  constructor(
    tally: Tally,
    private readonly stateDir: string,
  ) {
    super("ctl", tally);
  }

  /** Runs a command line, written without the program's name. */
  async runs(...words: string[]): Promise<Ran> {
    let out = "";
    let err = "";
    const never = (what: string) => (): never => {
      throw new Error(`mongooseimctl wanted to ${what}`);
    };
    const io: CtlIo = {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      env: {},
      uid: 1,
      columns: 100,
      self: ["mongooseimctl"],
      sleep: (ms) => Bun.sleep(ms),
      lowPriority() {},
      isAlive: () => true,
      isServer: () => true,
      signal: never("signal the server"),
      foreground: never("run a server"),
      moduleSchemas: never("read a configuration"),
    };
    const exitCode = await runCtl(["--state-dir", this.stateDir, ...words], io, { version: "story" });
    this.tally.assertions++;
    return { exitCode, out, err };
  }

  async asks(document: string, variables?: Args): Promise<Answer> {
    if (variables !== undefined) throw new Error("mongooseimctl graphql takes no variables");
    return this.answer(await this.runs("graphql", document));
  }

  override async calls(operation: string, args: Args = {}): Promise<Answer> {
    const words = Object.entries(args).flatMap(([name, value]) => [
      `--${name}`,
      typeof value === "string" ? value : JSON.stringify(value),
    ]);
    return this.answer(await this.runs(...operation.split("."), ...words), operation);
  }

  private answer({ exitCode, out, err }: Ran, operation?: string): Answer {
    if (!out.startsWith("{")) throw new Error(`mongooseimctl did not run the operation: ${err}${out}`);
    const body = JSON.parse(out) as Body;
    expect(exitCode).toBe(body.errors === undefined ? 0 : 1);
    return new Answer(this.tally, exitCode, body, operation);
  }
}

/** The faces of a server. Each is there when the configuration has its handler, as the usual one does. */
export class Graphql {
  readonly admin: HttpFace;
  readonly ctl: CtlFace;

  constructor(
    private readonly server: StoryServer,
    private readonly tally: Tally,
  ) {
    this.admin = this.endpoint("admin", `${ADMIN.username}:${ADMIN.password}`);
    this.ctl = new CtlFace(tally, server.stateDir);
  }

  /** An endpoint with any credentials, or without. */
  endpoint(which: keyof typeof GRAPHQL_PATHS, credentials?: string): HttpFace {
    const { port } = this.server.target("websocket");
    const url = `http://127.0.0.1:${port}${GRAPHQL_PATHS[which]}`;
    return new HttpFace(which, this.tally, which === "user" ? "user" : "admin", url, credentials);
  }

  /** The administrator of a domain, who is given a password. */
  async domainAdmin(domain = "localhost"): Promise<HttpFace> {
    const password = `secret of ${domain}`;
    (await this.admin.calls("domain.setDomainPassword", { domain, password })).gives(expect.any(String));
    return this.endpoint("domain_admin", `admin@${domain}:${password}`);
  }

  /** Every face that administers a domain: HTTP, the command line, and the domain's own administrator. */
  async administrators(domain = "localhost"): Promise<readonly Face[]> {
    return [this.admin, this.ctl, await this.domainAdmin(domain)];
  }

  /** A user, by his bare JID and password. */
  user({ account: { local, domain, password } }: Someone): HttpFace {
    return this.endpoint("user", `${local}@${domain}:${password}`);
  }
}
