/**
 * A batch of rows must compute what its rows alone would: packed or not, split one way or another. Both are tried on the
 * user's own model, rows, precision and device.
 */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { collateTargets, type TokenRow, trainedTokens } from "../../data/collate.js";
import type { LanguageModel } from "../../model/language-model.js";
import { tokenLogps } from "../../nn/log-probs.js";
import { packRows } from "../../nn/packed-rows.js";
import type { Check } from "../../run/checks.js";
import { accumulateSft, type LossReduction, lossScales } from "../accumulate.js";
import { LossMeter } from "../loss-meter.js";

/** Forward passes over the sample that the checks of this file cost; a backward pass counts as two. */
export const BATCH_CHECK_PASSES = 1 + 1 + 1 + 3 * 3;

/** What a different order of the same sums may change: mean loss of a row, in nats; gradient, as a share of its norm. */
export function tolerances(dtype: DType): { loss: number; gradient: number } {
  switch (dtype) {
    case "float32":
    case "float64":
      return { loss: 1e-4, gradient: 1e-3 };
    case "float16":
      return { loss: 1e-2, gradient: 2e-2 };
    default:
      return { loss: 5e-2, gradient: 0.1 };
  }
}

/** Log-probabilities of the trained tokens of rows that lie in one stretch; one array per row, in nats. */
export function packedLogps(model: LanguageModel, rows: readonly TokenRow[]): Float32Array[] {
  using _ = torch.tensorScope();
  const targets = collateTargets(rows, model.device, () => 0);
  const packed = packRows(
    rows.map(({ inputIds }) => inputIds),
    model.device,
  );
  const logps = torch.noGrad(() => {
    const hidden = model.hiddenStates(packed).indexSelect(0, targets.positions);
    return tokenLogps(hidden, model.headWeight, targets.labels).toTypedArray() as Float32Array;
  });
  let at = 0;
  return rows.map((row) => {
    at += trainedTokens(row);
    return logps.subarray(at - trainedTokens(row), at);
  });
}

/** Each row's loss in a packed stretch is its loss alone. @param packed what `packedLogps` gave for all rows at once */
export function packedCheck(
  model: LanguageModel,
  rows: readonly TokenRow[],
  packed: readonly Float32Array[],
): Check {
  const name = "packed = alone";
  const tolerance = tolerances(model.dtype).loss;
  const gaps = rows.map((row, i) => Math.abs(meanLoss(packed[i]!) - meanLoss(packedLogps(model, [row])[0]!)));
  const worst = gaps.reduce((most, gap, i) => (gap > gaps[most]! || Number.isNaN(gap) ? i : most), 0);
  const detail = `losses of ${rows.length} rows agree to ${gaps[worst]!.toExponential(1)} (${model.dtype} allows ${tolerance})`;
  if (gaps[worst]! <= tolerance) return { name, status: "ok", detail };
  return {
    name,
    status: "fail",
    detail: `row ${rows[worst]!.id} alone and packed differ by ${gaps[worst]!.toExponential(1)} nats a token (${model.dtype} allows ${tolerance})`,
    fix: "rows of a batch influence each other. This is a bug in Camelid or in a model of your own: please report it.",
  };
}

/**
 * Other words in one row leave its neighbours alone, to the last bit: same shapes, same operations, same numbers.
 * @param packed what `packedLogps` gave for all rows at once
 */
export function neighboursCheck(
  model: LanguageModel,
  rows: readonly TokenRow[],
  packed: readonly Float32Array[],
): Check {
  const name = "neighbours";
  const place = Math.floor((rows.length - 1) / 2);
  const { vocabSize } = model.config;
  const other = { ...rows[place]!, inputIds: rows[place]!.inputIds.map((id) => (id + 1) % vocabSize) };
  const perturbed = packedLogps(model, rows.with(place, other));
  const touched = rows.filter((_, i) => i !== place && !sameBits(packed[i]!, perturbed[i]!));
  if (touched.length === 0) {
    const detail = `other words in one row leave its ${rows.length - 1} neighbours unchanged to the bit`;
    return { name, status: "ok", detail };
  }
  return {
    name,
    status: "fail",
    detail: `other words in row ${other.id} change the log-probabilities of ${touched.map(({ id }) => id).join(", ")}`,
    fix: "attention crosses rows. This is a bug in Camelid or in a model of your own: please report it.",
  };
}

/**
 * The same rows as one micro-batch, as two, and one by one: same loss, same gradients, one denominator. Leaves no gradient
 * behind.
 * @param parameters what will be trained, by name
 */
