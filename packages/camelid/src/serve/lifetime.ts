/** How long a request lives: until it is answered, or until its client, the clock or the server's end comes first. */
import { Refusal } from "./failures.js";

/** What a timer can hold; longer ones would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

export class Lifetime implements Disposable {
  readonly #end = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #forget: (() => void)[] = [];

  /**
   * @param client   aborted when the client is gone
   * @param stopping aborted when the server ends what is left
   */
  constructor(client: AbortSignal, stopping: AbortSignal, seconds: number) {
    this.#timer = setTimeout(
      () => this.end(new Refusal(504, "too_long", `the answer took more than ${seconds} s.`)),
      Math.min(seconds * 1000, LONGEST_MS),
    );
    this.#when(client, () => new Refusal(499, "client_gone", "the client closed the connection."));
    this.#when(stopping, () => new Refusal(503, "server_stopping", "the server is stopping."));
  }

  /** Aborted before the answer was complete; its reason is a `Refusal`. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  end(why: Refusal): void {
    if (!this.signal.aborted) this.#end.abort(why);
  }

  /** Nothing of an answered request is kept: neither by the clock, nor by the server's own signal. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const forget of this.#forget) forget();
  }

  #when(signal: AbortSignal, why: () => Refusal): void {
    const end = (): void => this.end(why());
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    this.#forget.push(() => signal.removeEventListener("abort", end));
  }
}
