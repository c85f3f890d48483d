/** Cuts a part's drawn rows into jobs of a few megabytes, in the order of the draw. */
import type { PythonRandom } from "../python-random.js";
import type { SourceOptions } from "../sources/source.js";
import type { RowJob } from "./job.js";
import { fileOfRow, type IndexedFile, type RowList } from "./row-list.js";

const JOB_BYTES = 2 << 20;
/** An encoding weighs some 30 times its text, outside of the collector's sight, until the job is done. */
const JOB_BYTES_WITH_TOKENS = 256 << 10;
const JOB_ROWS = 4096;

export interface JobSettings {
  readonly format: string;
  readonly dataset: string;
  readonly options: SourceOptions;
  readonly exempt: boolean;
  /** The stream of prompt templates: one draw a row, in drawing order. */
  readonly templateDraws?: PythonRandom;
  readonly copy?: boolean;
  /** Rows are tokenised: jobs stay small. */
  readonly countsTokens?: boolean;
}

/**
 * Lazy: a job's draws are taken when the job is made, so they come in row order whatever runs ahead.
 * @param order row numbers of the list in drawing order; all in file order when undefined
 * @param firstPosition read when a job is made, so that running ids can follow what earlier jobs produced
 */
export function* planJobs(
  list: RowList,
  order: Uint32Array | undefined,
  settings: JobSettings,
  firstPosition: (drawn: number) => number,
): Generator<RowJob> {
  const { templateDraws, countsTokens = false, ...rest } = settings;
  const jobBytes = countsTokens ? JOB_BYTES_WITH_TOKENS : JOB_BYTES;
  const count = order?.length ?? list.count;
  for (let from = 0; from < count; ) {
    const rows: number[] = [];
    let bytes = 0;
    while (from + rows.length < count && rows.length < JOB_ROWS && bytes < jobBytes) {
      const row = order?.[from + rows.length] ?? from + rows.length;
      const file = fileOfRow(list, row);
      bytes += file.index.lengths[row - file.firstRow]!;
      rows.push(row);
    }
    const draws = templateDraws && Float64Array.from(rows, () => templateDraws.random());
    yield { ...rest, ...locate(list, rows), firstPosition: firstPosition(from), ...(draws && { draws }) };
    from += rows.length;
  }
}

/** Columns of the job: only the files its rows lie in are named. */
function locate(list: RowList, wanted: readonly number[]) {
  const n = wanted.length;
  const files: IndexedFile[] = [];
  const fileOf = new Uint16Array(n);
  const rows = new Uint32Array(n);
  const starts = new Float64Array(n);
  const lengths = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const file = fileOfRow(list, wanted[i]!);
    let place = files.indexOf(file);
    if (place === -1) place = files.push(file) - 1;
    fileOf[i] = place;
    const row = wanted[i]! - file.firstRow;
    rows[i] = row;
    starts[i] = file.index.starts[row]!;
    lengths[i] = file.index.lengths[row]!;
  }
  return {
    files: files.map(({ file, path, stem, index }) => ({ file, path, stem, layout: index.layout })),
    fileOf,
    rows,
    starts,
    lengths,
  };
}
