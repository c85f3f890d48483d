/** Tokenised rows -> the tensors of one micro-batch. */
import type { Device, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { IGNORE_INDEX } from "./render.js";

/** A row ready for training: what the renderer made of a conversation. */
export interface TokenRow {
  readonly id: string;
  /** The source it came from; losses are reported by it. */
  readonly dataset: string;
  readonly inputIds: Int32Array;
  /** The token's own id where it carries loss, else IGNORE_INDEX; not shifted. */
  readonly labels: Int32Array;
}

/** Where the loss is taken: hidden state `positions[i]` predicts token `labels[i]`. */
export interface Targets {
  /** [trained] int64: places in the packed stretch */
  positions: Tensor;
  /** [trained] int64 */
  labels: Tensor;
  /** [trained] int64: number of the row's source */
  sources: Tensor;
}

/** Tokens of a row that carry loss: labels are predicted from the token before, so the first never does. */
export function trainedTokens({ labels }: Pick<TokenRow, "labels">): number {
  let count = 0;
  for (let i = 1; i < labels.length; i++) if (labels[i] !== IGNORE_INDEX) count++;
  return count;
}

/** Tokens that go through the model, trained or not. */
export function totalTokens(rows: readonly Pick<TokenRow, "inputIds">[]): number {
  return rows.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
}

/** @param sourceOf number of a row's source, for per-source losses */
export function collateTargets(
  rows: readonly TokenRow[],
  device: Device,
  sourceOf: (row: TokenRow) => number,
): Targets {
  const total = rows.reduce((sum, row) => sum + trainedTokens(row), 0);
  const positions = new BigInt64Array(total);
  const labels = new BigInt64Array(total);
  const sources = new BigInt64Array(total);
  let at = 0;
  let offset = 0;
  for (const row of rows) {
    const source = BigInt(sourceOf(row));
    for (let i = 1; i < row.labels.length; i++) {
      if (row.labels[i] === IGNORE_INDEX) continue;
      positions[at] = BigInt(offset + i - 1);
      labels[at] = BigInt(row.labels[i]!);
      sources[at] = source;
      at++;
    }
    offset += row.labels.length;
  }
  return {
    positions: torch.tensor(positions, { device }),
    labels: torch.tensor(labels, { device }),
    sources: torch.tensor(sources, { device }),
  };
}
