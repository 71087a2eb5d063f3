// The one executable: called as `mongooseim` it is the server, as `mongooseimctl` a client of it or, with `start` and
// `foreground`, the server too. The server's code is loaded only by what runs it: a client starts in milliseconds.

import { basename } from "node:path";
import { runCtl } from "./cmd/ctl/index.ts";
import { processIo } from "./cmd/ctl/process-io.ts";
import { VERSION } from "./cmd/version.ts";

const words = process.argv.slice(2);
const isServer = basename(process.argv0) === "mongooseim" && (words.length === 0 || words[0].startsWith("-"));

if (isServer || words[0] === "foreground") {
  const { tune } = await import("./cmd/tune.ts");
  tune(words);
}

const io = processIo({
  async foreground(options) {
    const { runServer } = await import("./cmd/server.ts");
    return runServer(options);
  },
  async moduleSchemas() {
    const { moduleSchemas } = await import("./cmd/server.ts");
    return moduleSchemas();
  },
});

const code = await runCtl(isServer ? ["foreground", ...words] : words, io, { version: VERSION });
// What was written has to reach the pipe before the process ends.
process.stdout.write("", () => process.exit(code));
