/** Finding the number that a worked answer ends with. */

/** `1,234` -> `1234`: a comma between digits goes, in one pass that does not overlap (`1,2,3` keeps its second comma). */
export function joinDigits(text: string): string {
  return text.replace(/(\p{Nd}),(\p{Nd})/gu, "$1$2");
}

/**
 * As the paper's code: the last match of `[-+]?\d*\.\d+|\d+` once commas between digits are gone. The sign belongs to
 * decimals only, so `-5` gives `5`. Digits of every script are digits, as in Python. Undefined when there is none.
 */
export function lastNumberPaper(text: string): string | undefined {
  return joinDigits(text)
    .match(/[-+]?\p{Nd}*\.\p{Nd}+|\p{Nd}+/gu)
    ?.at(-1);
}

/**
 * The number an answer states: behind the last "####", "\boxed{", "answer is", "answer:" or "A:", whichever comes last and
 * has a number behind it on its line; else the last number of the text. Thousands separators, currency signs and a
 * closing full stop are no part of it; a minus sign is, unless it stands between two operands.
 */
export function statedNumber(text: string): string | undefined {
  const markers = [...text.matchAll(/####|\\boxed\{|\banswer(?:\s+is|\s*:)|^\s*A:/gim)];
  for (const marker of markers.reverse()) {
    const line = text.slice(marker.index + marker[0].length).split("\n")[0]!;
    const found = numbersIn(line);
    // "The answer is 3 + 4 = 7": what counts is the end of a calculation, else the first number named.
    const equals = line.lastIndexOf("=");
    const number = equals >= 0 ? (numbersIn(line.slice(equals + 1))[0] ?? found[0]) : found[0];
    if (number !== undefined) return number;
  }
  return numbersIn(text).at(-1);
}

/** Whether two numerals name the same number: `18.00` and `18` do. */
export function sameNumber(a: string, b: string): boolean {
  const [x, y] = [Number(a), Number(b)];
  return Number.isFinite(x) && x === y;
}

/** Numbers of a text without separators: `-1,234.50` -> `-1234.50`. */
function numbersIn(text: string): string[] {
  return [
    ...text.matchAll(/(?<![\w).])-?[$€£]?-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+/g),
  ].map((match) => match[0].replace(/[$€£,]/g, ""));
}
