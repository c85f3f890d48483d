/** Which rows the model's checks look at, and how much of them: what fits into the time. */
import type { TokenRow } from "../../data/collate.js";
import { IGNORE_INDEX } from "../../data/render.js";

/** So many rows show a leak and an uneven split; more would show nothing else. */
const ROWS = 4;
const FEWEST_TOKENS = 16;

/**
 * A few rows that together have at most `tokens` tokens, cut on the right. Where no answer begins early enough to be in
 * such a piece, every token of the pieces is trained instead. A file of fewer rows gives some of them twice.
 * @returns [] when the pieces would be too short to say anything
 */
export function fewRows(rows: readonly TokenRow[], tokens: number): TokenRow[] {
  const length = Math.floor(tokens / ROWS);
  if (length < FEWEST_TOKENS || rows.length === 0) return [];
  const answering = rows.filter(({ labels }) => {
    const begin = labels.findIndex((label, i) => i > 0 && label !== IGNORE_INDEX);
    return begin >= 0 && begin + FEWEST_TOKENS / 2 <= length;
  });
  const from = answering.length > 0 ? answering : rows;
  return Array.from({ length: ROWS }, (_, n) => {
    const place = from.length < ROWS ? n % from.length : Math.floor((n * from.length) / ROWS);
    const row = from[place]!;
    const inputIds = row.inputIds.slice(0, length);
    return { ...row, inputIds, labels: answering.length > 0 ? row.labels.slice(0, length) : inputIds };
  });
}
