/** Who may come in: a bounded number of requests at a time, and none when the server is about to end. */
import { Refusal } from "./failures.js";

export class Admission {
  readonly #limit: number;
  #inside = 0;
  #draining = false;
  #emptied: (() => void) | undefined;

  /** @param limit requests being answered and waiting, together */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get inside(): number {
    return this.#inside;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /**
   * @returns what to call, once or more often, when the request is over
   * @throws {Refusal} 429 when all places are taken, 503 while draining
   */
  enter(): () => void {
    if (this.#draining) throw new Refusal(503, "server_stopping", "the server is about to stop.");
    if (this.#inside >= this.#limit) {
      throw new Refusal(
        429,
        "queue_full",
        `${this.#limit} requests are being answered or wait already; try again.`,
        {
          headers: { "retry-after": "1" },
        },
      );
    }
    this.#inside++;
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#inside--;
      if (this.#inside === 0) this.#emptied?.();
    };
  }

  /** Lets nobody in any more. Resolves when all are out, or after `milliseconds`. */
  async drain(milliseconds: number): Promise<void> {
    this.#draining = true;
    if (this.#inside === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    const empty = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    await Promise.race([empty, tooLong]);
    clearTimeout(timer);
  }
}
