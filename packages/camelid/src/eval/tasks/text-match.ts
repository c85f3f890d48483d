/** Comparing answers as the metric libraries of the paper's code do. */

/** Python's `string.punctuation`. */
const PUNCTUATION = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;

/**
 * Hugging Face `exact_match` with case and punctuation ignored: both are lower-cased and lose every ASCII punctuation
 * character; white space stays. So `(A)` equals `a`, `-50` equals `50`, and `18.00` is `1800`.
 */
export function exactMatchIgnoring(prediction: string, target: string): boolean {
  return stripped(prediction) === stripped(target);
}

function stripped(text: string): string {
  return text.toLowerCase().replace(PUNCTUATION, "");
}

/** SQuAD's normal form: lower case, no ASCII punctuation, no a/an/the, single spaces. */
export function squadNormal(text: string): string {
  return stripped(text)
    .replace(/(?<![\p{L}\p{N}_])(a|an|the)(?![\p{L}\p{N}_])/gu, " ")
    .split(/\s+/)
    .filter((word) => word !== "")
    .join(" ");
}

/** Token F1 of SQuAD between a prediction and one reference: 0 to 1. */
export function squadF1(prediction: string, reference: string): number {
  const [a, b] = [words(prediction), words(reference)];
  const counts = new Map<string, number>();
  for (const word of b) counts.set(word, (counts.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of a) {
    const left = counts.get(word) ?? 0;
    if (left === 0) continue;
    common++;
    counts.set(word, left - 1);
  }
  if (common === 0) return 0;
  const [precision, recall] = [common / a.length, common / b.length];
  return (2 * precision * recall) / (precision + recall);
}

function words(text: string): string[] {
  const normal = squadNormal(text);
  return normal === "" ? [] : normal.split(" ");
}
