/**
 * The entry of `known` that someone who wrote `word` most likely meant, or `undefined` when nothing is close.
 * Case, `-`, `_` and `.` do not count, so `learning_rate` finds `learningRate` and `rank` finds `lora.rank`.
 *
 * @param aliases words other tools use, to the entry they mean here: `lr` -> `learningRate`
 */
export function closest(
  word: string,
  known: Iterable<string>,
  aliases: ReadonlyMap<string, string> = new Map(),
): string | undefined {
  const wanted = squash(word);
  for (const [alias, target] of aliases) if (squash(alias) === wanted) return target;
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const whole = squash(candidate);
    const last = squash(candidate.slice(candidate.lastIndexOf(".") + 1));
    const distance = Math.min(
      editDistance(wanted, whole),
      editDistance(wanted, last) + (last === whole ? 0 : 0.5),
    );
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  // One slip in three letters is a typing mistake; more is another word.
  return bestDistance <= Math.max(1, wanted.length / 3) ? best : undefined;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment) from `a` to `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, substitution);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}

function squash(word: string): string {
  return word.toLowerCase().replace(/[-_.\s]/g, "");
}
