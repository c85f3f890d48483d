/**
 * For every prompt an answer to another one. How much likelier a model finds such answers than its reference does is an estimate
 * of its distance from the reference (Ethayarajh et al. 2024, section 4.2).
 *
 * Each row gets one partner for the whole run, not one that depends on the step's other rows: the reference then scores it once,
 * whatever the batch size, and packing, ranks and resuming cannot change it. Every answer is used exactly once.
 */
import { createHash } from "node:crypto";
import { DataError } from "../errors.js";
import type { TokenRow } from "./collate.js";
import { IGNORE_INDEX } from "./render.js";

/** A row and its answer, which may be longer than what is left of it in the row. */
export interface MismatchableRow {
  readonly row: TokenRow;
  readonly answer: Pick<TokenRow, "inputIds" | "labels">;
  /** Tokens before the answer. */
  readonly promptTokens: number;
}

/**
 * @returns each row's prompt with its partner's answer, cut on the right to `maxSeqLen`
 * @throws {DataError} `ERR_KTO_PROMPTS` when more than half of the rows have the same prompt
 */
export function mismatched(rows: readonly MismatchableRow[], maxSeqLen: number, file: string): TokenRow[] {
  const partners = partnersOf(rows.map(promptKey), file);
  return rows.map(({ row, promptTokens }, i) => {
    const { answer } = rows[partners[i]!]!;
    const inputIds = new Int32Array(Math.min(maxSeqLen, promptTokens + answer.inputIds.length));
    const labels = new Int32Array(inputIds.length).fill(IGNORE_INDEX);
    const room = inputIds.length - promptTokens;
    inputIds.set(row.inputIds.subarray(0, promptTokens));
    inputIds.set(answer.inputIds.subarray(0, room), promptTokens);
    labels.set(answer.labels.subarray(0, room), promptTokens);
    return { id: `${row.id} mismatched`, dataset: row.dataset, inputIds, labels };
  });
}

/**
 * Rows of one prompt side by side, then everything moved on by as many places as the largest group has: nobody meets their own
 * prompt again. The order of the groups is that of hashes, which is as good as random.
 * @returns by row: the place of the row whose answer it gets; a permutation
 */
export function partnersOf(prompts: readonly string[], file: string): number[] {
  const counts = new Map<string, number>();
  for (const prompt of prompts) counts.set(prompt, (counts.get(prompt) ?? 0) + 1);
  const shift = [...counts.values()].reduce((most, count) => Math.max(most, count), 0);
  if (2 * shift > prompts.length) {
    throw new DataError("ERR_KTO_PROMPTS", `${shift} of ${prompts.length} rows have the same prompt.`, {
      where: file,
      fix: "give answers to more prompts: the distance to the reference is estimated from answers to other prompts.",
    });
  }
  const order = [...prompts.keys()].sort((a, b) => compare(prompts[a]!, prompts[b]!) || a - b);
  const partners = new Array<number>(prompts.length);
  order.forEach((place, i) => {
    partners[place] = order[(i + shift) % order.length]!;
  });
  return partners;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function promptKey({ row, promptTokens }: MismatchableRow): string {
  const { buffer, byteOffset } = row.inputIds;
  return createHash("sha1")
    .update(new Uint8Array(buffer, byteOffset, 4 * promptTokens))
    .digest("hex");
}
