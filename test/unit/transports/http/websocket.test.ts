import { expect, test } from "vitest";
import { AddressLimits } from "../../../../core/address-limits.ts";
import { type WebSocketDoor, websocketApp } from "../../../../transports/http/websocket.ts";

test("an address that connects too often gets 429, others do not", async () => {
  const door = {
    engine: { addresses: new AddressLimits(() => 0), log: { limited: () => undefined } },
    options: { maxConnectionRate: 1, secure: false },
    isFull: false,
  } as unknown as WebSocketDoor;
  const app = websocketApp(door);
  const headers = { Upgrade: "websocket", "Sec-WebSocket-Protocol": "xmpp" };
  const from = async (address: string): Promise<number> => {
    const server = { requestIP: () => ({ address, port: 1 }), upgrade: () => true };
    return (await app.request("/", { headers }, { server })).status;
  };
  expect([await from("192.0.2.1"), await from("192.0.2.1"), await from("192.0.2.2")]).toEqual([200, 429, 200]);
});
