import { setImmediate } from "node:timers/promises";

export interface InterruptOptions {
  /** What happens next, for the user. */
  text?: string;
  /** Tells the user. */
  say?: (text: string) => void;
  /** How to leave at once; for tests. */
  exit?: (code: number) => void;
  /** Where signals come from; for tests. */
  source?: Pick<NodeJS.Process, "on" | "off">;
  /** Milliseconds; for tests. */
  now?: () => number;
}

/** One Ctrl+C can arrive twice: from the terminal, and passed on by npm. Signals this close together are one. */
const sameSignalMs = 500;

/**
 * Turns the first SIGINT or SIGTERM into a request, `signal.aborted`: stop after this step and save. The second
 * leaves at once with code 130. Dispose it to give the signals back.
 *
 *     using interrupt = new Interrupt();
 *     for (const batch of steps) {
 *       train(batch);
 *       await nextTurn();                       // signals reach JavaScript only between turns of the event loop
 *       if (interrupt.signal.aborted) break;
 *     }
 */
export class Interrupt {
  readonly #controller = new AbortController();
  readonly #options: Required<InterruptOptions>;
  #firstAt: number | undefined;

  constructor(options: InterruptOptions = {}) {
    this.#options = {
      text: "Stopping after this step and saving.",
      say: (text) => process.stderr.write(`\n${text}\n`),
      exit: (code) => process.exit(code),
      source: process,
      now: () => performance.now(),
      ...options,
    };
    this.#options.source.on("SIGINT", this.#onSignal);
    this.#options.source.on("SIGTERM", this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #onSignal = (): void => {
    const { now, text, say, exit } = this.#options;
    if (this.#firstAt === undefined) {
      this.#firstAt = now();
      this.#controller.abort();
      say(`${text} Press Ctrl+C again to leave at once.`);
    } else if (now() - this.#firstAt > sameSignalMs) {
      exit(130);
    }
  };

  [Symbol.dispose](): void {
    this.#options.source.off("SIGINT", this.#onSignal);
    this.#options.source.off("SIGTERM", this.#onSignal);
  }
}

/**
 * Lets waiting signals, timers and I/O through. A training loop of synchronous steps awaits this once a step;
 * without it Ctrl+C would be heard only when the loop ends.
 */
export async function nextTurn(): Promise<void> {
  await setImmediate();
}