export function splitCheck(
  model: LanguageModel,
  parameters: ReadonlyMap<string, Tensor>,
  rows: readonly TokenRow[],
  reduction: LossReduction,
): Check {
  const name = "split";
  const half = Math.ceil(rows.length / 2);
  const splits = [[rows], [rows.slice(0, half), rows.slice(half)], rows.map((row) => [row])];
  const watched: string[] = [];
  const results = splits.map((batches) => stepOf(model, parameters, watched, batches, reduction));
  if (watched.length === 0) {
    const fix = "check what is trained (lora.targetModules): nothing would change in this run.";
    return { name, status: "fail", detail: "no weight gets a gradient from these rows", fix };
  }
  const first = results[0]!;
  const loss = Math.max(...results.map((result) => Math.abs(result.loss - first.loss)));
  const gradient = Math.max(...results.map((result) => distance(result.gradients, first.gradients)));
  const tolerance = tolerances(model.dtype);
  const shapes = splits.map((batches) => `${batches.length}x${batches[0]!.length}`).join(", ");
  const detail = `${shapes}: losses agree to ${loss.toExponential(1)}, gradients to ${(100 * gradient).toPrecision(2)}%`;
  if (loss <= tolerance.loss && gradient <= tolerance.gradient) return { name, status: "ok", detail };
  if (reduction === "microbatch-mean") {
    const fix =
      'lossReduction "microbatch-mean" weighs rows by their micro-batch, as the original code; "token-mean" does not.';
    return { name, status: "warn", detail, fix };
  }
  return {
    name,
    status: "fail",
    detail: `${detail}; ${model.dtype} allows ${tolerance.loss} and ${100 * tolerance.gradient}%`,
    fix: "the split into micro-batches changes the step. This is a bug in Camelid or in a model of your own: please report it.",
  };
}

interface StepResult {
  loss: number;
  /** Of a few weights, by name. */
  gradients: Map<string, Float32Array>;
}

/**
 * What a training step would compute, by the functions that training uses, without dropout.
 * @param watched names of the weights whose gradients to keep; the first call fills it
 */
function stepOf(
  model: LanguageModel,
  parameters: ReadonlyMap<string, Tensor>,
  watched: string[],
  batches: readonly (readonly TokenRow[])[],
  reduction: LossReduction,
): StepResult {
  const scales = lossScales(batches, reduction);
  const sources = [...new Set(batches.flat().map(({ dataset }) => dataset))];
  using meter = new LossMeter(sources, model.device);
  try {
    for (const [i, batch] of batches.entries())
      accumulateSft(model, batch, scales[i]!, meter, { dropout: false });
    if (watched.length === 0) watched.push(...namesToWatch(parameters));
    const gradients = new Map(watched.map((key) => [key, gradientOf(parameters.get(key)!)]));
    return { loss: meter.take().loss, gradients };
  } finally {
    for (const parameter of parameters.values()) parameter.grad = undefined;
  }
}

export function gradientOf(parameter: Tensor): Float32Array {
  using _ = torch.tensorScope();
  const gradient = parameter.grad?.to({ dtype: "float32" });
  return (gradient?.toTypedArray() ?? new Float32Array()) as Float32Array;
}

/**
 * The smallest vector and the smallest matrix that got a gradient: everything after them in the model has a part in it. (The
 * first matrices of fresh adapters get none, because the second are zero.)
 */
export function namesToWatch(parameters: ReadonlyMap<string, Tensor>): string[] {
  const smallestFirst = [...parameters].sort(([, a], [, b]) => a.numel - b.numel);
  const hasGradient = ([, parameter]: [string, Tensor]) => gradientOf(parameter).some((value) => value !== 0);
  const vector = smallestFirst.filter(([, { ndim }]) => ndim === 1).find(hasGradient);
  const matrix = smallestFirst.filter(([, { ndim }]) => ndim > 1).find(hasGradient);
  return [vector, matrix].flatMap((entry) => (entry === undefined ? [] : [entry[0]]));
}

/** Largest relative distance of the gradients; NaN counts as infinitely far. */
export function distance(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): number {
  let largest = a.size === b.size ? 0 : Number.POSITIVE_INFINITY;
  for (const [key, values] of b) {
    const others = a.get(key)!;
    const difference = norm(values.map((value, i) => value - others[i]!));
    const relative = difference === 0 ? 0 : difference / norm(values);
    largest = relative <= largest ? largest : Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative;
  }
  return largest;
}

const norm = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

const meanLoss = (logps: Float32Array): number => -logps.reduce((sum, logp) => sum + logp, 0) / logps.length;

const sameBits = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.compare(
    Buffer.from(a.buffer, a.byteOffset, a.byteLength),
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  ) === 0;
