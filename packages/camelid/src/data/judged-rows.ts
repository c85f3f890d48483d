/** A file of judged answers -> token rows, each with an answer to another prompt beside its own. */
import { createHash } from "node:crypto";
import { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type TokenRow, trainedTokens } from "./collate.js";
import { describeOrigin } from "./conversation.js";
import { rowsFingerprint } from "./fingerprint.js";
import { type MismatchableRow, mismatched } from "./mismatched-answers.js";
import { lastAnswerOnly, type PairRow, type PairRowsOptions } from "./pair-rows.js";
import { type JudgedConversation, readJudged } from "./read-judged.js";
import { type RenderedRow, renderConversations } from "./render.js";
import { trainedRuns } from "./render-checks.js";
import type { SampledRow } from "./row-checks.js";

/**
 * A judged answer, laid out as a pair so that references, packing and prompt sharing are those of preference pairs: `chosen` is
 * the row's own answer, whatever the judgement; `rejected` is the same prompt with another row's answer, from which the
 * distance to the reference is estimated.
 */
export interface JudgedRow extends PairRow {
  readonly desirable: boolean;
}

export interface JudgedRows {
  pairs: JudgedRow[];
  /** What a checkpoint notes, so that a run is not continued on other data. */
  fingerprint: { file: string; rows: number; sha256: string };
  /** One entry per source, in order of appearance. */
  account: JudgedAccount[];
  /** Rows that could not be used, with the reason; empty unless such rows are skipped. */
  skipped: DataError[];
  /** Lines of desirable answers that maxSeqLen takes the end of. */
  desirableCut: string[];
  /** Whole rows from all over the file with what they were made of: preflight looks at them. */
  sample: SampledRow[];
}

/** What became of one source's rows; tokens are sums. */
export interface JudgedAccount {
  source: string;
  desirable: number;
  undesirable: number;
  promptTokens: number;
  desirableTokens: number;
  undesirableTokens: number;
  /** Rows longer than maxSeqLen; what is left of the answer is trained. */
  cut: number;
}

/**
 * Rows longer than `maxSeqLen` are cut on the right.
 * @throws {DataError} as `readJudged`; `ERR_ANSWER_CUT` when no token of an answer would be left; `ERR_KTO_PROMPTS` when there
 *   are too few different prompts to estimate anything from answers to other prompts
 */
export async function readJudgedRows(
  file: string,
  tokenizer: Tokenizer,
  { onBad, maxSeqLen = Number.POSITIVE_INFINITY, ...options }: PairRowsOptions,
): Promise<JudgedRows> {
  const { rows, skipped } = await readJudged(file, { onBad });
  const conversations = rows.map((row) => ({ ...row, messages: [...row.messages] }));
  const rendered = await renderConversations(conversations, tokenizer, options);
  const kept: { row: JudgedConversation; own: MismatchableRow; place: number }[] = [];
  for (const [place, row] of rows.entries()) {
    const own = ownAnswer(rendered[place]!, maxSeqLen);
    if (trainedTokens(own.row) > 0) kept.push({ row, own, place });
    else if (onBad === "skip") skipped.push(cutError(row, maxSeqLen));
    else throw cutError(row, maxSeqLen);
  }
  if (kept.length === 0) throw skipped[0]!;
  const others = mismatched(
    kept.map(({ own }) => own),
    maxSeqLen,
    file,
  );
  const pairs = kept.map(({ row: { desirable, origin }, own }, i) => {
    const { dataset, id } = own.row;
    const place = origin.line - 1;
    const sides = { chosen: own.row, rejected: others[i]! };
    return { dataset, id, place, desirable, promptTokens: own.promptTokens, ...sides };
  });
  const isCut = ({ place }: { place: number }) => rendered[place]!.inputIds.length > maxSeqLen;
  const sample = spread(kept, SAMPLED_ROWS).map(({ place }) => ({
    row: rendered[place]!,
    conversation: conversations[place]!,
  }));
  return {
    ...{ pairs, skipped, sample, fingerprint: { file, rows: pairs.length, sha256: sha256Of(pairs) } },
    account: accountOf(pairs, kept.map(isCut)),
    desirableCut: kept
      .filter((one) => one.row.desirable && isCut(one))
      .map(({ row }) => describeOrigin(row.origin)),
  };
}

/** Checks decode every token; so many rows from all over the file say as much as all. */
const SAMPLED_ROWS = 200;

function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}

/** Earlier answers belong to the prompt: a judgement is of the last one. */
function ownAnswer(rendered: RenderedRow, maxSeqLen: number): MismatchableRow {
  const start = trainedRuns(rendered).at(-1)?.start ?? rendered.inputIds.length;
  const whole = lastAnswerOnly(rendered, start);
  return { row: cutTo(whole, maxSeqLen), answer: part(whole, start), promptTokens: start };
}

const cutTo = (row: TokenRow, length: number): TokenRow =>
  row.inputIds.length <= length
    ? row
    : { ...row, inputIds: row.inputIds.slice(0, length), labels: row.labels.slice(0, length) };

const part = ({ inputIds, labels }: TokenRow, from: number) => ({
  ...{ inputIds: inputIds.subarray(from), labels: labels.subarray(from) },
});

function cutError({ origin }: JudgedConversation, maxSeqLen: number): DataError {
  return new DataError("ERR_ANSWER_CUT", `cut to ${maxSeqLen} tokens, nothing of the answer is left.`, {
    where: describeOrigin(origin),
    fix: "raise maxSeqLen, or leave such rows out with `--on-bad skip`.",
  });
}

function sha256Of(rows: readonly JudgedRow[]): string {
  const tokens = rowsFingerprint(rows.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  const judgements = rows.map(({ desirable }) => (desirable ? 1 : 0)).join("");
  return createHash("sha256").update(`${tokens} ${judgements}`).digest("hex");
}

function accountOf(rows: readonly JudgedRow[], wasCut: readonly boolean[]): JudgedAccount[] {
  const accounts = new Map<string, JudgedAccount>();
  const none = { desirable: 0, undesirable: 0, promptTokens: 0, desirableTokens: 0, undesirableTokens: 0 };
  rows.forEach(({ dataset: source, desirable, promptTokens, chosen }, i) => {
    const account = accounts.get(source) ?? { source, ...none, cut: 0 };
    accounts.set(source, account);
    account[desirable ? "desirable" : "undesirable"]++;
    account[desirable ? "desirableTokens" : "undesirableTokens"] += trainedTokens(chosen);
    account.promptTokens += promptTokens;
    if (wasCut[i]) account.cut++;
  });
  return [...accounts.values()];
}
