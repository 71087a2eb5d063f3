// RFC 6121 §5 and §8.5: where messages go, by address, type and priority.
import type { Client } from "../support/client.ts";
import { type Absent, stage } from "../support/story.ts";

const { story } = stage();

story(
  "RFC 6121 §5.2: a message carries its sender's full JID and is otherwise left as it was",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    romeo.sends`<message to="${juliet.bare}" type="chat" id="m1" xml:lang="it"><body>Ciao &amp; <![CDATA[<addio>]]></body><x xmlns="urn:own" a="&quot;"/></message>`;
    await juliet.receives`
      <message from="${romeo.full}" to="${juliet.bare}" type="chat" id="m1" xml:lang="it">
        <body>Ciao &amp; &lt;addio&gt;</body><x xmlns="urn:own" a="&quot;"/>
      </message>`;
    await romeo.receivesNothing();
  },
  { covers: ["websockets_SUITE:chat_msg", "websockets_SUITE:escape_chat_msg", "websockets_SUITE:escape_attrs"] },
);

story(
  "RFC 6120 §8.1.1.1: a message without 'to' is for the sender's own account",
  { romeo: 2 },
  async ({ romeo: [laptop, phone] }) => {
    laptop.sends`<message type="chat"><body>Note to self</body></message>`;
    await phone.receives`<message from="${laptop.full}"><body>Note to self</body></message>`;
  },
);

story(
  "RFC 6121 §8.5: messages of one sender to one recipient keep their order",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    for (let i = 0; i < 50; i++) romeo.says(`<message to="${juliet.full}" type="chat"><body>${i}</body></message>`);
    for (let i = 0; i < 50; i++) await juliet.hears(`<message><body>${i}</body></message>`);
  },
);

story(
  "RFC 6120 §8.3.3.8: an address that is no JID is answered with jid-malformed",
  { romeo: 1 },
  async ({ romeo }) => {
    romeo.sends`<message to="@@@" id="x1"><body>x</body></message>`;
    await romeo.receives`<message type="error" id="x1"><body>x</body><error type="modify"><jid-malformed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
  },
  { covers: ["mim_c2s_SUITE:message_sent_to_malformed_jid_results_in_error"] },
);

story(
  "RFC 6120 §10.4: a message for a domain that is not reachable is answered with an error",
  { romeo: 1 },
  async ({ romeo }) => {
    romeo.sends`<message to="juliet@capulet.example" id="x1"><body>x</body></message>`;
    await romeo.receives`<message from="juliet@capulet.example" type="error" id="x1"><error type="cancel"><remote-server-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
  },
);

story(
  "RFC 6121 §8.5.2.1.1: one session going leaves the account's messages to the other",
  { romeo: 1, juliet: 2 },
  async ({ romeo, juliet: [laptop, phone] }) => {
    await laptop.leaves();
    await phone.receives`<presence type="unavailable" from="${laptop.full}"/>`;
    romeo.sends`<message to="${laptop.full}" type="chat"><body>Still there?</body></message>`;
    await phone.receives`<message from="${romeo.full}"><body>Still there?</body></message>`;
  },
);

// --- The table of RFC 6121 §8.5.4 -------------------------------------------------------------------------------------

// What happens to a message, by the state of the recipient's account, the address, and the type.
// D delivered to the addressed session    M to the sessions of the highest priority    A to all with priority >= 0
// O kept until somebody comes online      E answered with service-unavailable          S ignored
// Where the RFC leaves a choice between E and S, this is ours.
const TABLE = `
  state             address   normal chat groupchat headline error
  no-account        bare      E      E    E         S        S
  no-account        full      E      E    E         E        S
  nobody            bare      O      O    E         S        S
  nobody            other     O      O    E         E        S
  silent            bare      O      O    E         S        S
  silent            full      D      D    D         D        D
  negative          bare      O      O    E         S        S
  negative          full      D      D    D         D        D
  negative          other     O      O    E         E        S
  one               bare      M      M    E         A        S
  one               full      D      D    D         D        D
  one               other     M      M    E         E        S
  high-and-low      bare      M      M    E         A        S
  high-and-low      full      D      D    D         D        D
  high-and-low      other     M      M    E         E        S
  equals            bare      A      A    E         A        S
  good-and-negative bare      M      M    E         A        S
`;

/** Priorities of Juliet's sessions, in each state; null is a session without presence. */
const STATES: Record<string, readonly (number | null)[]> = {
  "no-account": [],
  nobody: [],
  silent: [null],
  negative: [-1],
  one: [0],
  "high-and-low": [5, 1],
  equals: [3, 3],
  "good-and-negative": [0, -1],
};
const PHRASES: Record<string, string> = {
  D: "is delivered to that session",
  M: "is delivered to the session of the highest priority",
  A: "is delivered to every session that wants messages",
  O: "is kept until somebody comes online",
  E: "is answered with service-unavailable",
  S: "is silently ignored",
};

const [head, ...rows] = TABLE.trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));
const TYPES = head.slice(2);

for (const [state, address, ...codes] of rows) {
  for (const [i, code] of codes.entries()) {
    const type = TYPES[i];
    story(
      `RFC 6121 §8.5.4: ${state}, to a ${address} JID, a ${type} message ${PHRASES[code]}`,
      { romeo: 1 },
      async ({ romeo, server, door, account, stranger, another }) => {
        const juliet: Absent | Client = state === "no-account" ? stranger("juliet") : await account("juliet");
        const sessions: Client[] = [];
        for (const priority of STATES[state]) {
          const session = await another(juliet).logsIn(server.target(door), `r${sessions.length}`);
          if (priority !== null) await session.comesOnline(priority);
          await session.settles();
          for (const other of sessions) await other.settles();
          sessions.push(session);
        }
        const to = { bare: juliet.bare, full: sessions[0]?.full ?? `${juliet.bare}/x`, other: `${juliet.bare}/gone` }[
          address
        ];
        const body = type === "error" ? "<error type='cancel'/>" : "<body>Hi</body>";
        romeo.says(`<message to="${to}" type="${type}" id="m">${body}</message>`);

        const priorities = STATES[state];
        const best = Math.max(...priorities.map((p) => p ?? -129));
        const reached = sessions.filter((_, n) => {
          const priority = priorities[n] ?? -129;
          if (code === "D") return n === 0;
          return code === "A" ? priority >= 0 : code === "M" && priority === best;
        });
        for (const session of sessions) {
          if (reached.includes(session)) await session.hears(`<message id="m" type="${type}" from="${romeo.full}"/>`);
          await session.receivesNothing();
        }
        if (code === "E") {
          await romeo.hears(
            `<message id="m" type="error" from="${to}"><body>Hi</body><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
          );
        }
        await romeo.receivesNothing();
        if (state === "no-account") return;
        const later = await another(juliet).logsIn(server.target(door), "later");
        later.sends`<presence/>`;
        const came = (await later.settles()).filter((e) => e.name === "message");
        if (code === "O" ? came.length !== 1 : came.length > 0) {
          throw new Error(`${came.length} messages were kept`);
        }
      },
    );
  }
}
