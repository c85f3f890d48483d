/** Terminal columns that a text takes: 2 for East Asian wide characters and emoji, 0 for marks and joiners. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const { segment } of graphemes.segment(text))
    columns += WIDE.test(segment) ? 2 : ZERO.test(segment) ? 0 : 1;
  return columns;
}

/** Pieces of `text` of at most `room` columns, cut between graphemes. */
export function cutColumns(text: string, room: number): string[] {
  const pieces: string[] = [""];
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const columns = columnsOf(segment);
    if (used + columns > room) {
      pieces.push("");
      used = 0;
    }
    pieces[pieces.length - 1] += segment;
    used += columns;
  }
  return pieces;
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
