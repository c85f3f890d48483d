/**
 * What a preference run looks at before and after: pairs (or conversations) that it never trains on where there are some, else
 * a few of its own pairs; each with the language of its text, because preference training in one language is known to hurt others.
 */
import { createHash } from "node:crypto";
import { DataError, SettingsError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { TokenRow } from "./collate.js";
import { splitByContent } from "./held-out-rows.js";
import { type PairRow, type PairRows, type PairRowsOptions, readPairRows } from "./pair-rows.js";
import { type LanguageCode, LanguageGuesser } from "./quality/language-guess.js";
import { readTrainRows } from "./train-rows.js";

export interface WatchedPair {
  readonly pair: PairRow;
  readonly language: LanguageCode;
}

export interface WatchedPairs {
  /** The pairs to train on. */
  trained: PairRow[];
  /** The pairs to look at; also trained when `source` says so. */
  watched: WatchedPair[];
  /** Conversations to look at, when evalData holds these instead; `dataset` is the language. */
  conversations: TokenRow[];
  source: "evalData" | "heldOutRows" | "trained";
  /** Every pair that the reference has to score, and what identifies them. */
  scored: Pick<PairRows, "pairs" | "fingerprint">;
}

export interface WatchSettings extends PairRowsOptions {
  /** Pairs, or conversations, that are not trained. */
  evalData: string | null;
  /** How many pairs to take out of the training data instead. */
  heldOutRows: number | null;
  seed: number;
}

/** Pairs of the training data that are looked at when none are held out: of its main language, and of all others. */
const TRAINED_PAIRS = 32;
const TRAINED_PAIRS_OTHER = 32;
/** Training pairs whose language is guessed, from all over the file. */
const GUESSED = 2000;

/**
 * @throws {SettingsError} `ERR_HELD_OUT` when both ways are asked for, or more than half of the pairs would be held out
 * @throws {DataError} of the file evalData
 */
export async function watchPairs(
  data: Pick<PairRows, "pairs" | "fingerprint">,
  tokenizer: Tokenizer,
  settings: WatchSettings,
): Promise<WatchedPairs> {
  const { evalData, heldOutRows, seed } = settings;
  checkOneWay(settings, data.pairs.length);
  const languageOf = languages(tokenizer);
  const label = (pairs: readonly PairRow[]): WatchedPair[] =>
    pairs.map((pair) => ({ pair, language: languageOf(pair.chosen) }));
  const all = { trained: data.pairs, scored: data, conversations: [] };
  if (evalData !== null) {
    const read = await readEvalData(evalData, tokenizer, settings);
    if ("rows" in read) {
      const conversations = read.rows.map((row) => ({ ...row, dataset: languageOf(row) }));
      return { ...all, watched: [], conversations, source: "evalData" };
    }
    return { ...all, watched: label(read.pairs), scored: together(data, read), source: "evalData" };
  }
  if (heldOutRows !== null) {
    const rows = data.pairs.map(({ chosen }, place) => ({ ...chosen, place }));
    const split = splitByContent(rows, heldOutRows, seed);
    const pairsAt = (kept: readonly { place: number }[]) => kept.map(({ place }) => data.pairs[place]!);
    return {
      ...{ ...all, trained: pairsAt(split.rows) },
      ...{ watched: label(pairsAt(split.heldOut)), source: "heldOutRows" },
    };
  }
  return { ...all, watched: fewOfEach(label(spread(data.pairs, GUESSED))), source: "trained" };
}

export function checkOneWay(settings: Pick<WatchSettings, "evalData" | "heldOutRows">, pairs: number): void {
  const { evalData, heldOutRows } = settings;
  if (evalData !== null && heldOutRows !== null) {
    throw new SettingsError("ERR_HELD_OUT", "there are two sets of held-out pairs.", {
      where: "evalData, heldOutRows",
      fix: "give one of them.",
    });
  }
  if (heldOutRows !== null && heldOutRows > pairs / 2) {
    throw new SettingsError("ERR_HELD_OUT", `${heldOutRows} of ${pairs} pairs would be held out.`, {
      where: "heldOutRows",
      fix: "hold out less than half of the pairs.",
    });
  }
}

/** Pairs, or conversations: the first row says which. */
async function readEvalData(file: string, tokenizer: Tokenizer, settings: WatchSettings) {
  try {
    return await readPairRows(file, tokenizer, settings);
  } catch (error) {
    if (!(error instanceof DataError) || error.code !== "ERR_DATA_COLUMNS") throw error;
    return readTrainRows(file, tokenizer, settings);
  }
}

function together(a: WatchedPairs["scored"], b: WatchedPairs["scored"]): WatchedPairs["scored"] {
  const sha256 = createHash("sha256").update(`${a.fingerprint.sha256} ${b.fingerprint.sha256}`).digest("hex");
  const pairs = [...a.pairs, ...b.pairs];
  return { pairs, fingerprint: { file: a.fingerprint.file, rows: pairs.length, sha256 } };
}

/** The language of most pairs, and the rest: some of each. */
function fewOfEach(pairs: readonly WatchedPair[]): WatchedPair[] {
  const main = mainLanguage(pairs);
  const isMain = ({ language }: WatchedPair) => language === main || language === "und";
  const others = pairs.filter((pair) => !isMain(pair));
  return [...spread(pairs.filter(isMain), TRAINED_PAIRS), ...spread(others, TRAINED_PAIRS_OTHER)];
}

/** The language that most have; "und" only where nothing else is. */
export function mainLanguage(items: readonly { language: LanguageCode }[]): LanguageCode {
  const counts = new Map<LanguageCode, number>();
  for (const { language } of items) counts.set(language, (counts.get(language) ?? 0) + 1);
  const known = [...counts].filter(([language]) => language !== "und").sort((a, b) => b[1] - a[1]);
  return known[0]?.[0] ?? "und";
}

function languages(tokenizer: Tokenizer): (row: TokenRow) => LanguageCode {
  const guesser = new LanguageGuesser();
  // A long answer decides, for its prompt may be in English all the same ("translate ..."). A short one says too little: a
  // single "hat" or "was" makes English German.
  return ({ inputIds, labels }) => {
    const answer = tokenizer.decode(inputIds.filter((_, at) => labels[at]! >= 0));
    const isLong = answer.split(/\s+/, LONG_ANSWER).length === LONG_ANSWER;
    const language = isLong ? guesser.guess(answer) : "und";
    return language === "und" ? guesser.guess(tokenizer.decode(inputIds)) : language;
  };
}

/** Words. */
const LONG_ANSWER = 30;

/** At most `count` of the items, evenly spaced. */
function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}
