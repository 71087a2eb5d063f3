import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { StanzaError } from "../../../core/errors.ts";
import { defineModule, type ModuleContext } from "../../../core/module.ts";
import { viewText } from "../../../core/xml/framer.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import modSpamReporting, { type ReportContext } from "../../../modules/mod_spam_reporting/index.ts";
import { reportsIn } from "../../../modules/mod_spam_reporting/report.ts";
import { FakeServer } from "../../support/fake-server.ts";
import { runner } from "./operations.ts";

/** Stands for the feature that blocks: it takes what is well-formed. */
const modBlocking = defineModule({
  name: "mod_blocking",
  xeps: [],
  config: z.strictObject({}),
  iq: {
    "set own urn:xmpp:blocking": ({ payload }) => {
      if (payload.getChildElements().length === 0) throw new StanzaError("bad-request");
    },
  },
});

const REPORT = (inside = "", reason = "urn:xmpp:reporting:spam") =>
  `<report xmlns='urn:xmpp:reporting:1' reason='${reason}'>${inside}</report>`;
const item = (jid: string, inside = "") => `<item jid='${jid}'>${inside}</item>`;
const block = (...items: string[]) => `<block xmlns='urn:xmpp:blocking'>${items.join("")}</block>`;

describe("a request", () => {
  const read = (xml: string) => reportsIn(parseElement(xml));

  test("has a report for each item with one", () => {
    const ids = "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@localhost' id='1'/>";
    const text = "<text xml:lang='en'>\n Never came trouble. \n</text>";
    const found = read(block(item("a@x", REPORT(`${ids}${text}<report-origin/>`)), item("b@x"), item("x", REPORT())));
    expect(found.map(({ reported, ...more }) => ({ ...more, reported: reported.text }))).toEqual([
      {
        reported: "a@x",
        reason: "urn:xmpp:reporting:spam",
        text: "Never came trouble.",
        stanzaIds: [{ by: "romeo@localhost", id: "1" }],
        toOrigin: true,
        toThirdParties: false,
      },
      {
        reported: "x",
        reason: "urn:xmpp:reporting:spam",
        text: "",
        stanzaIds: [],
        toOrigin: false,
        toThirdParties: false,
      },
    ]);
  });

  test.each([
    ["an item without a JID", block(item("a@x", REPORT()), "<item/>")],
    ["a JID that is none", block(item("a@x", REPORT()), item("@x"))],
    ["something else beside the items", block(item("a@x", REPORT()), "<other/>")],
    ["a report without a reason", block(item("a@x", REPORT("", "")))],
    ["a reason that is too long", block(item("a@x", REPORT("", "u".repeat(251))))],
    ["a report of another namespace", block(item("a@x", "<report xmlns='urn:xmpp:reporting:0' reason='x'/>"))],
  ])("with %s has none", (_what, xml) => {
    expect(read(xml)).toEqual([]);
  });

  test("has bounds: one report a JID, a text, twenty stanzas", () => {
    const ids = "<stanza-id xmlns='urn:xmpp:sid:0' by='b' id='i'/>".repeat(30);
    const bad = `<stanza-id xmlns='urn:xmpp:sid:0' by='b'/><stanza-id xmlns='urn:xmpp:sid:0' by='b' id='${"i".repeat(251)}'/>`;
    const [one, ...more] = read(
      block(item("a@x", REPORT()), item("A@x", REPORT(`${bad}${ids}<text>${"t".repeat(3000)}</text>`))),
    );
    expect(more).toEqual([]);
    expect([one.text.length, one.stanzaIds.length]).toEqual([2000, 20]);
  });
});

