/** Ratings of MT-Bench's judge: a number in double brackets, `[[7]]` or `[[8.5]]`; single brackets where it forgot one pair. */

/** @returns the first rating, or undefined when there is none or it lies outside 1 to 10 */
export function ratingOf(judgment: string): number | undefined {
  const found = /\[\[(\d+\.?\d*)\]\]/.exec(judgment) ?? /\[(\d+\.?\d*)\]/.exec(judgment);
  const rating = Number(found?.[1] ?? Number.NaN);
  return rating >= 1 && rating <= 10 ? rating : undefined;
}
