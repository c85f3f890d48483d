/** A file of preferences -> pairs of token rows, with an account of what was cut or left out, by source. */
import { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type TokenRow, trainedTokens } from "./collate.js";
import { describeOrigin } from "./conversation.js";
import { rowsFingerprint } from "./fingerprint.js";
import { type PreferenceRow, readPreferences } from "./read-preferences.js";
import { IGNORE_INDEX, type RenderedRow, type RenderOptions, renderConversations } from "./render.js";
import { trainedRuns } from "./render-checks.js";
import type { SampledRow } from "./row-checks.js";

/** Two rows that begin with the same prompt. Only the last answer of each carries labels. */
export interface PairRow {
  readonly id: string;
  readonly dataset: string;
  /** Line of the file, or item of a JSON array, counted from 0. */
  readonly place: number;
  readonly chosen: TokenRow;
  readonly rejected: TokenRow;
  /** Tokens of the common prompt: both rows begin with the same so many ids. */
  readonly promptTokens: number;
}

export interface PairRows {
  pairs: PairRow[];
  /** What a checkpoint notes, so that a run is not continued on other data. */
  fingerprint: { file: string; rows: number; sha256: string };
  /** One entry per source, in order of appearance. */
  account: PairAccount[];
  /** Pairs that could not be used, with the reason; empty unless such rows are skipped. */
  skipped: DataError[];
  /** Pairs whose preferred answer is longer than maxSeqLen and loses its end, as people find them: "pairs.jsonl line 7". */
  chosenCut: string[];
  /** Whole sides of pairs from all over the file with what they were made of: preflight looks at them. */
  sample: SampledRow[];
}

/** What became of one source's pairs. */
export interface PairAccount {
  source: string;
  pairs: number;
  promptTokens: number;
  chosenTokens: number;
  rejectedTokens: number;
  /** Pairs of which a side was longer than maxSeqLen; what is left of both answers is trained. */
  cut: number;
}

export interface PairRowsOptions extends RenderOptions {
  onBad: "error" | "skip";
  /** A pair with a side longer than `maxSeqLen` is not usable at all. */
  whole?: boolean;
}

/**
 * Sides longer than `maxSeqLen` are cut on the right. A pair is not usable when that takes a whole answer, or leaves the two
 * sides equal; with `whole`, when it takes anything.
 * @throws {DataError} as `readPreferences`; `ERR_PAIR_CUT` listing every pair of which too little would be left,
 *   `ERR_PAIR_PROMPT` when the template renders the prompt differently before the two answers
 */
export async function readPairRows(
  file: string,
  tokenizer: Tokenizer,
  { onBad, maxSeqLen = Number.POSITIVE_INFINITY, whole: wholeOnly = false, ...options }: PairRowsOptions,
): Promise<PairRows> {
  const { rows, skipped } = await readPreferences(file, { onBad });
  const sides = rows.flatMap(({ dataset, id, origin, chosen, rejected }) => [
    { dataset, id, origin, messages: [...chosen] },
    { dataset, id, origin, messages: [...rejected] },
  ]);
  const rendered = await renderConversations(sides, tokenizer, options);
  const accounts = new Map<string, PairAccount>();
  const pairs: PairRow[] = [];
  const lost: DataError[] = [];
  const chosenCut: string[] = [];
  const kept: number[] = [];
  rows.forEach((row, i) => {
    const whole = pairSides(row, rendered[2 * i]!, rendered[2 * i + 1]!);
    const pair = cutPair(whole, maxSeqLen, wholeOnly);
    if (pair instanceof DataError) {
      lost.push(pair);
      return;
    }
    pairs.push(pair);
    kept.push(2 * i, 2 * i + 1);
    if (whole.chosen.inputIds.length > maxSeqLen) chosenCut.push(whole.where);
    addTo(accounts, pair, longest(whole) > maxSeqLen);
  });
  if (lost.length > 0 && (onBad === "error" || pairs.length === 0)) throw cutError(file, lost, maxSeqLen);
  const tokenRows = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const fingerprint = { file, rows: pairs.length, sha256: rowsFingerprint(tokenRows) };
  const sample = spread(kept, SAMPLED_SIDES).map((i) => ({ row: rendered[i]!, conversation: sides[i]! }));
  return {
    ...{ pairs, fingerprint, chosenCut, sample },
    ...{ account: [...accounts.values()], skipped: [...skipped, ...lost] },
  };
}

/** Checks decode every token; so many sides from all over the file say as much as all. */
const SAMPLED_SIDES = 200;