describe("reports", () => {
  let server: FakeServer;
  async function start(config: Record<string, unknown> = {}) {
    server = new FakeServer({ users: ["romeo", "juliet"] });
    await server.startModule(modBlocking);
    const ctx = (await server.startModule(modSpamReporting, config)) as ReportContext;
    return {
      ctx,
      romeo: server.connect("romeo@localhost/orchard"),
      list: () => ctx.store.list("localhost", {}, 100, 0),
    };
  }
  const send = (payload: string, to = "") => `<iq type='set' id='b'${to}>${payload}</iq>`;

  test("are kept when the JID is blocked", async () => {
    const { romeo, list } = await start();
    await romeo.sends(send(block(item("spam@x", REPORT()))));
    romeo.hears("<iq type='result' id='b' from='romeo@localhost' to='romeo@localhost/orchard'/>");
    expect(await list()).toMatchObject([{ reporter: "romeo@localhost", reported: "spam@x" }]);
  });

  test("are not made in another's name", async () => {
    const { romeo, list } = await start();
    await romeo.sends(
      send(block(item("spam@x", REPORT())), " to='juliet@localhost'"),
      send(block(item("spam@x", REPORT())), " to='localhost'"),
    );
    expect(await list()).toEqual([]);
  });

  test("are bounded for each user; the block goes on", async () => {
    const { ctx, romeo, list } = await start({ max_reports_per_user: 2 });
    await romeo.sends(send(block(item("a@x", REPORT()))), send(block(item("b@x", REPORT()), item("c@x", REPORT()))));
    await romeo.sends(send(block(item("d@x", REPORT()))));
    expect(romeo.received().filter((text) => text.includes("type='result'"))).toHaveLength(3);
    expect((await list()).map((r) => r.reported)).toEqual(["b@x", "a@x"]);
    const juliet = server.connect("juliet@localhost/balcony");
    await juliet.sends(send(block(item("a@x", REPORT()))));
    expect(await ctx.store.count("localhost")).toBe(3);
  });

  test("are bounded for all, and go with time", async () => {
    const { romeo, list } = await start({ max_reports: 1, keep_days: 1 });
    await romeo.sends(send(block(item("a@x", REPORT()))), send(block(item("b@x", REPORT()))));
    expect((await list()).map((r) => r.reported)).toEqual(["a@x"]);
    server.clock.advance(86_400_001);
    await romeo.sends(send(block(item("c@x", REPORT()))));
    expect((await list()).map((r) => r.reported)).toEqual(["c@x"]);
  });

  test("that cannot be stored do not stop the block", async () => {
    const { romeo } = await start();
    server.db.failing = true;
    await romeo.sends(send(block(item("a@x", REPORT()))));
    expect(romeo.received().join()).toContain("type='result'");
    expect(server.logged.join()).toContain("abuse_report_not_kept");
  });

  test("are told to watchers, and to the other server only when both want it", async () => {
    const { romeo } = await start({ watchers: ["juliet@localhost"], forward_to_origin: true });
    const juliet = server.connect("juliet@localhost/balcony");
    juliet.setPresence(parsePresence(), 0);
    await romeo.sends(
      send(block(item("a@x", REPORT("<text>Bad &amp; ugly</text>")))),
      send(block(item("b@y", REPORT("<report-origin/>")))),
      send(block(item("juliet@localhost", REPORT("<report-origin/>")))),
    );
    expect(juliet.received().join()).toContain("romeo@localhost reports a@x (urn:xmpp:reporting:spam): Bad &amp; ugly");
    expect(server.remote).toHaveLength(1);
    expect(server.remote[0]).toContain("to='y'");
    expect(server.remote[0]).toContain("b@y");
    expect(server.remote[0]).not.toContain("romeo");
  });

  test("do not leave without forward_to_origin", async () => {
    const { romeo } = await start();
    await romeo.sends(send(block(item("b@y", REPORT("<report-origin/>")))));
    expect(server.remote).toEqual([]);
  });
});

const parsePresence = () => viewText("<presence/>");

describe("operations", () => {
  let ctx: ModuleContext;
  let run: ReturnType<typeof runner>["run"];
  beforeEach(async () => {
    const server = new FakeServer({ users: ["romeo"] });
    await server.startModule(modBlocking);
    ctx = await server.startModule(modSpamReporting);
    const romeo = server.connect("romeo@localhost/orchard");
    await romeo.sends(`<iq type='set' id='b'>${block(item("spam@x", REPORT("<text>Hi</text>")))}</iq>`);
    ({ run } = runner(server, modSpamReporting, ctx));
  });

  test("list, count and delete", async () => {
    const fields = "{ id reporter reported reason text stanzaIds { by id } forwardToOrigin timestamp }";
    const listed = (await run(`{ report { listReports(domain: "localhost") ${fields} } }`)) as {
      report: { listReports: { id: string }[] };
    };
    expect(listed.report.listReports).toEqual([
      {
        id: expect.any(String),
        reporter: "romeo@localhost",
        reported: "spam@x",
        reason: "urn:xmpp:reporting:spam",
        text: "Hi",
        stanzaIds: [],
        forwardToOrigin: false,
        timestamp: "2026-11-22T12:00:00.000000Z",
      },
    ]);
    expect(await run(`{ report { countReports(domain: "localhost", reported: "SPAM@x") } }`)).toEqual({
      report: { countReports: 1 },
    });
    expect(await run(`{ report { countReports(domain: "localhost", reporter: "other@localhost") } }`)).toEqual({
      report: { countReports: 0 },
    });
    const [{ id }] = listed.report.listReports;
    const remove = `mutation { report { deleteReport(domain: "localhost", id: "${id}") } }`;
    expect(await run(remove)).toEqual({ report: { deleteReport: "Report deleted" } });
    expect(await run(remove)).toEqual(["report_not_found"]);
    expect(await run(`mutation { report { deleteReport(domain: "localhost", id: "x' OR 1") } }`)).toEqual([
      "report_not_found",
    ]);
  });

  test("delete what is old, and know no other domain", async () => {
    const old = (domain: string, before: string) =>
      run(`mutation { report { deleteOldReports(domain: "${domain}", before: "${before}") } }`);
    expect(await old("localhost", "2026-11-22T12:00:00Z")).toEqual({ report: { deleteOldReports: 0 } });
    expect(await old("localhost", "2026-11-22T12:00:01Z")).toEqual({ report: { deleteOldReports: 1 } });
    expect(await old("elsewhere", "2026-11-22T12:00:01Z")).toEqual(["domain_not_found"]);
  });
});
