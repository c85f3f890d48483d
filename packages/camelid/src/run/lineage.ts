import { readFile } from "node:fs/promises";
import { AppendFile } from "./append-file.js";

/**
 * Which rows every optimizer step trained on: the file `lineage` of a run folder. Plain text, so that grep and
 * awk read it too; one line a step, the step and then the rows as they were taken:
 *
 *     # camelid lineage 1, rows of train.jsonl sha256:52fdf...
 *     1: 4011 87 90155 23
 *     2: 16 7020 311 5
 *     # resumed after step 1
 *     2: 16 7020 311 5
 *
 * Row numbers are lines of the data file named in the first line, counted from 0; in a JSON array, its items (ids in the
 * data need not be unique).
 * About 6 bytes a row: two epochs over 326,154 rows take 4 MB.
 */
export class LineageWriter {
  readonly #file: AppendFile;

  /** @param header what the row numbers refer to, one line: file name and hash */
  constructor(path: string, header: string) {
    this.#file = new AppendFile(path);
    this.#file.append(`# camelid lineage 1, rows of ${header.replaceAll("\n", " ")}`);
  }

  /** Records that `step` trained on these rows, in this order. */
  append(step: number, rows: ArrayLike<number>): void {
    this.#file.append(`${step}: ${Array.prototype.join.call(rows, " ")}`);
  }

  /** Marks that the run continues after `step`; what later lines before this mark say never happened. */
  resumeAfter(step: number): void {
    this.#file.append(`# resumed after step ${step}`);
  }

  sync(): void {
    this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}

export interface Lineage {
  /** What the row numbers refer to. */
  readonly header: string;
  /** Step -> rows, in the order they were trained. */
  readonly rowsOfStep: ReadonlyMap<number, readonly number[]>;
  /** Lines that could not be read: cut by a crash, or altered. */
  readonly brokenLines: readonly number[];
}

/** Reads a `lineage` file, also one that is being written or was cut in the middle of a line. */
export async function readLineage(path: string): Promise<Lineage> {
  const rowsOfStep = new Map<number, number[]>();
  const brokenLines: number[] = [];
  let header = "";
  const text = await readFile(path, "utf8");
  const lines = text.split("\n");
  const last = lines.pop() ?? "";
  if (last !== "") brokenLines.push(lines.length + 1); // no line end: cut, its last number may lack digits
  for (const [i, line] of lines.entries()) {
    const resumed = /^# resumed after step (\d+)$/.exec(line);
    if (resumed) {
      const after = Number(resumed[1]);
      for (const step of rowsOfStep.keys()) if (step > after) rowsOfStep.delete(step);
    } else if (line.startsWith("# camelid lineage ")) {
      header = line.slice(line.indexOf(", rows of ") + ", rows of ".length);
    } else if (/^\d+:( \d+)*$/.test(line)) {
      const [step, ...rows] = line.split(/:? /).map(Number);
      rowsOfStep.set(step!, rows);
    } else if (line !== "") brokenLines.push(i + 1);
  }
  return { header, rowsOfStep, brokenLines };
}

/**
 * The rows of one step, without reading all steps into memory first: a long run's file has tens of megabytes.
 * @returns undefined where the file does not have the step, or a resume made it void
 */
export async function readRowsOfStep(path: string, step: number): Promise<number[] | undefined> {
  return rowsOfStepIn(await readFile(path), step);
}

/** {@link readRowsOfStep} for bytes that were read already. */
export function rowsOfStepIn(bytes: Buffer, step: number): number[] | undefined {
  const start = bytes.lastIndexOf(`\n${step}: `);
  const end = start < 0 ? -1 : bytes.indexOf(0x0a, start + 1);
  if (end < 0) return undefined; // not there, or cut: its last number may lack digits
  const mark = "\n# resumed after step ";
  for (let at = bytes.indexOf(mark, end); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    if (Number.parseInt(bytes.toString("latin1", at + mark.length, at + mark.length + 16), 10) < step)
      return undefined;
  }
  const line = bytes.toString("latin1", start + 1, end);
  return /^\d+:( \d+)+$/.test(line) ? line.split(" ").slice(1).map(Number) : undefined;
}

/** The steps that trained on a row, in order. */
export function stepsOfRow({ rowsOfStep }: Lineage, row: number): number[] {
  return [...rowsOfStep].filter(([, rows]) => rows.includes(row)).map(([step]) => step);
}
