import type { NewEvent } from "./events.js";

/**
 * What a recipe writes through while it trains. `openRun` gives one that fills a run folder; a replay gives one that only
 * listens, so that a step is recomputed by the very code that computed it first.
 */
export interface Run extends Disposable {
  /** The run folder, absolute. */
  readonly path: string;
  readonly finalPath: string;
  /** Appends one event; `time` is added. NaN and infinities are written as strings. */
  log(event: NewEvent): void;
  /**
   * Opens the record of rows by step.
   * @param dataFile what row numbers refer to: name and hash of the data
   */
  openLineage(dataFile: string): RowRecorder;
  /** Writes a file of the run folder as a whole or not at all: `report.html`. @returns its path */
  writeFile(name: string, data: string | Uint8Array): string;
  /**
   * Writes a folder of the run folder as a whole or not at all: `final`, `checkpoints/step-200`. What was logged before is
   * forced to disk first. A folder of that name, left by a part of the run that never happened, is exchanged.
   * @returns its path
   */
  writeFolder(name: string, fill: (folder: string) => Promise<void> | void): Promise<string>;
  /** Keeps only the newest checkpoints. */
  removeOldCheckpoints(keep: number): void;
  /** Writes `run-end`. The last call of a run; what `using` does afterwards is only to close files. */
  end(status: "completed" | "interrupted" | "failed", error?: { code?: string; message: string }): void;
}

export interface RowRecorder {
  /** Records that `step` trained on these rows, in this order. */
  append(step: number, rows: ArrayLike<number>): void;
}
