// Method `dummy`: lets everyone in after a while. For load tests of clients, never for production.
import type { AuthBackend } from "./types.ts";

export interface DummyOptions {
  /** Milliseconds that every check takes at least. */
  base_time: number;
  /** Up to this many milliseconds more, at random. */
  variance: number;
}

/** `sleep` waits the given milliseconds; `random` gives bytes. */
export function dummyAccounts(
  { base_time, variance }: DummyOptions,
  { sleep, random }: { sleep: (ms: number) => Promise<void>; random: (n: number) => Uint8Array },
): AuthBackend {
  return {
    name: "dummy",
    proofs: ["plain"],
    stored: true,
    exists: () => true,
    async checkPassword() {
      const [a, b, c, d] = random(4);
      const fraction = (a + b * 2 ** 8 + c * 2 ** 16 + d * 2 ** 24) / 2 ** 32;
      await sleep(base_time + 1 + Math.floor(fraction * variance));
      return true;
    },
    create: () => "ok",
    setPassword: () => "ok",
    remove: () => true,
  };
}
