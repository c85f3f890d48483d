/**
 * Rows of a batch lie end to end in one stretch of tokens; nothing is ever padded. Positions restart with each row and
 * attention never crosses rows, so a batch of several rows computes what each row alone would.
 */
import type { Device, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { rowBorders } from "./varlen-attention.js";

export interface PackedRows {
  /** [tokens] int64 */
  inputIds: Tensor;
  /** Tokens of each row; they sum to `tokens`. */
  lengths: readonly number[];
  /** Where rows share their beginnings (`packBranches`): what each of `lengths` is. */
  branches?: readonly { prefix: number; rests: readonly number[] }[];
  /** [tokens] int64: place of each token in its own row. */
  positions: Tensor;
  /** On CUDA: `rowBorders` of the lengths, for the kernels. */
  borders?: Tensor;
}

/**
 * @param rows   token ids of each row; none may be empty
 * @param starts position of each row's first token: 0, or how many tokens a KV cache holds of it
 */
export function packRows(
  rows: readonly ArrayLike<number>[],
  device: Device,
  starts?: readonly number[],
): PackedRows {
  const lengths = rows.map((row) => row.length);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const ids = new BigInt64Array(total);
  const positions = new BigInt64Array(total);
  let at = 0;
  rows.forEach((row, r) => {
    for (let i = 0; i < row.length; i++, at++) {
      ids[at] = BigInt(row[i]!);
      positions[at] = BigInt(i + (starts?.[r] ?? 0));
    }
  });
  return {
    inputIds: torch.tensor(ids, { device }),
    lengths,
    positions: torch.tensor(positions, { device }),
    ...(device.startsWith("cuda") ? { borders: rowBorders(lengths, device) } : {}),
  };
}

/** Rows that begin alike: the common beginning, and how each goes on. */
export interface Branches {
  prefix: ArrayLike<number>;
  rests: readonly ArrayLike<number>[];
}

/**
 * Rows with common beginnings, each of which lies in the stretch once: the beginning, then the rest of each row. Every token
 * sees what it would see if each row stood alone, so the hidden states are those of the plain rows. Nothing may be empty.
 */
export function packBranches(groups: readonly Branches[], device: Device): PackedRows {
  const starts = groups.flatMap(({ prefix, rests }) => [0, ...rests.map(() => prefix.length)]);
  const packed = packRows(
    groups.flatMap(({ prefix, rests }) => [prefix, ...rests]),
    device,
    starts,
  );
  const branches = groups.map(({ prefix, rests }) => ({
    prefix: prefix.length,
    rests: rests.map((rest) => rest.length),
  }));
  return { ...packed, branches };
}
