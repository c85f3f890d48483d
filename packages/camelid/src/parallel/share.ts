/**
 * Which rank computes which micro-batch of a step. Together they are the step of one process: the same rows, the same loss, the
 * same gradients but for the order of a sum.
 */

/**
 * Longest first, each to the rank with the least to do; ties go to the lower rank. Every rank computes the same answer.
 * @param costs what each micro-batch costs, such as its tokens
 * @returns places in `costs` for each rank, ascending
 */
export function shareOut(costs: readonly number[], ranks: number): number[][] {
  const shares = Array.from({ length: ranks }, () => ({ load: 0, places: [] as number[] }));
  const longestFirst = costs.map((_, place) => place).sort((a, b) => costs[b]! - costs[a]! || a - b);
  for (const place of longestFirst) {
    const least = shares.reduce((best, share) => (share.load < best.load ? share : best));
    least.load += costs[place]!;
    least.places.push(place);
  }
  return shares.map(({ places }) => places.sort((a, b) => a - b));
}
