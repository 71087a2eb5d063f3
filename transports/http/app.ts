// The Hono application of one HTTP listener, put together from its handlers.

import { Hono } from "hono";
import { compress } from "hono/compress";

/** A handler as the configuration places it. */
export interface HttpHandler {
  /** Where the handler begins, "/api/graphql"; its own routes are relative to it. */
  readonly path: string;
  /** Which Host it answers to; any when absent or "_". */
  readonly host?: string;
  readonly app: Hono;
}

/**
 * Puts handlers under their paths and hosts. A request is looked at by the handlers of its host if there are any,
 * else by those of "_"; what no handler takes is answered with 404.
 */
export function createHttpApp(handlers: readonly HttpHandler[], options: { compress?: boolean } = {}): Hono {
  const app = routes(handlers);
  if (!options.compress) return app;
  const root = new Hono();
  root.use(compress());
  root.all("*", (c) => app.fetch(c.req.raw, c.env));
  return root;
}

function routes(handlers: readonly HttpHandler[]): Hono {
  const byHost = new Map<string, Hono>();
  for (const { path, host = "_", app } of handlers) {
    const key = host.toLowerCase();
    const site = byHost.get(key) ?? new Hono();
    byHost.set(key, site);
    site.route(path, app);
  }
  const anyHost = byHost.get("_");
  if (byHost.size === 1 && anyHost) return anyHost;
  const root = new Hono();
  root.all("*", (c) => {
    const site = byHost.get(new URL(c.req.url).hostname) ?? anyHost;
    return site ? site.fetch(c.req.raw, c.env) : c.notFound();
  });
  return root;
}

/**
 * The Prometheus endpoint (mongoose_prometheus_handler), text format 0.0.4, at its path and at `/default` below it:
 * MongooseIM's library calls its one registry "default".
 */
export function metricsApp(render: () => string | Promise<string>): Hono {
  const app = new Hono();
  app.on("GET", ["/", "/default"], async (c) => {
    const text = await render();
    c.header("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    c.header("Vary", "Accept-Encoding");
    if (!/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/.test(c.req.header("Accept-Encoding") ?? "")) return c.body(text);
    c.header("Content-Encoding", "gzip");
    return c.body(Bun.gzipSync(text));
  });
  return app;
}
