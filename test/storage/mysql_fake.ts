// A stand-in for Oracle's MySQL 8, which cannot be installed here: it lets one user in by caching_sha2_password without TLS
// and answers what a session begins with. (MySQL internals: "Connection Phase", "Caching_sha2_password", "COM_QUERY".)
import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";

const SCRAMBLE = Buffer.from("abcdefghijklmnopqrst");
/** Everything but TLS and what the client need not be offered. */
const CAPABILITIES = 0x00bf_f7ff & ~(1 << 11);
const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0]);
const EOF = Buffer.from([0xfe, 0, 0, 2, 0]);
const REFUSED = Buffer.concat([Buffer.from([0xff, 0x15, 0x04]), Buffer.from("#28000Access denied")]);

export class FakeMysql {
  /** What it says it is. */
  version = "8.4.5";
  /** Texts of COM_QUERY. */
  readonly queries: string[] = [];
  readonly #password: string;
  readonly #keys = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  readonly #server: Server;

  constructor(password: string) {
    this.#password = password;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return address.port;
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let step = 0;
    send(socket, 0, hello());
    socket.on("error", () => {});
    socket.on("data", (packet: Buffer) => {
      const body = packet.subarray(4);
      // It knows no hash of the password yet: the whole of it is wanted.
      if (step === 0) send(socket, 2, Buffer.from([1, 4]));
      else if (step === 1) send(socket, 4, Buffer.concat([Buffer.from([1]), Buffer.from(this.#keys.publicKey)]));
      else if (step === 2) send(socket, 6, this.#decrypt(body) === `${this.#password}\0` ? OK : REFUSED);
      else this.#answer(socket, body);
      step++;
    });
  }

  #decrypt(bytes: Uint8Array): string {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const plain = privateDecrypt({ key: this.#keys.privateKey, oaepHash: "sha1", padding }, bytes);
    return Buffer.from(plain.map((byte, i) => byte ^ SCRAMBLE[i % SCRAMBLE.length])).toString();
  }

  #answer(socket: Socket, body: Buffer): void {
    // COM_QUERY; the rest is COM_QUIT.
    if (body[0] !== 3) return;
    // Query attributes, of which there are none, come before the text.
    const text = body
      .subarray(1)
      .toString()
      .replace(/^\0\x01/, "");
    this.queries.push(text);
    if (!text.startsWith("SELECT VERSION()")) {
      send(socket, 1, OK);
      return;
    }
    send(socket, 1, Buffer.from([1]));
    send(socket, 2, column("version"));
    send(socket, 3, EOF);
    send(socket, 4, prefixed(this.version));
    send(socket, 5, EOF);
  }
}

function send(socket: Socket, sequence: number, body: Buffer): void {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = sequence;
  socket.write(Buffer.concat([head, body]));
}

const prefixed = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);

function column(name: string): Buffer {
  // Catalog, schema, table, original table, name, original name; then character set, length, type VAR_STRING.
  const texts = ["def", "", "", "", name, ""].map(prefixed);
  return Buffer.concat([...texts, Buffer.from([0x0c, 255, 0, 60, 0, 0, 0, 0xfd, 0, 0, 31, 0, 0])]);
}

function hello(): Buffer {
  const capabilities = Buffer.alloc(4);
  capabilities.writeUInt32LE(CAPABILITIES);
  return Buffer.concat([
    Buffer.from([10]),
    Buffer.from("8.4.5\0"),
    Buffer.from([1, 0, 0, 0]),
    SCRAMBLE.subarray(0, 8),
    Buffer.from([0]),
    capabilities.subarray(0, 2),
    Buffer.from([255, 2, 0]),
    capabilities.subarray(2),
    Buffer.from([SCRAMBLE.length + 1]),
    Buffer.alloc(10),
    SCRAMBLE.subarray(8),
    Buffer.from("\0caching_sha2_password\0"),
  ]);
}
