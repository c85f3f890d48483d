import { DataError } from "../errors.js";
import { SKIP_FIX } from "./conversation.js";
import type { RenderedRow } from "./render.js";

/** What rendering did to the rows of one source. */
export interface SourceCounters {
  rows: number;
  tokens: number;
  trainedTokens: number;
  /** Rows longer than `maxSeqLen`, and the tokens that went with the cut. */
  rowsCut: number;
  tokensCut: number;
  /** Answers of which nothing is left to train. */
  answersLost: number;
  /** Rows without any trained token. */
  rowsUntrained: number;
  straddlingTokens: number;
}

/** Counters per source (`dataset`), in the order in which sources first appear. */
export function countBySource(rows: Iterable<RenderedRow>): Map<string, SourceCounters> {
  const sources = new Map<string, SourceCounters>();
  for (const row of rows) {
    const source = sources.get(row.dataset) ?? emptyCounters();
    sources.set(row.dataset, source);
    source.rows++;
    source.tokens += row.inputIds.length;
    source.trainedTokens += row.trainedTokens;
    if (row.truncated) source.rowsCut++;
    source.tokensCut += row.tokensCut;
    source.answersLost += row.answersLost;
    if (row.trainedTokens === 0) source.rowsUntrained++;
    source.straddlingTokens += row.straddlingTokens;
  }
  return sources;
}

/**
 * Rows without a trained token would only dilute a batch: an error, or left out and listed by explicit choice.
 * @param where names a row by its index, e.g. `describeOrigin(conversations[index].origin)`
 * @throws {DataError} ERR_NO_TRAINED_TOKEN with `onBad: "error"`
 */
export function keepTrainedRows<T extends RenderedRow>(
  rows: readonly T[],
  where: (index: number) => string,
  { onBad = "error" }: { onBad?: "error" | "skip" } = {},
): { rows: T[]; skipped: DataError[] } {
  const skipped: DataError[] = [];
  const kept = rows.filter((row, index) => {
    if (row.trainedTokens > 0) return true;
    const error = new DataError("ERR_NO_TRAINED_TOKEN", untrainedProblem(row), {
      where: where(index),
      fix: row.truncated ? `raise maxSeqLen, or ${SKIP_FIX}` : SKIP_FIX,
    });
    if (onBad === "error") throw error;
    skipped.push(error);
    return false;
  });
  return { rows: kept, skipped };
}

function untrainedProblem(row: RenderedRow): string {
  const kept = row.inputIds.length;
  if (row.truncated)
    return `no trained token is left after cutting the row from ${kept + row.tokensCut} to ${kept} tokens.`;
  return `row "${row.id}" has no token to train.`;
}

function emptyCounters(): SourceCounters {
  return {
    rows: 0,
    tokens: 0,
    trainedTokens: 0,
    rowsCut: 0,
    tokensCut: 0,
    answersLost: 0,
    rowsUntrained: 0,
    straddlingTokens: 0,
  };
}
