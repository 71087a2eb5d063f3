// Server-sent events (HTML Living Standard §9.2), as GraphQL subscriptions have them: id from 1, data in JSON.

import type { Events } from "../../core/operations.ts";

export interface StreamOptions {
  /** Milliseconds without an event after which the stream ends; Infinity for never. */
  readonly idleTimeout: number;
  /** Told of what ended the stream; its reader only learns that it ended. */
  onError(error: unknown): void;
}

const encoder = new TextEncoder();
/** What a timer can hold. */
const LONGEST = 0x7fffffff;

/** A response body that gives the events one by one, as they are read. Its reader's end stops them. */
export function eventStream<T>(events: Events<T>, { idleTimeout, onError }: StreamOptions): ReadableStream<Uint8Array> {
  let id = 0;
  let idle: NodeJS.Timeout | undefined;
  const rest = (): void => {
    clearTimeout(idle);
    if (idleTimeout <= LONGEST) idle = setTimeout(() => events.stop(), idleTimeout);
  };
  return new ReadableStream(
    {
      start(controller) {
        rest();
        // Bun sends the head of a response with the first of its body: a comment, so that it is not the first event.
        controller.enqueue(encoder.encode(":\n\n"));
      },
      async pull(controller) {
        try {
          const event = await events.next();
          if (event !== undefined) {
            rest();
            controller.enqueue(encoder.encode(`id: ${++id}\ndata: ${JSON.stringify(event)}\n\n`));
            return;
          }
        } catch (error) {
          onError(error);
          events.stop();
        }
        clearTimeout(idle);
        controller.close();
      },
      cancel() {
        clearTimeout(idle);
        events.stop();
      },
    },
    { highWaterMark: 1 },
  );
}
