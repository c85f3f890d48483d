/** Preference pairs through the model: packed, alone, with prompts shared or not, the same numbers come out. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { TokenRow } from "../../data/collate.js";
import { trainedTokens } from "../../data/collate.js";
import type { PairRow } from "../../data/pair-rows.js";
import type { LanguageModel } from "../../model/language-model.js";
import type { Check } from "../../run/checks.js";
import { type DpoSettings, dpoLoss } from "../losses/dpo.js";
import { pairLengths, pairLogps } from "../pair-logps.js";
import type { Reference } from "../reference-logps.js";
import { distance, gradientOf, namesToWatch, tolerances } from "./batch-checks.js";

/** Forward passes over the sample that the check costs; a backward pass counts as two. */
export const PAIR_CHECK_PASSES = 3 * (3 + 1);

/**
 * The smallest pairs of the data, cut on the right where even they are too long: the prompt must stay what both sides share.
 * @returns [] when they would be too short to say anything
 */
export function fewPairs(pairs: readonly PairRow[], tokens: number): PairRow[] {
  const size = ({ chosen, rejected }: PairRow) => chosen.inputIds.length + rejected.inputIds.length;
  const smallest = [...pairs].sort((a, b) => size(a) - size(b)).slice(0, PAIRS);
  const room = Math.floor(tokens / (2 * PAIRS));
  return smallest.flatMap((pair) => {
    const length = Math.max(room, pair.promptTokens + 2);
    if (length > room + FEW_EXTRA) return [];
    const cut = (side: TokenRow): TokenRow => ({
      ...{ ...side, inputIds: side.inputIds.slice(0, length), labels: side.labels.slice(0, length) },
    });
    const [chosen, rejected] = [cut(pair.chosen), cut(pair.rejected)];
    return trainedTokens(chosen) > 0 && trainedTokens(rejected) > 0 ? [{ ...pair, chosen, rejected }] : [];
  });
}

const PAIRS = 3;
/** So many tokens more than there is room for are let pass. */
const FEW_EXTRA = 64;

/** Each way of laying pairs into passes gives the same losses and gradients. Leaves no gradient behind. */
export function pairSplitCheck(
  model: LanguageModel,
  parameters: ReadonlyMap<string, Tensor>,
  pairs: readonly PairRow[],
  settings: DpoSettings,
): Check {
  const name = "pairs";
  const expected = logpsOf(model, pairs); // one reference for all ways: what the model says now
  const watched: string[] = [];
  const ways = [
    { batches: [pairs], sharePrompts: true },
    { batches: pairs.map((pair) => [pair]), sharePrompts: true },
    { batches: [pairs], sharePrompts: false },
  ];
  const results = ways.map(({ batches, sharePrompts }) =>
    stepOf(model, parameters, watched, batches, expected, { ...settings, sharePrompts }),
  );
  if (watched.length === 0) {
    const fix = "check what is trained (lora.targetModules): nothing would change in this run.";
    return { name, status: "fail", detail: "no weight gets a gradient from these pairs", fix };
  }
  const first = results[0]!;
  const loss = Math.max(...results.map((result) => Math.abs(result.loss - first.loss)));
  const gradient = Math.max(...results.map((result) => distance(result.gradients, first.gradients)));
  const allowed = tolerances(model.dtype);
  const detail = `together, pair by pair, prompts not shared: losses agree to ${loss.toExponential(1)}, gradients to ${(100 * gradient).toPrecision(2)}%`;
  // A difference of two nearly equal sums: what rounding adds to each side stays when they cancel.
  if (loss <= allowed.loss && gradient <= 2 * allowed.gradient) return { name, status: "ok", detail };
  return {
    name,
    status: "fail",
    detail: `${detail}; ${model.dtype} allows ${allowed.loss} and ${200 * allowed.gradient}%`,
    fix: "how pairs are laid out changes the step. This is a bug in Camelid or in a model of your own: please report it.",
  };
}

/** @returns by pair: what the model gives both sides, without gradients */
function logpsOf(model: LanguageModel, pairs: readonly PairRow[]): Reference {
  using _ = torch.tensorScope();
  const { chosen, rejected } = torch.noGrad(() => pairLogps(model, pairs, { sharePrompts: false }));
  const numbers = { chosen: chosen.toArray(), rejected: rejected.toArray() };
  const places = new Map(pairs.map((pair, place) => [pair, place]));
  const side = (name: "chosen" | "rejected", some: readonly PairRow[]): Tensor =>
    torch.tensor(
      Float32Array.from(some, (pair) => numbers[name][places.get(pair)!]!),
      { device: model.device },
    );
  return {
    logps: (some) => ({ chosen: side("chosen", some), rejected: side("rejected", some) }),
    verify() {},
  };
}

/** Without dropout, as `accumulateDpo` otherwise. @param watched names of weights whose gradients to keep; the first call fills it */
function stepOf(
  model: LanguageModel,
  parameters: ReadonlyMap<string, Tensor>,
  watched: string[],
  batches: readonly (readonly PairRow[])[],
  reference: Reference,
  settings: DpoSettings & { sharePrompts: boolean },
): { loss: number; gradients: Map<string, Float32Array> } {
  const count = batches.flat().length;
  let sum = 0;
  try {
    for (const batch of batches) {
      using _ = torch.tensorScope();
      const policy = pairLogps(model, batch, settings);
      const lengths = pairLengths(model, batch);
      const loss = dpoLoss(policy, reference.logps(batch), lengths, settings).losses.sum().div(count);
      loss.backward();
      sum += loss.item();
    }
    if (watched.length === 0) watched.push(...namesToWatch(parameters));
    return { loss: sum, gradients: new Map(watched.map((key) => [key, gradientOf(parameters.get(key)!)])) };
  } finally {
    for (const parameter of parameters.values()) parameter.grad = undefined;
  }
}
