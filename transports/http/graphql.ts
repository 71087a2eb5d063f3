// GraphQL over HTTP (mongoose_graphql_handler): GET and POST, JSON answers, Basic authentication; subscriptions by GET
// below it, as server-sent events.

import type { GraphQLSchema } from "graphql";
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import { bodyLimit } from "hono/body-limit";
import { type BareJid, isFull, tryParseJid } from "../../core/jid.ts";
import { type ExecuteOptions, execute, type GraphqlRequest, subscribe } from "../../core/operations/execute.ts";
import type { Caller, OperationNode } from "../../core/operations.ts";
import { parseBasic, sameSecret } from "./auth.ts";
import { eventStream } from "./event-stream.ts";
import { queryPage } from "./graphql-page.ts";
import { isOwnHost, type OwnAddress } from "./own-host.ts";

/** The log-ins of an address that fail in a minute, and whether it may still try. */
export interface LoginFailures {
  isBarred(address: string): boolean;
  add(address: string): void;
}

interface Common {
  /** Asked for at each request: it may be made at the first one. */
  schema(): GraphQLSchema;
  readonly node: OperationNode;
  /** Root fields on offer; all when absent (option allowed_categories). */
  readonly allowedCategories?: readonly string[];
  /** Counts the log-ins that fail; not counted when absent. */
  readonly failures?: LoginFailures;
  /** Milliseconds after which a subscription that has sent nothing ends; Infinity for never. */
  readonly sseIdleTimeout: number;
  /** Told of what the caller only learns as "internal server error". */
  onError(error: unknown): void;
}

export type GraphqlOptions =
  | (Common & {
      readonly endpoint: "admin";
      /**
       * Asked for when given. Else anyone who reaches the port is an administrator, if he calls it by its address or
       * configured name.
       */
      readonly access: { readonly username: string; readonly password: string } | OwnAddress;
    })
  | (Common & {
      readonly endpoint: "domain_admin";
      /** True when the password is that of the domain's administrator. */
      checkDomainAdmin(domain: string, password: string): boolean | Promise<boolean>;
    })
  | (Common & {
      readonly endpoint: "user";
      /** True when the password is that of the user's account. */
      checkUser(user: BareJid, password: string): boolean | Promise<boolean>;
    });

/** Bytes of a POST body: a vCard with photos fits. */
const MAX_BODY = 8 * 1024 * 1024;

type Refusal = {
  readonly status: 400 | 401 | 403 | 405 | 413 | 415 | 429 | 500;
  readonly code: string;
  readonly message: string;
};
const REFUSALS = {
  malformedAuth: { status: 401, code: "request_error", message: "Malformed authorization header" },
  wrongCredentials: { status: 401, code: "wrong_credentials", message: "The provided credentials are wrong" },
  barred: { status: 429, code: "too_many_failures", message: "Too many failed log-ins from this address" },
  crossSite: { status: 403, code: "cross_site_request", message: "Another web site may not send requests here" },
  wrongHost: {
    status: 403,
    code: "host_not_allowed",
    message:
      "Without credentials this endpoint answers to localhost, to the address it listens on and to its option `host`",
  },
  method: { status: 405, code: "method_not_allowed", message: "Use GET or POST" },
  subscriptionMethod: { status: 405, code: "method_not_allowed", message: "Use GET for subscriptions" },
  tooLarge: { status: 413, code: "request_too_large", message: `The body is larger than ${MAX_BODY} bytes` },
  notJson: { status: 415, code: "unsupported_media_type", message: "The body must be application/json" },
  noQuery: { status: 400, code: "no_query_supplied", message: "The query was not supplied in the request body" },
  badJson: { status: 400, code: "invalid_json_body", message: "The request JSON body is invalid" },
  badQuery: { status: 400, code: "invalid_query_parameters", message: "The query string is invalid" },
  badVariables: { status: 400, code: "variables_invalid_json", message: "The variables' JSON is invalid" },
  internal: { status: 500, code: "internal_server_error", message: "GraphQL Internal Server Error" },
} as const satisfies Record<string, Refusal>;

const refuse = (c: Context, { status, code, message }: Refusal): Response =>
  c.json({ errors: [{ message, extensions: { code } }] }, status);

const isRefusal = (value: GraphqlRequest | Caller | Refusal): value is Refusal => "status" in value;

/** Part of Bun.serve's server object: what runs without it (tests) has no time limit to lift. */
interface Patient {
  timeout(request: Request, seconds: number): void;
}

/** What Bun knows of who asks. */
interface Peers {
  requestIP(request: Request): { address: string } | null;
}

function addressOf(c: Context): string {
  const { server } = (c.env ?? {}) as { readonly server?: Peers };
  return server?.requestIP(c.req.raw)?.address ?? "";
}

