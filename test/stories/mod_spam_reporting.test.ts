// XEP-0377: who blocks somebody may say why; administrators read it.
import { expect } from "vitest";
import { show } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS_REPORTING = "urn:xmpp:reporting:1";
const NS_BLOCKING = "urn:xmpp:blocking";
const SPAM = "urn:xmpp:reporting:spam";
const report = (inside = ""): string => `<report xmlns="${NS_REPORTING}" reason="${SPAM}">${inside}</report>`;
const block = (jid: string, inside: string): string =>
  `<iq type="set" id="b"><block xmlns="${NS_BLOCKING}"><item jid="${jid}">${inside}</item></block></iq>`;

const { story } = stage({
  general: { hosts: ["localhost", "second"] },
  modules: { mod_blocking: {}, mod_spam_reporting: {} },
});

story("§3: the server says that it takes reports", { romeo: 1 }, async ({ romeo }) => {
  romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`;
  expect(show(await romeo.receives`<iq type="result" id="d"/>`)).toContain(NS_REPORTING);
});

story(
  "§6: the JID is blocked, and the report is there for administrators",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, graphql }) => {
    const ids = `<stanza-id xmlns="urn:xmpp:sid:0" by="${juliet.bare}" id="28482-98726-73623"/>`;
    juliet.says(block(romeo.bare, report(`${ids}<text>Never came trouble to my house like this.</text>`)));
    await juliet.receives`<iq type="result" id="b"/><iq type="set"><block xmlns="${NS_BLOCKING}"><item jid="${romeo.bare}"/></block></iq>`;
    juliet.sends`<iq type="get" id="l"><blocklist xmlns="${NS_BLOCKING}"/></iq>`;
    await juliet.receives`<iq type="result" id="l"><blocklist xmlns="${NS_BLOCKING}"><item jid="${romeo.bare}"/></blocklist></iq>`;
    for (const face of [graphql.admin, graphql.ctl, await graphql.domainAdmin()]) {
      (await face.calls("report.listReports", { domain: "localhost", reporter: juliet.bare })).gives([
        {
          id: expect.stringMatching(/^\d+$/),
          reporter: juliet.bare,
          reported: romeo.bare,
          reason: SPAM,
          text: "Never came trouble to my house like this.",
          stanzaIds: [{ by: juliet.bare, id: "28482-98726-73623" }],
          forwardToOrigin: false,
          forwardToThirdParties: false,
          timestamp: expect.any(String),
        },
      ]);
    }
  },
);

story("a request that is refused reports nothing", { romeo: 1 }, async ({ romeo, graphql }) => {
  romeo.says(block("@nobody", report()));
  await romeo.receives`<iq type="error" id="b"/>`;
  (await graphql.admin.calls("report.countReports", { domain: "localhost", reporter: romeo.bare })).gives(0);
});

story("nobody reports in another's name", { romeo: 1, juliet: 0 }, async ({ romeo, juliet, graphql }) => {
  romeo.says(block("spam@elsewhere", report()).replace("<iq", `<iq to="${juliet.bare}"`));
  await romeo.receives`<iq type="error" id="b"/>`;
  for (const { bare: reporter } of [romeo, juliet]) {
    (await graphql.admin.calls("report.countReports", { domain: "localhost", reporter })).gives(0);
  }
});

story(
  "reports are deleted, and administrators of other domains cannot",
  { romeo: 1 },
  async ({ romeo, graphql }) => {
    romeo.says(block("spam@elsewhere", report()));
    await romeo.receives`<iq type="result" id="b"/>`;
    const list = await graphql.admin.calls("report.listReports", { domain: "localhost", reporter: romeo.bare });
    const [{ id }] = list.value as { id: string }[];
    const other = await graphql.domainAdmin("second");
    (await other.calls("report.listReports", { domain: "localhost" })).isUnauthorized();
    (await other.calls("report.deleteReport", { domain: "localhost", id })).isUnauthorized();
    (await other.calls("report.deleteReport", { domain: "second", id })).fails("report_not_found");
    const own = await graphql.domainAdmin();
    (await own.calls("report.deleteReport", { domain: "localhost", id })).gives("Report deleted");
    (await own.calls("report.countReports", { domain: "localhost", reporter: romeo.bare })).gives(0);
  },
  { door: "tcp" },
);
