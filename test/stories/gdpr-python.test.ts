// The zip file of personal data is opened by tools that are not ours: Python's zipfile and csv.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { readExport } from "../support/personal.ts";
import { stage } from "../support/story.ts";

/** Fails for what is no zip file, for a wrong sum, for bytes that are no UTF-8 and for fields that are not closed. */
const PYTHON = `
import csv, io, json, sys, zipfile
csv.field_size_limit(1 << 30)
found = {}
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    for info in z.infolist():
        text = z.read(info).decode("utf-8", "strict")
        found[info.filename] = list(csv.reader(io.StringIO(text, newline=""), strict=True))
json.dump(found, sys.stdout)
`;
const python = spawnSync("python3", ["--version"]).status === 0;

const dir = join(tmpdir(), `gdpr-python-${process.pid}`);
beforeAll(() => mkdirSync(dir));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The tables as Python reads them, by the names of their files. */
function readByPython(file: string): Record<string, string[][]> {
  const { status, stdout, stderr } = spawnSync("python3", ["-c", PYTHON, file], { maxBuffer: 1 << 28 });
  expect(String(stderr)).toBe("");
  expect(status).toBe(0);
  return JSON.parse(String(stdout)) as Record<string, string[][]>;
}

/** What spreadsheets take for formulas is given as it is: a file of data is no place to change it. */
const TEXTS = [
  '=HYPERLINK("http://evil.example","x")',
  "+1-1@cmd|' /C calc'!A0",
  'quotes " and "" and """',
  "commas, semicolons; tabs\t",
  "lines\nand\r\nlines\rand\n",
  "日本語 \u{1f600} \u202e \ufeff e\u0301",
  " spaces at both ends ",
  '"',
  "",
  "x".repeat(50_000),
];
const NAMES = ["=1+1", "-2+3|cmd", "日本", "a,b;c", "ünïcödé", "n".repeat(200)];
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\r", "&#13;");

describe.skipIf(!python)("personal data, read by others", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} }, mod_inbox: {} } });

  story(
    "is what we read ourselves, whatever the user's name and whatever is in it",
    {},
    async ({ actor, account, graphql, server }) => {
      for (const name of NAMES) {
        const user = await actor(name);
        const friend = await account("friend");
        await user.logsIn(server.target("tcp"), "laptop");
        for (const [n, text] of TEXTS.entries()) {
          user.says(
            `<iq type="set" id="p${n}"><query xmlns="jabber:iq:private"><x xmlns="urn:test:${n}">${escaped(text)}</x></query></iq>`,
          );
          await user.receives`<iq type="result" id="${`p${n}`}"/>`;
          user.says(`<message to="${friend.bare}" type="chat"><body>${escaped(text)}</body></message>`);
        }
        await user.settles();
        const file = join(dir, `${readdirSync(dir).length}.zip`);
        const args = { username: user.local, domain: user.domain, resultFilepath: file };
        (await graphql.admin.calls("gdpr.retrievePersonalData", args)).gives("Data retrieved");
        const ours = Object.entries(readExport(file)).map(([table, { columns, rows }]) => [
          `${table}.csv`,
          [columns, ...rows],
        ]);
        const theirs = readByPython(file);
        expect(theirs).toEqual(Object.fromEntries(ours));
        expect(theirs["account.csv"][1][0]).toBe(user.bare);
        expect(theirs["mam_pm.csv"]).toHaveLength(TEXTS.length + 1);
        expect(theirs["private.csv"]).toHaveLength(TEXTS.length + 1);
        expect(theirs["inbox.csv"]).toHaveLength(2);
        const all = JSON.stringify(theirs["private.csv"]);
        expect(all).toContain("=HYPERLINK");
        expect(all).toContain("日本語");
      }
    },
    { door: "tcp" },
  );
});
