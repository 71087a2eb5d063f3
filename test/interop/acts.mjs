// What clients on Node have in common: facts, as lines {"fact", "holds", "seen"} on stdout, and acts that find them.

export const fact = (words, holds, seen) =>
  console.log(
    JSON.stringify({ fact: words, holds: Boolean(holds), seen: holds ? null : String(JSON.stringify(seen)) }),
  );

/** Has two clients that have logged in play, and ends. An act that breaks off does not hide the others. */
export async function play(acts, alice, bob) {
  fact("both log in over WebSocket", true);
  for (const [name, act] of Object.entries(acts)) {
    try {
      await act(alice, bob);
    } catch (error) {
      fact(`the act ${name} goes on`, false, error?.error ?? String(error?.stack ?? error));
    }
  }
  alice.disconnect();
  bob.disconnect();
  setTimeout(() => process.exit(0), 300);
}
