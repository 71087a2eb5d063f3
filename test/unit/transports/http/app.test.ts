import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { createHttpApp, metricsApp } from "../../../../transports/http/app.ts";

const saying = (text: string): Hono => new Hono().get("/", (c) => c.text(text));
const get = async (app: Hono, url: string): Promise<[number, string]> => {
  const response = await app.request(url);
  return [response.status, await response.text()];
};

describe("createHttpApp", () => {
  const app = createHttpApp([
    { path: "/api/graphql", host: "localhost", app: saying("admin") },
    { path: "/metrics", host: "localhost", app: saying("metrics") },
    { path: "/api/graphql", host: "_", app: saying("any host") },
  ]);

  test.each([
    ["http://localhost/api/graphql", [200, "admin"]],
    ["http://LOCALHOST:5551/api/graphql", [200, "admin"]],
    ["http://localhost/metrics", [200, "metrics"]],
    ["http://example.org/api/graphql", [200, "any host"]],
  ])("%s", async (url, answer) => expect(await get(app, url)).toEqual(answer));

  test("answers 404 where there is no handler", async () => {
    expect((await get(app, "http://localhost/"))[0]).toBe(404);
    expect((await get(app, "http://example.org/metrics"))[0]).toBe(404);
  });

  test("answers 404 to a host without handlers", async () => {
    const one = createHttpApp([{ path: "/", host: "localhost", app: saying("x") }]);
    expect((await get(one, "http://evil.example/"))[0]).toBe(404);
  });

  test("hands the server to handlers, for upgrades", async () => {
    const needy = new Hono<{ Bindings: { server: string } }>().get("/", (c) => c.text(c.env.server));
    const both = createHttpApp([
      { path: "/", host: "localhost", app: needy as unknown as Hono },
      { path: "/", host: "_", app: saying("x") },
    ]);
    const response = await both.request("http://localhost/", {}, { server: "Bun" });
    expect(await response.text()).toBe("Bun");
  });
});

describe("metricsApp", () => {
  const app = createHttpApp([{ path: "/metrics", app: metricsApp(() => "up 1\n") }]);

  test.each([["/metrics"], ["/metrics/default"]])("gives text format 0.0.4 at %s", async (path) => {
    const response = await app.request(path);
    expect(response.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toBe("up 1\n");
  });

  test("knows no other registry", async () => expect((await app.request("/metrics/other")).status).toBe(404));

  test("compresses for those who take gzip", async () => {
    const response = await app.request("/metrics", { headers: { "Accept-Encoding": "deflate, gzip;q=0.5" } });
    expect(response.headers.get("Content-Encoding")).toBe("gzip");
    expect(Buffer.from(Bun.gunzipSync(await response.arrayBuffer())).toString()).toBe("up 1\n");
  });

  test("does not compress for those who refuse gzip", async () => {
    const response = await app.request("/metrics", { headers: { "Accept-Encoding": "gzip;q=0" } });
    expect(response.headers.get("Content-Encoding")).toBeNull();
  });
});
