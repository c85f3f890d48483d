/** Texts side by side, for a terminal. */

/**
 * Wraps at words; a word that is longer than a line is cut. Line breaks of the text stay.
 * @param width in characters
 */
export function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ")) {
      let rest = word;
      if (line !== "" && columnsOf(line) + 1 + columnsOf(rest) > width) {
        lines.push(line);
        line = "";
      } else if (line !== "") {
        line += " ";
      }
      for (let taken = take(rest, width); taken.length < rest.length; taken = take(rest, width)) {
        lines.push(line + taken);
        line = "";
        rest = rest.slice(taken.length);
      }
      line += rest;
    }
    return [...lines, line];
  });
}

/** @returns lines of at most `width` columns, texts in equal columns with a gap of three */
export function sideBySide(texts: readonly string[], width: number): string[] {
  const gap = " \u2502 ";
  const each = Math.max(8, Math.floor((width - gap.length * (texts.length - 1)) / texts.length));
  const columns = texts.map((text) => wrap(text, each));
  const height = Math.max(...columns.map(({ length }) => length));
  return Array.from({ length: height }, (_, row) =>
    columns
      .map((lines, i) => (i === columns.length - 1 ? (lines[row] ?? "") : pad(lines[row] ?? "", each)))
      .join(gap)
      .trimEnd(),
  );
}

const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - columnsOf(text)));

/** The longest beginning of at most `width` columns, one character at least. */
function take(text: string, width: number): string {
  let columns = 0;
  let end = 0;
  for (const { segment } of graphemes.segment(text)) {
    const more = columnsOf(segment);
    if (columns + more > width && end > 0) break;
    columns += more;
    end += segment.length;
  }
  return text.slice(0, end);
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Columns that a terminal gives a text: two for a character of East Asian width or an emoji. */
function columnsOf(text: string): number {
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) {
    const code = segment.codePointAt(0)!;
    columns += isWide(code) ? 2 : 1;
  }
  return columns;
}

const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
];

const isWide = (code: number): boolean => WIDE.some(([from, to]) => code >= from && code <= to);