/** At most `count` of the items, evenly spaced; an odd distance takes both kinds of side. */
function spread<T>(items: readonly T[], count: number): T[] {
  const step = Math.floor(items.length / count) | 1;
  return items.length <= count ? [...items] : items.filter((_, i) => i % step === 0).slice(0, count);
}

type Joined = PairRow & { where: string };

/** Two rendered conversations as one pair: the common prompt found, labels on the last answers only. */
export function pairSides(row: PreferenceRow, chosen: RenderedRow, rejected: RenderedRow): Joined {
  const where = describeOrigin(row.origin);
  const starts = [chosen, rejected].map((side) => trainedRuns(side).at(-1)?.start ?? 0);
  const promptTokens = Math.min(...starts);
  const differs = chosen.inputIds.findIndex((id, at) => at < promptTokens && id !== rejected.inputIds[at]);
  if (differs >= 0 || promptTokens === 0) {
    throw new DataError(
      "ERR_PAIR_PROMPT",
      promptTokens === 0
        ? "the template leaves no prompt before the answer."
        : `the template renders the common prompt differently before the two answers, from token ${differs} on.`,
      { where, fix: "use a chat template that writes a turn the same way whatever follows it." },
    );
  }
  const { dataset, id, origin } = row;
  return {
    ...{ dataset, id, where, place: origin.line - 1, promptTokens },
    chosen: lastAnswerOnly(chosen, starts[0]!),
    rejected: lastAnswerOnly(rejected, starts[1]!),
  };
}

/**
 * Earlier answers belong to the common prompt: in the difference of the two sides they cancel, and a mean per token must not
 * count them.
 */
export function lastAnswerOnly({ dataset, id, inputIds, labels }: RenderedRow, start: number): TokenRow {
  return { dataset, id, inputIds, labels: labels.map((label, at) => (at < start ? IGNORE_INDEX : label)) };
}

function cutPair({ where, ...pair }: Joined, maxSeqLen: number, wholeOnly: boolean): PairRow | DataError {
  if (longest(pair) <= maxSeqLen) return pair;
  const [chosen, rejected] = [pair.chosen, pair.rejected].map((side) => ({
    ...side,
    inputIds: side.inputIds.slice(0, maxSeqLen),
    labels: side.labels.slice(0, maxSeqLen),
  })) as [TokenRow, TokenRow];
  const lost = [chosen, rejected].some((side) => trainedTokens(side) === 0);
  const same = chosen.inputIds.join() === rejected.inputIds.join();
  if (!lost && !same && !wholeOnly) return { ...pair, chosen, rejected };
  const tokens = `prompt ${pair.promptTokens}, chosen ${pair.chosen.inputIds.length}, rejected ${pair.rejected.inputIds.length} tokens`;
  return new DataError(
    "ERR_PAIR_CUT",
    wholeOnly
      ? `a text of the pair is longer than ${maxSeqLen} tokens (${tokens}).`
      : `cut to ${maxSeqLen} tokens, ${lost ? "an answer is lost" : "the two sides are the same"} (${tokens}).`,
    { where, fix: CUT_FIX },
  );
}

const CUT_FIX = "raise maxSeqLen, or leave such pairs out with `--on-bad skip`.";

function cutError(file: string, lost: readonly DataError[], maxSeqLen: number): DataError {
  if (lost.length === 1) return lost[0]!;
  const shown = lost.slice(0, 10).map(({ where, message }) => `${where}: ${message}`);
  if (lost.length > shown.length) shown.push(`and ${lost.length - shown.length} more`);
  return new DataError("ERR_PAIR_CUT", `maxSeqLen ${maxSeqLen} takes too much of ${lost.length} pairs.`, {
    where: [file, ...shown].join("\n         "),
    fix: CUT_FIX,
  });
}

const longest = ({ chosen, rejected }: PairRow): number =>
  Math.max(chosen.inputIds.length, rejected.inputIds.length);

function addTo(accounts: Map<string, PairAccount>, pair: PairRow, wasCut: boolean): void {
  let account = accounts.get(pair.dataset);
  if (account === undefined) {
    const source = pair.dataset;
    account = { source, pairs: 0, promptTokens: 0, chosenTokens: 0, rejectedTokens: 0, cut: 0 };
    accounts.set(source, account);
  }
  account.pairs++;
  account.promptTokens += pair.promptTokens;
  account.chosenTokens += trainedTokens(pair.chosen);
  account.rejectedTokens += trainedTokens(pair.rejected);
  if (wasCut) account.cut++;
}
