// The subscription states of RFC 6121 Appendix A, as tables: what a subscription stanza does to the roster item that
// the user has for the contact, and whether the stanza goes on.

export const STATES = [
  "none",
  "none/out",
  "none/in",
  "none/out+in",
  "to",
  "to/in",
  "from",
  "from/out",
  "both",
] as const;
/** The nine states of A.1; after the slash, which way a request is pending. */
export type State = (typeof STATES)[number];

export type SubscriptionType = "subscribe" | "subscribed" | "unsubscribe" | "unsubscribed";
export const SUBSCRIPTION_TYPES: readonly SubscriptionType[] = [
  "subscribe",
  "subscribed",
  "unsubscribe",
  "unsubscribed",
];

export interface Transition {
  readonly next: State;
  /**
   * What becomes of the stanza: it goes on (routed to the contact, delivered to the user), it is dropped as news to
   * nobody, or the server answers it with "subscribed" in the user's name (§3.1.3).
   */
  readonly stanza: "pass" | "drop" | "answer";
}

type Table = Readonly<Record<SubscriptionType, Readonly<Record<State, Transition>>>>;
type Rows = Readonly<Record<SubscriptionType, string>>;

/** `>` the stanza goes on, `-` it is dropped, `=` it is answered; then the new state, when it is another. */
function table(rows: Rows): Table {
  const parsed = Object.entries(rows).map(([type, row]) => {
    const cells = row.split("|").map((cell, i): readonly [State, Transition] => {
      const [mark, next = STATES[i]] = cell.trim().split(" ");
      return [STATES[i], { next: next as State, stanza: mark === ">" ? "pass" : mark === "=" ? "answer" : "drop" }];
    });
    return [type, Object.fromEntries(cells)];
  });
  return Object.fromEntries(parsed) as Table;
}

/** A.2: the user sends. */
const OUTBOUND = table({
  //             none       | none/out | none/in       | none/out+in | to     | to/in     | from       | from/out   | both
  subscribe:
    "   > none/out | >        | > none/out+in | >           | >      | >         | > from/out | >          | > ",
  unsubscribe:
    " >          | > none   | >             | > none/in   | > none | > none/in | >          | > from     | > from",
  subscribed:
    "  -          | -        | > from        | > from/out  | -      | > both    | -          | -          | - ",
  unsubscribed:
    "-          | -        | > none        | > none/out  | -      | > to      | > none     | > none/out | > to",
});

/** A.3: the contact has sent, and the user's server decides. */
const INBOUND = table({
  //             none      | none/out      | none/in | none/out+in | to      | to/in     | from   | from/out   | both
  subscribe: "   > none/in | > none/out+in | -       | -           | > to/in | -         | =      | =          | = ",
  unsubscribe: " -         | -             | > none  | > none/out  | -       | > to      | > none | > none/out | > to",
  subscribed: "  -         | > to          | -       | > to/in     | -       | -         | -      | > both     | - ",
  unsubscribed:
    "-         | > none        | -       | > none/in   | > none  | > none/in | -      | > from     | > from",
});

/** What a subscription stanza that the user sends to the contact does. */
export const outbound = (state: State, type: SubscriptionType): Transition => OUTBOUND[type][state];
/** What a subscription stanza that the contact sent to the user does. */
export const inbound = (state: State, type: SubscriptionType): Transition => INBOUND[type][state];

/** The contact receives the user's presence. */
export const hasFrom = (state: State): boolean => state === "both" || state.startsWith("from");
/** The user receives the contact's presence. */
export const hasTo = (state: State): boolean => state === "both" || state.startsWith("to");
/** The user has asked and has no answer. */
export const asked = (state: State): boolean => state.includes("/out");
/** The contact has asked and has no answer. */
export const isAsked = (state: State): boolean => state.endsWith("in");
