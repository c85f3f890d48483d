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
