/**
 * Where every row and every record went. Rows are what the files hold; records are the conversations made of them.
 *
 *     read    = bad + notSampled + rejected + used            (rows)
 *     sampled = filtered + deduplicated + nearDuplicates
 *             + contaminated + overQuota + heldOut + written  (records)
 *
 * Both are asserted when a source ends: a row that nobody accounts for is a bug, never a rounding.
 */
import { InternalError } from "../../errors.js";

export interface SourceCounts {
  /** Rows in the source's files. */
  read: number;
  /** Rows that could not be read or converted, left out with --on-bad skip. */
  bad: number;
  /** Rows outside the draw, or after the quota was full. */
  notSampled: number;
  /** Rows that the source's rule turns into nothing. */
  rejected: number;
  /** Rows that became at least one record. */
  used: number;
  /** Records made of used rows. */
  converted: number;
  /** Records that entered the mixture: `converted` plus repeats and up-sampled copies. */
  sampled: number;
  filtered: number;
  deduplicated: number;
  nearDuplicates: number;
  contaminated: number;
  overQuota: number;
  heldOut: number;
  written: number;
  turns: number;
  chars: number;
  tokens: number;
  trainedTokens: number;
}

export function newCounts(): SourceCounts {
  return {
    read: 0,
    bad: 0,
    notSampled: 0,
    rejected: 0,
    used: 0,
    converted: 0,
    sampled: 0,
    filtered: 0,
    deduplicated: 0,
    nearDuplicates: 0,
    contaminated: 0,
    overQuota: 0,
    heldOut: 0,
    written: 0,
    turns: 0,
    chars: 0,
    tokens: 0,
    trainedTokens: 0,
  };
}

/** @throws {InternalError} naming the source and both sides when a row or a record is missing from the books */
export function assertBalanced(source: string, c: SourceCounts): void {
  const rowsOut = c.bad + c.notSampled + c.rejected + c.used;
  if (c.read !== rowsOut)
    throw new InternalError(`${source}: ${c.read} rows were read, ${rowsOut} are accounted for.`);
  const recordsOut =
    c.filtered + c.deduplicated + c.nearDuplicates + c.contaminated + c.overQuota + c.heldOut + c.written;
  if (c.sampled !== recordsOut) {
    throw new InternalError(`${source}: ${c.sampled} records entered, ${recordsOut} are accounted for.`);
  }
}

export function addCounts(all: readonly SourceCounts[]): SourceCounts {
  const total = newCounts();
  for (const counts of all)
    for (const key of Object.keys(total) as (keyof SourceCounts)[]) total[key] += counts[key];
  return total;
}
