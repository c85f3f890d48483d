/** How often a reward model prefers what people preferred, over all pairs and by part of a benchmark. */

export interface JudgedPair {
  subset: string | undefined;
  chosen: number;
  rejected: number;
}

export interface PairSummary {
  pairs: number;
  /** Share of pairs whose chosen answer has the higher score; a tie is none. */
  accuracy: number;
  /** Mean of chosen less rejected. */
  margin: number;
}

/**
 * @returns of all pairs; and of each subset, in order of appearance, when rows have any: pairs without one go together under
 *   "(none)"
 */
export function summarisePairs(pairs: readonly JudgedPair[]): {
  all: PairSummary;
  subsets: Record<string, PairSummary>;
} {
  const subsets = new Map<string, JudgedPair[]>();
  for (const pair of pairs) {
    const name = pair.subset ?? "(none)";
    subsets.set(name, [...(subsets.get(name) ?? []), pair]);
  }
  const hasSubsets = pairs.some(({ subset }) => subset !== undefined);
  return {
    all: summaryOf(pairs),
    subsets: hasSubsets
      ? Object.fromEntries([...subsets].map(([name, some]) => [name, summaryOf(some)]))
      : {},
  };
}

function summaryOf(pairs: readonly JudgedPair[]): PairSummary {
  const mean = (value: (pair: JudgedPair) => number): number =>
    pairs.reduce((sum, pair) => sum + value(pair), 0) / pairs.length;
  return {
    pairs: pairs.length,
    accuracy: mean(({ chosen, rejected }) => (chosen > rejected ? 1 : 0)),
    margin: mean(({ chosen, rejected }) => chosen - rejected),
  };
}
