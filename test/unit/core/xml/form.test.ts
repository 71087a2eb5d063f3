import { describe, expect, test } from "vitest";
import { type DataForm, formFault, formMarkup, Submission, tableMarkup } from "../../../../core/xml/form.ts";
import { parseElement } from "../../../../core/xml/tree.ts";

const FORM: DataForm = {
  title: "Who <are> you?",
  instructions: "Say & send",
  formType: "urn:example",
  fields: [
    { type: "fixed", values: ["Read this"] },
    { var: "name", label: "Name", required: true, desc: "As on your door", values: ["O'Hara"] },
    { var: "tea", type: "boolean" },
    { var: "size", type: "list-single", options: [{ value: "s", label: "Small" }, { value: "l" }] },
    { var: "friends", type: "jid-multi" },
    { var: "story", type: "text-multi" },
  ],
};
const submitted = (inner: string, type = "submit") =>
  Submission.of(parseElement(`<x xmlns='jabber:x:data' type='${type}'>${inner}</x>`));
const field = (name: string, ...values: string[]) =>
  `<field var='${name}'>${values.map((v) => `<value>${v}</value>`).join("")}</field>`;

describe("XEP-0004: a form as markup", () => {
  test("to be filled in", () => {
    expect(formMarkup(FORM).text).toBe(
      "<x xmlns='jabber:x:data' type='form'><title>Who &lt;are&gt; you?</title><instructions>Say &amp; send</instructions>" +
        "<field type='hidden' var='FORM_TYPE'><value>urn:example</value></field>" +
        "<field type='fixed'><value>Read this</value></field>" +
        "<field label='Name' type='text-single' var='name'><desc>As on your door</desc><required/><value>O&apos;Hara</value></field>" +
        "<field type='boolean' var='tea'></field>" +
        "<field type='list-single' var='size'><option label='Small'><value>s</value></option><option><value>l</value></option></field>" +
        "<field type='jid-multi' var='friends'></field><field type='text-multi' var='story'></field></x>",
    );
  });

  test("with results: values only", () => {
    const form = { fields: [{ var: "n", label: "N", required: true, values: ["1", "2"], options: [{ value: "1" }] }] };
    expect(formMarkup(form, "result").text).toBe(
      "<x xmlns='jabber:x:data' type='result'><field label='N' type='text-single' var='n'><value>1</value><value>2</value></field></x>",
    );
  });

  test("with rows", () => {
    const columns = [{ var: "jid", label: "JID", type: "jid-single" }, { var: "fn" }] as const;
    expect(tableMarkup({ title: "Found" }, columns, [{ jid: "a@b", other: "x" }]).text).toBe(
      "<x xmlns='jabber:x:data' type='result'><title>Found</title><reported><field label='JID' type='jid-single' var='jid'/><field var='fn'/></reported>" +
        "<item><field var='jid'><value>a@b</value></field><field var='fn'><value></value></field></item></x>",
    );
  });
});

describe("XEP-0004: what comes back", () => {
  test("is read by name", () => {
    const form = submitted(
      [field("name", "Romeo", "M."), field("tea", "1"), field("story", "one", "two"), field("empty"), "<field/>"].join(
        "",
      ),
    );
    expect(form.type).toBe("submit");
    expect([form.get("name"), form.all("name"), form.get("none"), form.all("none")]).toEqual([
      "Romeo",
      ["Romeo", "M."],
      undefined,
      [],
    ]);
    expect([form.flag("tea"), form.flag("name"), form.flag("none")]).toEqual([true, false, undefined]);
    expect(form.text("story")).toBe("one\ntwo");
    expect([form.has("empty"), form.has("none"), [...form.names]]).toEqual([
      true,
      false,
      ["name", "tea", "story", "empty"],
    ]);
  });

  test("counts a field's last occurrence, and fields of the form alone", () => {
    const form = submitted(
      `${field("name", "a")}${field("name", "b")}<field xmlns='urn:other' var='tea'><value>1</value></field>`,
    );
    expect([form.get("name"), form.has("tea")]).toEqual(["b", false]);
  });

  test.each([
    [undefined, field("name", "R")],
    [undefined, field("name", "R") + field("unknown", "x", "y") + field("FORM_TYPE", "urn:example")],
    [undefined, field("name", "R") + field("tea", "true") + field("size", "s") + field("friends", "a@b", "c@d/e")],
    [undefined, field("name", "R") + field("tea", "") + field("size")],
    ["The field name is required", ""],
    ["The field name is required", field("name", "")],
    ["The field name takes one value", field("name", "a", "b")],
    ["The field tea is yes or no", field("name", "R") + field("tea", "maybe")],
    ["The field size is none of the choices", field("name", "R") + field("size", "xl")],
    ["The field friends is no JID", field("name", "R") + field("friends", "a@b", "@")],
    ["The form is not one of urn:example", field("name", "R") + field("FORM_TYPE", "urn:other")],
  ])("is checked: %s", (fault, inner) => {
    expect(formFault(FORM, submitted(inner))).toBe(fault);
  });
});
