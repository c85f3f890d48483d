/** Rows to measure the loss on that are never trained: from a file of their own, or taken out of the training data. */
import { createHash } from "node:crypto";
import { SettingsError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { readTrainRows, type TrainRow, type TrainRows, type TrainRowsOptions } from "./train-rows.js";

export interface HeldOutSettings extends TrainRowsOptions {
  /** JSONL file of held-out conversations. */
  evalData: string | null;
  /** How many rows to take out of the training data. */
  heldOutRows: number | null;
  /** How often their loss is measured. */
  evalEverySteps?: number | null;
  seed: number;
}

/**
 * @returns `rows` to train on and those `heldOut`, which may be none
 * @throws {SettingsError} `ERR_HELD_OUT` when both ways are asked for, or none and yet measurements, or more than half of the rows
 *   would be held out
 */
export async function holdOutRows(
  data: TrainRows,
  tokenizer: Tokenizer,
  settings: HeldOutSettings,
): Promise<{ rows: TrainRow[]; heldOut: TrainRow[] }> {
  const { evalData, heldOutRows: count, seed } = settings;
  if (evalData !== null && count !== null) {
    throw new SettingsError("ERR_HELD_OUT", "there are two sets of held-out rows.", {
      where: "evalData, heldOutRows",
      fix: "give one of them.",
    });
  }
  if (evalData !== null)
    return { rows: data.rows, heldOut: (await readTrainRows(evalData, tokenizer, settings)).rows };
  if (count === null && settings.evalEverySteps != null) {
    throw new SettingsError("ERR_HELD_OUT", "evalEverySteps is given, and no rows to measure then.", {
      where: "evalEverySteps",
      fix: "give evalData or heldOutRows too, or leave it out.",
    });
  }
  if (count === null) return { rows: data.rows, heldOut: [] };
  if (count > data.rows.length / 2) {
    throw new SettingsError("ERR_HELD_OUT", `${count} of ${data.rows.length} rows would be held out.`, {
      where: "heldOutRows",
      fix: "hold out less than half of the rows.",
    });
  }
  return splitByContent(data.rows, count, seed);
}

/**
 * Which rows are held out depends on the seed and on their tokens, not on their places; rows of the same tokens stay on one
 * side, so the count may be exceeded by duplicates.
 */
export function splitByContent(
  rows: readonly TrainRow[],
  count: number,
  seed: number,
): { rows: TrainRow[]; heldOut: TrainRow[] } {
  const keys = rows.map(({ inputIds: { buffer, byteOffset, byteLength } }) =>
    createHash("sha256")
      .update(`${seed} `)
      .update(new Uint8Array(buffer, byteOffset, byteLength))
      .digest("hex"),
  );
  const limit = [...keys].sort()[count - 1]!;
  return {
    rows: rows.filter((_, i) => keys[i]! > limit),
    heldOut: rows.filter((_, i) => keys[i]! <= limit),
  };
}
