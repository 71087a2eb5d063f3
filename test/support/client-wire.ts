// The two ways of a test client to the server: TCP (plain, STARTTLS, direct TLS) and WebSocket.
import type { Socket } from "bun";
import { parseWhole, TreeReader, type XElement } from "./match.ts";

export type Door = "tcp" | "websocket";

/** What a wire tells its client. */
export interface WireEvents {
  /** A stream header (or <open/>). */
  header(e: XElement): void;
  element(e: XElement): void;
  /** The server closed its stream (or sent <close/>). */
  streamEnd(): void;
  /** The connection is gone. */
  closed(code?: number): void;
  /** The server sent something that no client can read. */
  broken(error: Error): void;
}

export interface Wire {
  readonly door: Door;
  /** Sends text as it is: bytes of the stream, or one WebSocket message. */
  send(text: string | Uint8Array): void;
  /** The next thing that comes is a new stream. */
  restart(): void;
  /** Waits for the peer to end too. */
  end(): void;
  /** Cuts the connection. */
  cut(): void;
  pause(): void;
  resume(): void;
  startTls?(): Promise<void>;
  exporter?(): Buffer;
}

interface Exporter {
  exportKeyingMaterial(length: number, label: string): Buffer;
}

export interface TcpTarget {
  port: number;
  /** TLS from the first byte. */
  tls?: boolean;
  serverName?: string;
}

export class TcpWire implements Wire {
  readonly door = "tcp";
  private socket!: Socket;
  private reader!: TreeReader;
  private decoder = new TextDecoder("utf-8", { fatal: true });
  private secured: (() => void) | undefined;
  private tapped = false;
  private readonly unsent: Uint8Array[] = [];

  private constructor(private readonly events: WireEvents) {
    this.restart();
  }

  static async open({ port, tls, serverName }: TcpTarget, events: WireEvents): Promise<TcpWire> {
    const wire = new TcpWire(events);
    await new Promise<void>((resolve, reject) => {
      Bun.connect({
        hostname: "127.0.0.1",
        port,
        ...(tls && { tls: { rejectUnauthorized: false, serverName: serverName ?? "localhost" } }),
        socket: {
          open: (socket) => {
            wire.socket = socket;
            if (!tls) resolve();
          },
          handshake: (socket) => {
            wire.socket = socket;
            resolve();
          },
          data: (_, bytes) => {
            if (!wire.tapped) wire.took(bytes);
          },
          drain: () => {
            if (!wire.tapped) wire.flush();
          },
          close: () => {
            events.closed();
            reject(new Error("The connection was closed at once"));
          },
          error: () => {},
          connectError: (_, error) => reject(error),
        },
      }).catch(reject);
    });
    return wire;
  }

  private took(bytes: Uint8Array): void {
    let text: string;
    try {
      text = this.decoder.decode(bytes, { stream: true });
    } catch (error) {
      this.events.broken(error as Error);
      return;
    }
    // A client that sent everything at once gets several documents at once: each begins with a declaration.
    for (const [i, part] of text.split(/(?=<\?xml )/).entries()) {
      if (i > 0) this.restart();
      this.reader.write(part);
      if (this.reader.failure) this.events.broken(this.reader.failure);
    }
  }

  send(text: string | Uint8Array): void {
    this.unsent.push(typeof text === "string" ? Buffer.from(text) : text);
    this.flush();
  }

  /** Bun buffers nothing: what the kernel does not take goes with the next `drain`. */
  private flush(): void {
    while (this.unsent.length > 0) {
      const taken = this.socket.write(this.unsent[0]);
      if (taken < this.unsent[0].length) {
        if (taken > 0) this.unsent[0] = this.unsent[0].subarray(taken);
        return;
      }
      this.unsent.shift();
    }
  }

  restart(): void {
    this.reader = new TreeReader(true, {
      root: (e) => this.events.header(e),
      element: (e) => this.events.element(e),
      end: () => this.events.streamEnd(),
    });
  }

  startTls(): Promise<void> {
    this.tapped = true;
    return new Promise((resolve) => {
      const [, secure] = this.socket.upgradeTLS({
        data: undefined,
        tls: { rejectUnauthorized: false, serverName: "localhost" } as object,
        socket: {
          open: () => {},
          handshake: () => this.secured?.(),
          data: (_: unknown, bytes: Uint8Array) => this.took(bytes),
          drain: () => this.flush(),
          close: () => this.events.closed(),
          error: () => {},
        },
      });
      this.secured = () => {
        this.socket = secure;
        resolve();
      };
    });
  }

  exporter(): Buffer {
    return (this.socket as unknown as Exporter).exportKeyingMaterial(32, "EXPORTER-Channel-Binding");
  }

  end(): void {
    this.socket.shutdown();
  }

  cut(): void {
    this.socket.terminate();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}

const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";

export class WebSocketWire implements Wire {
  readonly door = "websocket";
  private socket!: WebSocket;

  private constructor(private readonly events: WireEvents) {}

  static async open(url: string, events: WireEvents, protocol = "xmpp"): Promise<WebSocketWire> {
    const wire = new WebSocketWire(events);
    const socket = new WebSocket(url, { protocols: [protocol], tls: { rejectUnauthorized: false } } as never);
    wire.socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error("The WebSocket was refused"));
      socket.onmessage = ({ data }) => wire.took(data as string);
      socket.onclose = ({ code }) => events.closed(code);
    });
    return wire;
  }

  get protocol(): string {
    return this.socket.protocol;
  }

  private took(text: string): void {
    try {
      const e = parseWhole(text);
      if (e.ns !== NS_FRAMING) this.events.element(e);
      else if (e.name === "open") this.events.header(e);
      else this.events.streamEnd();
    } catch (error) {
      this.events.broken(error as Error);
    }
  }

  send(text: string | Uint8Array): void {
    this.socket.send(text as string);
  }

  restart(): void {}

  end(): void {
    this.socket.close(1000);
  }

  cut(): void {
    (this.socket as unknown as { terminate(): void }).terminate();
  }

  pause(): void {
    throw new Error("A WebSocket cannot be paused");
  }
  resume(): void {}
}
