/** Which words of two texts are not in the other, in order. */
export interface Word {
  text: string;
  /** Not said by the other side. */
  own: boolean;
}

/** Longer texts are compared by their beginnings and endings only: the table of the longest common words would not fit. */
const LONGEST = 1200;

export function wordDiff(a: string, b: string): [Word[], Word[]] {
  const [left, right] = [words(a), words(b)];
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end))
    end++;
  const middle = [left.slice(start, left.length - end), right.slice(start, right.length - end)] as const;
  const common =
    middle[0].length <= LONGEST && middle[1].length <= LONGEST
      ? longestCommon(...middle)
      : { a: new Set<number>(), b: new Set<number>() };
  const marked = (all: string[], from: number, many: number, shared: ReadonlySet<number>): Word[] =>
    all.map((text, i) => ({
      text,
      own: i >= from && i < from + many && !shared.has(i - from) && text.trim() !== "",
    }));
  return [marked(left, start, middle[0].length, common.a), marked(right, start, middle[1].length, common.b)];
}

const words = (text: string): string[] => text.match(/\s+|\w+|[^\w\s]/gu) ?? [];

/** Places of the words that both have in the same order, as many as can be. */
function longestCommon(a: readonly string[], b: readonly string[]): { a: Set<number>; b: Set<number> } {
  const width = b.length + 1;
  const best = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      best[i * width + j] =
        a[i] === b[j]
          ? best[(i + 1) * width + j + 1]! + 1
          : Math.max(best[(i + 1) * width + j]!, best[i * width + j + 1]!);
    }
  }
  const found = { a: new Set<number>(), b: new Set<number>() };
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      found.a.add(i++);
      found.b.add(j++);
    } else if (best[(i + 1) * width + j]! >= best[i * width + j + 1]!) i++;
    else j++;
  }
  return found;
}
