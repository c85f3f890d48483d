/** Which rows an optimizer step trains on, and how they lie in its micro-batches: from the trainer's own sampler and packer. */
import { trainedTokens } from "../../data/collate.js";
import { microBatches } from "../../data/micro-batches.js";
import { rowsOfStep } from "../../data/sampler.js";
import type { TrainRow } from "../../data/train-rows.js";

export interface StepOptions {
  step: number;
  seed: number;
  microBatchSize: number;
  gradAccumSteps: number;
  maxSeqLen: number;
  packing: boolean;
}

/**
 * @param rows what training would read from the file, held-out rows taken out by none
 * @returns lines for a terminal, at most 80 columns wide
 */
export function stepView(rows: readonly TrainRow[], options: StepOptions): string {
  const { step, seed, microBatchSize, gradAccumSteps, maxSeqLen, packing } = options;
  const rowsPerStep = microBatchSize * gradAccumSteps;
  const places = rowsOfStep(step, { seed, numRows: rows.length, rowsPerStep });
  const ofStep = places.map((place) => rows[place]!);
  const batches = microBatches(
    ofStep.map(({ inputIds }) => inputIds.length),
    { microBatchSize, maxSeqLen, packing },
  );
  const budget = microBatchSize * maxSeqLen;
  const room = packing ? `, room for ${budget.toLocaleString("en")} tokens each` : "";
  return [
    `step ${step} with seed ${seed}: ${rowsPerStep} rows of ${rows.length} in ${batches.length} micro-batches${room}`,
    ...batches.flatMap((batch, index) => {
      const packed = batch.map((i) => ofStep[i]!);
      const tokens = packed.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
      const trained = packed.reduce((sum, row) => sum + trainedTokens(row), 0);
      const share = packing ? `, ${Math.round((100 * tokens) / budget)} % full` : "";
      let at = 0;
      return [
        `micro-batch ${index + 1}: ${packed.length} rows, ${tokens} tokens, ${trained} trained${share}`,
        line("at", "tokens", "trained", "row", "source", "id"),
        ...packed.map((row) => {
          const start = at;
          at += row.inputIds.length;
          const numbers = [start, row.inputIds.length, trainedTokens(row), row.place + 1].map(String);
          return line(...(numbers as [string, string, string, string]), row.dataset, row.id);
        }),
      ];
    }),
    "",
  ].join("\n");
}

function line(at: string, tokens: string, trained: string, row: string, source: string, id: string): string {
  const numbers = [at.padStart(8), tokens.padStart(7), trained.padStart(8), row.padStart(8)].join("");
  return `${numbers}  ${source.slice(0, 18).padEnd(18)}  ${id.slice(0, 26)}`;
}
