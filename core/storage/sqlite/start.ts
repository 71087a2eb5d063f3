// Starts the worker that owns a SQLite file.

import { StorageError } from "../db.ts";
import type { OpenReply, SqliteSettings } from "./protocol.ts";

/**
 * Opens a file in a worker of its own.
 * @throws StorageError
 */
export async function startWorker(settings: SqliteSettings): Promise<Worker> {
  const worker = new Worker(workerUrl(import.meta.url), { smol: true });
  const reply = await new Promise<OpenReply>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<OpenReply>) => resolve(data);
    worker.onerror = ({ message }) => resolve({ ok: false, code: "unavailable", message: oneLine(message) });
    worker.postMessage(settings);
  });
  if (reply.ok) return worker;
  worker.terminate();
  throw new StorageError(reply.code, reply.message);
}

/**
 * Where the worker's code is. In a compiled binary every module has the URL of the executable, so that a relative URL
 * misses; there the worker is an entry point of its own, kept under its path from the root of the project.
 */
export function workerUrl(moduleUrl: string): URL {
  return moduleUrl.startsWith("file:///$bunfs/")
    ? new URL("file:///$bunfs/root/core/storage/sqlite/worker.js")
    : new URL("./worker.ts", moduleUrl);
}

/** Bun's report of an error in a worker shows the source around it; the line that names it is enough. */
export function oneLine(message: string): string {
  return (/^(?:error|\w*Error): (.*)$/m.exec(message) ?? /^(.*)$/m.exec(message))?.[1] ?? message;
}
