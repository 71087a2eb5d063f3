// RFC 6121 Appendix A, copied row by row: existing state, whether the stanza is routed or delivered, new state.
import { describe, expect, test } from "vitest";
import { inbound, outbound, type State, type SubscriptionType } from "../../../modules/mod_roster/subscription.ts";

const STATE_NAMES: Record<string, State> = {
  None: "none",
  "None + Pending Out": "none/out",
  "None + Pending In": "none/in",
  "None + Pending Out+In": "none/out+in",
  To: "to",
  "To + Pending In": "to/in",
  From: "from",
  "From + Pending Out": "from/out",
  Both: "both",
};

const OUTBOUND: Record<SubscriptionType, string> = {
  // A.2.1
  subscribe: `
    None                  | MUST | None + Pending Out
    None + Pending Out    | MUST | no state change
    None + Pending In     | MUST | None + Pending Out+In
    None + Pending Out+In | MUST | no state change
    To                    | MUST | no state change
    To + Pending In       | MUST | no state change
    From                  | MUST | From + Pending Out
    From + Pending Out    | MUST | no state change
    Both                  | MUST | no state change`,
  // A.2.2
  unsubscribe: `
    None                  | MUST | no state change
    None + Pending Out    | MUST | None
    None + Pending In     | MUST | no state change
    None + Pending Out+In | MUST | None + Pending In
    To                    | MUST | None
    To + Pending In       | MUST | None + Pending In
    From                  | MUST | no state change
    From + Pending Out    | MUST | From
    Both                  | MUST | From`,
  // A.2.3
  subscribed: `
    None                  | MUST NOT | no state change
    None + Pending Out    | MUST NOT | no state change
    None + Pending In     | MUST     | From
    None + Pending Out+In | MUST     | From + Pending Out
    To                    | MUST NOT | no state change
    To + Pending In       | MUST     | Both
    From                  | MUST NOT | no state change
    From + Pending Out    | MUST NOT | no state change
    Both                  | MUST NOT | no state change`,
  // A.2.4
  unsubscribed: `
    None                  | MUST NOT | no state change
    None + Pending Out    | MUST NOT | no state change
    None + Pending In     | MUST     | None
    None + Pending Out+In | MUST     | None + Pending Out
    To                    | MUST NOT | no state change
    To + Pending In       | MUST     | To
    From                  | MUST     | None
    From + Pending Out    | MUST     | None + Pending Out
    Both                  | MUST     | To`,
};

const INBOUND: Record<SubscriptionType, string> = {
  // A.3.1; the server answers "subscribed" where the contact has a subscription already
  subscribe: `
    None                  | MUST     | None + Pending In
    None + Pending Out    | MUST     | None + Pending Out+In
    None + Pending In     | MUST NOT | no state change
    None + Pending Out+In | MUST NOT | no state change
    To                    | MUST     | To + Pending In
    To + Pending In       | MUST NOT | no state change
    From                  | ANSWER   | no state change
    From + Pending Out    | ANSWER   | no state change
    Both                  | ANSWER   | no state change`,
  // A.3.2
  unsubscribe: `
    None                  | MUST NOT | no state change
    None + Pending Out    | MUST NOT | no state change
    None + Pending In     | MUST     | None
    None + Pending Out+In | MUST     | None + Pending Out
    To                    | MUST NOT | no state change
    To + Pending In       | MUST     | To
    From                  | MUST     | None
    From + Pending Out    | MUST     | None + Pending Out
    Both                  | MUST     | To`,
  // A.3.3
  subscribed: `
    None                  | MUST NOT | no state change
    None + Pending Out    | MUST     | To
    None + Pending In     | MUST NOT | no state change
    None + Pending Out+In | MUST     | To + Pending In
    To                    | MUST NOT | no state change
    To + Pending In       | MUST NOT | no state change
    From                  | MUST NOT | no state change
    From + Pending Out    | MUST     | Both
    Both                  | MUST NOT | no state change`,
  // A.3.4
  unsubscribed: `
    None                  | MUST NOT | no state change
    None + Pending Out    | MUST     | None
    None + Pending In     | MUST NOT | no state change
    None + Pending Out+In | MUST     | None + Pending In
    To                    | MUST     | None
    To + Pending In       | MUST     | None + Pending In
    From                  | MUST NOT | no state change
    From + Pending Out    | MUST     | From
    Both                  | MUST     | From`,
};

const WORDS = { MUST: "pass", "MUST NOT": "drop", ANSWER: "answer" } as const;

function cases(tables: Record<SubscriptionType, string>) {
  return Object.entries(tables).flatMap(([type, rows]) =>
    rows
      .trim()
      .split("\n")
      .map((row) => {
        const [from, word, to] = row.split("|").map((cell) => cell.trim());
        const next = to === "no state change" ? from : to;
        return [type, from, word, next] as [SubscriptionType, string, keyof typeof WORDS, string];
      }),
  );
}

describe("RFC 6121 A.2, outbound", () => {
  test.each(cases(OUTBOUND))("%s in state %s: %s be routed, then %s", (type, from, word, next) => {
    expect(outbound(STATE_NAMES[from], type)).toEqual({ stanza: WORDS[word], next: STATE_NAMES[next] });
  });
});

describe("RFC 6121 A.3, inbound", () => {
  test.each(cases(INBOUND))("%s in state %s: %s be delivered, then %s", (type, from, word, next) => {
    expect(inbound(STATE_NAMES[from], type)).toEqual({ stanza: WORDS[word], next: STATE_NAMES[next] });
  });
});

test("both appendices have nine states for each of the four types", () => {
  expect(cases(OUTBOUND)).toHaveLength(36);
  expect(cases(INBOUND)).toHaveLength(36);
});
