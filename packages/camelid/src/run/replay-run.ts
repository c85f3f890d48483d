import { join, resolve } from "node:path";
import type { NewEvent } from "./events.js";
import type { RowRecorder, Run } from "./run.js";

/** A request to recompute steps of a run that exists, without writing anything. */
export interface Replay {
  /** The step that is wanted; the newest checkpoint before it is where the recomputation starts. */
  readonly step: number;
  /** Hears every event that a run would write. */
  onEvent(event: NewEvent): void;
}

/** A run that leaves the folder alone: a replay listens to it; of several ranks, all but the first have one. */
export class UnwrittenRun implements Run {
  readonly path: string;
  readonly #onEvent: (event: NewEvent) => void;

  constructor(path: string, onEvent: (event: NewEvent) => void = () => {}) {
    this.path = resolve(path);
    this.#onEvent = onEvent;
  }

  get finalPath(): string {
    return join(this.path, "final");
  }

  log(event: NewEvent): void {
    this.#onEvent(event);
  }

  openLineage(): RowRecorder {
    return { append: () => {} };
  }

  writeFile(name: string): string {
    return join(this.path, name);
  }

  async writeFolder(name: string): Promise<string> {
    return join(this.path, name);
  }

  removeOldCheckpoints(): void {}

  end(): void {}

  [Symbol.dispose](): void {}
}
