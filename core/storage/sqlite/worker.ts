// The worker's entry point: owns the SQLite file, so that no commit ever stops the event loop of the server.
import { pack, unpack } from "./bytes.ts";
import { classify, SqliteEngine } from "./engine.ts";
import type { OpenReply, SqliteSettings, Wire } from "./protocol.ts";

declare const self: Worker;

/** A checkpoint waits for this much quiet, so that it does not get in the way of a burst. */
const QUIET_MS = 500;

function serve(engine: SqliteEngine): void {
  let lastWrite = 0;
  let timer: Timer | undefined;
  const whenQuiet = () => {
    timer = undefined;
    if (!engine.dirty) return;
    if (performance.now() - lastWrite >= QUIET_MS) engine.checkpoint();
    else timer = setTimeout(whenQuiet, QUIET_MS);
  };
  self.onmessage = ({ data }: MessageEvent<Wire | null>) => {
    if (data === null) {
      clearTimeout(timer);
      engine.close();
      self.postMessage(null);
      return;
    }
    unpack(data);
    const reply = engine.run(data);
    self.postMessage(reply, pack(reply));
    if (!engine.dirty) return;
    lastWrite = performance.now();
    timer ??= setTimeout(whenQuiet, QUIET_MS);
  };
}

self.onmessage = ({ data }: MessageEvent<SqliteSettings>) => {
  let reply: OpenReply;
  try {
    serve(new SqliteEngine(data));
    reply = { ok: true };
  } catch (cause) {
    const { code, message } = classify(cause);
    reply = { ok: false, code, message };
  }
  self.postMessage(reply);
};
