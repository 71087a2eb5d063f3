// Talks to the server behind the control socket.

import type { CommandCategory } from "../../core/operations/commands.ts";
import { type Elsewhere, type ServerStatus, socketPath } from "../../transports/control/paths.ts";
import { CtlError, UNREACHABLE } from "./io.ts";

export interface GraphqlBody {
  readonly data?: unknown;
  readonly errors?: readonly unknown[];
}

/** Nobody answers on the control socket. */
export class NotRunning extends CtlError {
  constructor(path: string) {
    super(`The server is not running: nothing answers on "${path}" (another --state-dir?)`, UNREACHABLE);
  }
}

export class ControlClient {
  private readonly path: string;

  constructor(readonly stateDir: string) {
    this.path = socketPath(stateDir);
  }

  /** @throws NotRunning */
  status = (): Promise<ServerStatus> => this.ask<ServerStatus>("GET", "/status");

  /** As `status`, or undefined when nobody answers. */
  async tryStatus(): Promise<ServerStatus | undefined> {
    try {
      return await this.status();
    } catch (error) {
      if (error instanceof NotRunning) return undefined;
      throw error;
    }
  }

  /** The categories of operations and their commands. */
  commands = (): Promise<readonly CommandCategory[]> => this.ask<readonly CommandCategory[]>("GET", "/commands");

  /** Runs a GraphQL document with the rights of a global administrator. */
  graphql = (query: string, variables?: Readonly<Record<string, unknown>>): Promise<GraphqlBody> =>
    this.ask<GraphqlBody>("POST", "/graphql", { query, variables });

  /** Begins a stop or a restart; gives the server's process id. */
  lifecycle = (command: "stop" | "restart", otherHost?: string): Promise<{ readonly pid: number }> =>
    this.ask<{ pid: number }>("POST", "/ctl", { command, otherHost });

  /**
   * Makes the server leave its write-ahead logs alone until `release` is called, or this process ends. Undefined when no
   * server answers.
   */
  async hold(): Promise<{ readonly elsewhere: readonly Elsewhere[]; release(): void } | undefined> {
    if ((await this.tryStatus()) === undefined) return undefined;
    const ending = new AbortController();
    const response = await fetch("http://control/hold", { unix: this.path, timeout: false, signal: ending.signal });
    const reader = response.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    const { elsewhere } = JSON.parse(Buffer.from(value ?? "{}").toString()) as { elsewhere?: readonly Elsewhere[] };
    return { elsewhere: elsewhere ?? [], release: () => ending.abort() };
  }

  // The other end is the same program: what it answers is taken to be of the type that was asked for.
  private async ask<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`http://control${path}`, {
        method,
        unix: this.path,
        // An import of many users takes longer than any limit that would be right for the rest.
        timeout: false,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
      });
    } catch (error) {
      throw this.explain(error);
    }
    if (response.status >= 500) throw new CtlError(`The server failed to answer ${path}: its log says why`);
    const answer = (await response.json()) as T & { readonly error?: string };
    // GraphQL's refusals are answers; those of the control commands are not.
    if (response.status >= 400 && answer.error !== undefined) throw new CtlError(`The server ${answer.error}`);
    return answer;
  }

  private explain(error: unknown): Error {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (/ENOENT|ECONNREFUSED|ConnectionRefused|FailedToOpenSocket/.test(code)) return new NotRunning(this.path);
    if (/EACCES|EPERM/.test(code)) {
      return new CtlError(`May not open "${this.path}": run this as the user of the server, or as root`, UNREACHABLE);
    }
    const reason = error instanceof Error ? error.message : String(error);
    return new CtlError(`The server on "${this.path}" closed the connection: ${reason}`, UNREACHABLE);
  }
}
