// What clients are slowed down or turned away for: stanzas, connections and failed log-ins.
import { describe, expect } from "vitest";
import { type Client, plain } from "../support/client.ts";
import { stage } from "../support/story.ts";

const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const FAILURE = `<failure xmlns="${NS_SASL}"><not-authorized/></failure>`;
const local = { port: 0, ip_address: "127.0.0.1" };

describe("stanzas", () => {
  const rate = { max_stanzas_per_second: 5 };
  const { story } = stage({
    listen: {
      c2s: [{ ...local, ...rate }],
      http: [{ ...local, handlers: { mongoose_websocket_handler: [{ host: "_", path: "/ws-xmpp", ...rate }] } }],
    },
  });

  story(
    "who sends too fast is read slowly; nothing is lost or out of order",
    { juliet: 1, romeo: 1 },
    async ({ romeo, juliet }) => {
      // At most what is left of a second, a whole one, and then a second's wait for each further five.
      const began = performance.now();
      const times: number[] = [];
      for (let i = 0; i < 20; i++) {
        romeo.sends`<message to="${juliet.full}" type="chat"><body>${i}</body></message>`;
      }
      for (let i = 0; i < 20; i++) {
        await juliet.receives`<message from="${romeo.full}"><body>${i}</body></message>`;
        times.push(performance.now() - began);
      }
      expect(times[3]).toBeLessThan(700);
      expect(times[19]).toBeGreaterThan(1700);
      expect(times[19]).toBeLessThan(5000);
    },
    { slow: true },
  );

  story(
    "another session is not slowed down by it",
    { juliet: 1, romeo: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      for (let i = 0; i < 12; i++) romeo.sends`<message to="${juliet.full}" type="chat"><body>${i}</body></message>`;
      const began = performance.now();
      nurse.sends`<message to="${romeo.full}" type="chat"><body>peace</body></message>`;
      await romeo.receives`<message from="${nurse.full}"><body>peace</body></message>`;
      expect(performance.now() - began).toBeLessThan(700);
    },
    { slow: true },
  );
});

describe("addresses", () => {
  const { story } = stage({
    listen: {
      c2s: [
        { ...local, proxy_protocol: true, max_connections_per_minute: 3, max_failed_logins_per_minute: 3 },
        {
          ...local,
          proxy_protocol: true,
          max_connections_per_minute: 1,
          tls: { mode: "tls", verify_mode: "none" },
        },
      ],
    },
  });
  const from = (c: Client, address: string): void => c.sendsRaw(`PROXY TCP4 ${address} 127.0.0.1 40000 ${5222}\r\n`);

  story(
    "one that connects too often is turned away with policy-violation, others are not",
    {},
    async ({ stranger, server, door }) => {
      const tries = async (): Promise<string> => {
        const c = await stranger().connects(server.target(door));
        from(c, "192.0.2.10");
        c.sendsHeader();
        const first = await c.next();
        return first.name;
      };
      const seen: string[] = [];
      for (let i = 0; i < 7; i++) seen.push(await tries());
      expect(seen.slice(0, 3)).toEqual(["features", "features", "features"]);
      expect(seen).toContain("error");
      const last = await stranger().connects(server.target(door));
      from(last, "192.0.2.11");
      await last.opens();
      last.tally.assertions++;
    },
    { door: "tcp" },
  );

  story(
    "the error is policy-violation",
    {},
    async ({ stranger, server, door }) => {
      // More than twice the bound: they cannot all be of different minutes.
      for (let i = 0; i < 6; i++) from(await stranger().connects(server.target(door)), "192.0.2.12");
      const c = await stranger().connects(server.target(door));
      from(c, "192.0.2.12");
      await c.receivesStreamError("policy-violation");
    },
    { door: "tcp" },
  );

  story(
    "one from which too many log-ins failed may not try again, even with the right password",
    { romeo: 0 },
    async ({ romeo, another, server, door }) => {
      const comes = async (address: string): Promise<Client> => {
        const c = await another(romeo).connects(server.target(door));
        from(c, address);
        await c.opens();
        return c;
      };
      const guesser = await comes("192.0.2.20");
      for (let i = 0; i < 3; i++) {
        guesser.sendsRaw(plain(romeo.local, `guess ${i}`));
        await guesser.hears(FAILURE);
      }
      const elsewhere = await comes("192.0.2.21");
      const again = await comes("192.0.2.20");
      again.sendsRaw(plain(romeo.local, romeo.account.password));
      await again.receivesStreamError("policy-violation");
      elsewhere.sendsRaw(plain(romeo.local, romeo.account.password));
      await elsewhere.receives`<success xmlns="${NS_SASL}"/>`;
    },
    { door: "tcp" },
  );
});

describe("stanzas of who is gone", () => {
  const { story } = stage({ listen: { c2s: [{ ...local, max_stanzas_per_second: 2 }] } });
  story(
    "what came before the connection broke is delivered all the same",
    { juliet: 1, romeo: 1 },
    async ({ romeo, juliet }) => {
      for (let i = 0; i < 5; i++) romeo.sends`<message to="${juliet.bare}" type="chat"><body>${i}</body></message>`;
      await juliet.receives`<message><body>0</body></message>`;
      await romeo.breaks();
      for (let i = 1; i < 5; i++) await juliet.receives`<message><body>${i}</body></message>`;
    },
    { door: "tcp", slow: true },
  );
});
