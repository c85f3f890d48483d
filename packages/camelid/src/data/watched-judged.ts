/** Judged answers that a run looks at before and after: rows that it never trains on where there are some, else a few of its own. */
import { createHash } from "node:crypto";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { splitByContent } from "./held-out-rows.js";
import { type JudgedRow, type JudgedRows, readJudgedRows } from "./judged-rows.js";
import { checkOneWay, type WatchSettings } from "./watched-pairs.js";

export interface WatchedJudged {
  /** The rows to train on. */
  trained: JudgedRow[];
  /** The rows to look at; also trained where none are held out. */
  watched: JudgedRow[];
  /** Every row that the reference has to score, and what identifies them. */
  scored: Pick<JudgedRows, "pairs" | "fingerprint">;
}

/** Rows of the training data that are looked at when none are held out. */
const TRAINED_ROWS = 64;

/**
 * @throws {SettingsError} `ERR_HELD_OUT` when both ways are asked for, or more than half of the rows would be held out
 * @throws {DataError} of the file evalData
 */
export async function watchJudged(
  data: Pick<JudgedRows, "pairs" | "fingerprint">,
  tokenizer: Tokenizer,
  settings: WatchSettings,
): Promise<WatchedJudged> {
  const { evalData, heldOutRows, seed } = settings;
  checkOneWay(settings, data.pairs.length);
  if (evalData !== null) {
    const read = await readJudgedRows(evalData, tokenizer, settings);
    return { trained: data.pairs, watched: read.pairs, scored: together(data, read) };
  }
  if (heldOutRows === null) {
    return { trained: data.pairs, watched: spread(data.pairs, TRAINED_ROWS), scored: data };
  }
  const numbered = data.pairs.map(({ chosen }, place) => ({ ...chosen, place }));
  const split = splitByContent(numbered, heldOutRows, seed);
  const at = (kept: readonly { place: number }[]) => kept.map(({ place }) => data.pairs[place]!);
  return { trained: at(split.rows), watched: at(split.heldOut), scored: data };
}

function together(a: WatchedJudged["scored"], b: WatchedJudged["scored"]): WatchedJudged["scored"] {
  const sha256 = createHash("sha256").update(`${a.fingerprint.sha256} ${b.fingerprint.sha256}`).digest("hex");
  const pairs = [...a.pairs, ...b.pairs];
  return { pairs, fingerprint: { file: a.fingerprint.file, rows: pairs.length, sha256 } };
}

/** At most `count` of the items, evenly spaced; an odd distance takes both sides of split pairs. */
function spread<T>(items: readonly T[], count: number): T[] {
  const step = Math.floor(items.length / count) | 1;
  return items.length <= count ? [...items] : items.filter((_, i) => i % step === 0).slice(0, count);
}
