// The runtime reads its options from the environment, before any of our code runs. So the server puts them there and
// executes itself again: the same process, a few milliseconds later.

import { dlopen, FFIType, ptr } from "bun:ffi";

/** What a server wants that a short program does not, with the reason; what the environment has already stays. */
const OPTIONS: Readonly<Record<string, string>> = {
  // The last tier of compilation costs more CPU in a storm of log-ins than it saves; code that stays hot still gets it.
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "1000000",
};

/** Set in the process that was executed again. */
const DONE = "MONGOOSEIM_TUNED";

/** Executes this program again with the runtime's options set, when that is not done already or not wanted. */
export function tune(words: readonly string[]): void {
  if (process.env[DONE] === undefined) executeAgain(words);
}

/**
 * Puts this program, with these arguments and the runtime's options, in the place of this process: the process id stays.
 * Returns only when that is not possible: another libc, or a program that is not compiled.
 */
export function executeAgain(words: readonly string[]): void {
  const compiled = import.meta.url.includes("/$bunfs/");
  if (!compiled || process.platform !== "linux") return;
  const env = { ...OPTIONS, ...process.env, [DONE]: "1" };
  const keep: Buffer[] = [];
  const list = (texts: readonly string[]): BigUint64Array => {
    const pointers = texts.map((text) => {
      const bytes = Buffer.from(`${text}\0`);
      keep.push(bytes);
      return BigInt(ptr(bytes));
    });
    return new BigUint64Array([...pointers, 0n]);
  };
  try {
    const signature = { args: [FFIType.ptr, FFIType.ptr, FFIType.ptr], returns: FFIType.int } as const;
    const { symbols } = dlopen("libc.so.6", { execve: signature });
    const file = Buffer.from(`${process.execPath}\0`);
    const argv = list([process.argv0, ...words]);
    const envp = list(Object.entries(env).map(([key, value]) => `${key}=${value}`));
    // Does not return when it works; a failure leaves us as we are, only slower to warm up.
    symbols.execve(ptr(file), ptr(argv), ptr(envp));
  } catch {
    // musl names its libc otherwise: the server runs untuned.
  }
}
