// Installs what package-lock.json names, Bun's binary included, when node_modules does not match it yet.
// Plain Node: this is the one script that runs before Bun is there.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const lock = readFileSync(join(root, "package-lock.json"), "utf8");
const mark = join(root, "node_modules", ".installed-lock");

function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  if (done.status !== 0) {
    console.error(`Cannot run "${command} ${args.join(" ")}" (exit ${done.status ?? done.error})`);
    process.exit(1);
  }
}

if (!existsSync(mark) || readFileSync(mark, "utf8") !== lock) {
  console.error("Installing dependencies ...");
  run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
  // Newer npm does not run install scripts unasked; Bun's puts the binary of this platform in place.
  if (spawnSync(join(root, "node_modules", ".bin", "bun"), ["--version"], { stdio: "ignore" }).status !== 0) {
    run(process.execPath, [join(root, "node_modules", "bun", "install.js")]);
  }
  writeFileSync(mark, lock);
}
