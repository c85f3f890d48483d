/** Ratings of MT-Bench's judge: a number in double brackets, `[[7]]` or `[[8.5]]`; single brackets where it forgot one pair. */

/** @returns the first rating from 1 to 10, or undefined */
export function ratingOf(judgment: string): number | undefined {
  const found = /\[\[(\d+\.?\d*)\]\]/.exec(judgment) ?? /\[(\d+\.?\d*)\]/.exec(judgment);
  return found === null ? undefined : Number(found[1]);
}