/** The handler as a Hono application whose routes are "/" and "/sse". `c.env.server` is Bun's server. */
export function graphqlApp(options: GraphqlOptions): Hono {
  const { node } = options;
  // The option has its own word for the field "httpUpload".
  const allowedCategories = options.allowedCategories?.map((name) => (name === "http_upload" ? "httpUpload" : name));
  const app = new Hono();
  app.onError((error, c) => {
    options.onError(error);
    return refuse(c, REFUSALS.internal);
  });

  type Read = (c: Context) => GraphqlRequest | Refusal | Promise<GraphqlRequest | Refusal>;
  /** Reads a request of somebody who may ask, and answers it. */
  const answered = async (
    c: Context,
    read: Read,
    answer: (request: GraphqlRequest, execution: ExecuteOptions) => Promise<Response>,
  ): Promise<Response> => {
    // Mutations are accepted over GET, as MongooseIM does: a page elsewhere must not make a browser send them.
    if (c.req.header("Sec-Fetch-Site") === "cross-site") return refuse(c, REFUSALS.crossSite);
    if (options.endpoint === "admin" && "ip" in options.access) {
      const host = c.req.header("Host") ?? new URL(c.req.url).host;
      if (!isOwnHost(host, options.access)) return refuse(c, REFUSALS.wrongHost);
    }
    const address = addressOf(c);
    const authorization = c.req.header("Authorization");
    if (authorization !== undefined && options.failures?.isBarred(address)) return refuse(c, REFUSALS.barred);
    const caller = await authenticate(authorization, options);
    if (caller === REFUSALS.wrongCredentials) options.failures?.add(address);
    if (isRefusal(caller)) return refuse(c, caller);
    const request = await read(c);
    if (isRefusal(request)) return refuse(c, request);
    return answer(request, { schema: options.schema(), node, caller, allowedCategories });
  };
  const run = (c: Context, read: Read): Promise<Response> =>
    answered(c, read, async (request, execution) => {
      const { status, body } = await execute(request, execution);
      return c.json(body, status);
    });
  const stream = (c: Context): Promise<Response> =>
    answered(c, fromQueryString, async (request, execution) => {
      const begun = await subscribe(request, execution);
      if ("body" in begun) return c.json(begun.body, begun.status);
      const { server } = (c.env ?? {}) as { readonly server?: Patient };
      server?.timeout(c.req.raw, 0);
      const { sseIdleTimeout: idleTimeout, onError } = options;
      const headers = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };
      return new Response(eventStream(begun, { idleTimeout, onError }), { headers });
    });

  app.get("/", async (c) => {
    const type = accepts(c, {
      header: "Accept",
      supports: ["application/json", "text/html"],
      default: "application/json",
    });
    const audience = options.endpoint === "user" ? "user" : "admin";
    if (type === "text/html") return c.html(queryPage(audience), 200, { "Content-Security-Policy": PAGE_POLICY });
    return run(c, fromQueryString);
  });
  app.post("/", bodyLimit({ maxSize: MAX_BODY, onError: (c) => refuse(c, REFUSALS.tooLarge) }), (c) =>
    run(c, fromBody),
  );
  app.get("/sse", stream);
  app.all("/sse", (c) => {
    c.header("Allow", "GET");
    return refuse(c, REFUSALS.subscriptionMethod);
  });
  app.all("/", (c) => {
    c.header("Allow", "GET, POST");
    return refuse(c, REFUSALS.method);
  });
  return app;
}

/** The page holds its style and script; it talks to nobody but us. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

/** Who the request is from. Without credentials where some are needed: an unauthorised caller, not a refusal. */
async function authenticate(header: string | undefined, options: GraphqlOptions): Promise<Caller | Refusal> {
  const basic = parseBasic(header);
  if (basic === "malformed") return REFUSALS.malformedAuth;
  const nobody: Caller = { kind: "unauthorized", via: "http" };
  switch (options.endpoint) {
    case "admin": {
      const { access } = options;
      if (basic === "none") return "username" in access ? nobody : { kind: "admin", via: "http" };
      const right =
        "username" in access &&
        sameSecret(basic.username, access.username) &&
        sameSecret(basic.password, access.password);
      return right ? { kind: "admin", via: "http" } : REFUSALS.wrongCredentials;
    }
    case "domain_admin": {
      if (basic === "none") return nobody;
      const jid = tryParseJid(basic.username);
      if (jid?.local !== "admin" || isFull(jid)) return REFUSALS.wrongCredentials;
      const { domain } = jid;
      if (!(await options.checkDomainAdmin(domain, basic.password))) return REFUSALS.wrongCredentials;
      return { kind: "domain_admin", via: "http", domain };
    }
    case "user": {
      if (basic === "none") return nobody;
      const jid = tryParseJid(basic.username)?.bare;
      if (!jid?.local || !(await options.checkUser(jid, basic.password))) {
        return REFUSALS.wrongCredentials;
      }
      return { kind: "user", via: "http", jid };
    }
  }
}

function fromQueryString(c: Context): GraphqlRequest | Refusal {
  const { search } = new URL(c.req.url);
  try {
    // URLSearchParams takes anything; a stray "%" is more likely a mistake than meant.
    decodeURIComponent(search.replaceAll("+", " "));
  } catch {
    return REFUSALS.badQuery;
  }
  return toRequest(Object.fromEntries(new URLSearchParams(search)));
}

async function fromBody(c: Context): Promise<GraphqlRequest | Refusal> {
  if (!/^application\/json\s*(;|$)/i.test(c.req.header("Content-Type") ?? "")) return REFUSALS.notJson;
  let body: unknown;
  try {
    body = JSON.parse(await c.req.text());
  } catch (error) {
    if (error instanceof SyntaxError) return REFUSALS.badJson;
    throw error;
  }
  return isRecord(body) ? toRequest(body) : REFUSALS.badJson;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Variables may be an object or its JSON text. */
function toRequest({ query, variables, operationName }: Record<string, unknown>): GraphqlRequest | Refusal {
  if (typeof query !== "string") return REFUSALS.noQuery;
  const name = typeof operationName === "string" && operationName !== "" ? operationName : undefined;
  let values = variables ?? undefined;
  if (typeof values === "string") {
    try {
      values = (JSON.parse(values) as unknown) ?? undefined;
    } catch {
      return REFUSALS.badVariables;
    }
  }
  if (values !== undefined && !isRecord(values)) return REFUSALS.badVariables;
  return { query, variables: values, operationName: name };
}
