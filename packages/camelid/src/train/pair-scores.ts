/** Scores of a reward model: of preference pairs, and of single texts. */
import * as torch from "@camelid/torch";
import type { TokenRow } from "../data/collate.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import type { PairRow } from "../data/pair-rows.js";
import type { RewardModel } from "../model/reward-model.js";
import { packBranches, packRows } from "../nn/packed-rows.js";
import type { World } from "../parallel/world.js";
import { nextTurn } from "../run/interrupt.js";
import type { PairScores } from "./losses/reward.js";
import { type PairPassSettings, pairTokens } from "./pair-logps.js";

/** One pass over a micro-batch. @returns differentiable */
export function pairScores(
  model: RewardModel,
  pairs: readonly PairRow[],
  { sharePrompts }: PairPassSettings,
): PairScores {
  const sides = pairs.flatMap(({ chosen, rejected }) => [chosen.inputIds, rejected.inputIds]);
  const { device } = model;
  // Stretches of tokens in the order they lie in, and which of them end a text.
  const groups = pairs.map(({ promptTokens, chosen, rejected }) => ({
    prefix: chosen.inputIds.subarray(0, promptTokens),
    rests: [chosen.inputIds.subarray(promptTokens), rejected.inputIds.subarray(promptTokens)],
  }));
  const packed = sharePrompts ? packBranches(groups, device) : packRows(sides, device);
  const all = lastPlaces(packed.lengths);
  const ends = sharePrompts ? all.filter((_, i) => i % 3 !== 0) : all; // prompt, chosen, rejected
  const scores = model.scores(packed, torch.tensor(BigInt64Array.from(ends), { device }));
  const [chosen, rejected] = scores.view([-1, 2]).unbind(1) as [torch.Tensor, torch.Tensor];
  return { chosen, rejected };
}

function lastPlaces(lengths: readonly number[]): bigint[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return BigInt(at - 1);
  });
}

/** What one pair got. */
export interface ScoredPair {
  chosen: number;
  rejected: number;
}

/**
 * Judges pairs without training on them.
 * @param world whose ranks score a part each; all get all
 * @returns by pair, in order
 */
export async function scorePairs(
  model: RewardModel,
  pairs: readonly PairRow[],
  settings: MicroBatchPlan & PairPassSettings,
  world?: World,
): Promise<ScoredPair[]> {
  const tokens = (place: number): number => pairTokens(pairs[place]!, settings);
  const places = [...pairs.keys()];
  const mine = world?.share(places, tokens) ?? places;
  const found = pairs.map(() => [0, 0]);
  for (const batch of microBatches(mine.map(tokens), { ...settings, maxSeqLen: 2 * settings.maxSeqLen })) {
    const members = batch.map((i) => mine[i]!);
    torch.noGrad(() => {
      using _ = torch.tensorScope();
      const some = members.map((place) => pairs[place]!);
      const { chosen, rejected } = pairScores(model, some, settings);
      const [goods, bads] = [chosen.toArray(), rejected.toArray()];
      members.forEach((place, i) => {
        found[place] = [goods[i]!, bads[i]!];
      });
    });
    await nextTurn(); // lets Ctrl+C through
  }
  const numbers = world?.sumNumbers(found.flat()) ?? found.flat();
  return pairs.map((_, i) => ({ chosen: numbers[2 * i]!, rejected: numbers[2 * i + 1]! }));
}

/** Judges whole texts, such as rendered conversations that end with an answer. @returns by row, in order */
export async function scoreRows(
  model: RewardModel,
  rows: readonly Pick<TokenRow, "inputIds">[],
  plan: MicroBatchPlan,
): Promise<number[]> {
  const scores = rows.map(() => 0);
  const lengths = rows.map(({ inputIds }) => inputIds.length);
  for (const batch of microBatches(lengths, plan)) {
    torch.noGrad(() => {
      using _ = torch.tensorScope();
      const ids = batch.map((place) => rows[place]!.inputIds);
      const packed = packRows(ids, model.device);
      const ends = torch.tensor(BigInt64Array.from(lastPlaces(packed.lengths)), { device: model.device });
      const found = model.scores(packed, ends).toArray();
      batch.forEach((place, i) => {
        scores[place] = found[i]!;
      });
    });
    await nextTurn(); // lets Ctrl+C through
  }
  return scores;
}
