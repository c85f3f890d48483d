/**
 * Server-sent events, written to the socket no faster than the client reads. What its client does not take makes a stream wait, and a
 * client that takes nothing for too long loses its connection: it would hold a place, and its answer in memory.
 */
import type { ServerResponse } from "node:http";
import { Refusal } from "./failures.js";
import type { Lifetime } from "./lifetime.js";

export class EventStream {
  readonly #outgoing: ServerResponse;
  readonly #life: Lifetime;
  readonly #stallSeconds: number;

  /** @param headers of the answer, besides those that make it a stream */
  constructor(outgoing: ServerResponse, headers: Headers, life: Lifetime, stallSeconds: number) {
    this.#outgoing = outgoing;
    this.#life = life;
    this.#stallSeconds = stallSeconds;
    outgoing.writeHead(200, {
      ...Object.fromEntries(headers),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      // A proxy that gathers answers would show them at their end only.
      "x-accel-buffering": "no",
    });
  }

  /** Resolves when the client has room for more, or is given up. */
  async send(data: string): Promise<void> {
    if (this.#outgoing.write(`data: ${data}\n\n`)) return;
    await this.#room();
  }

  /** Ends the answer; a client that does not take the rest in time loses its connection. */
  end(): void {
    const outgoing = this.#outgoing;
    outgoing.end();
    if (outgoing.writableFinished || outgoing.destroyed) return;
    const late = setTimeout(() => outgoing.destroy(), this.#stallSeconds * 1000);
    late.unref();
    outgoing.once("close", () => clearTimeout(late));
  }

  #room(): Promise<void> {
    const [outgoing, { signal }] = [this.#outgoing, this.#life];
    if (signal.aborted || outgoing.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(stalled);
        outgoing.off("drain", done);
        outgoing.off("close", done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const stalled = setTimeout(() => {
        this.#life.end(new Refusal(408, "client_stalled", "the client does not read its answer."));
        outgoing.destroy();
      }, this.#stallSeconds * 1000);
      outgoing.once("drain", done);
      outgoing.once("close", done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
