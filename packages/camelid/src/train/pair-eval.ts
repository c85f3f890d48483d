/** How a model stands towards pairs between two steps, without training on them: overall, and by language. */
import * as torch from "@camelid/torch";
import { trainedTokens } from "../data/collate.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import type { PairRow } from "../data/pair-rows.js";
import { mainLanguage, type WatchedPair } from "../data/watched-pairs.js";
import type { LanguageModel } from "../model/language-model.js";
import type { World } from "../parallel/world.js";
import { nextTurn } from "../run/interrupt.js";
import { type DpoSettings, dpoLoss } from "./losses/dpo.js";
import { type PairPassSettings, pairLengths, pairLogps, pairTokens } from "./pair-logps.js";
import type { Reference } from "./reference-logps.js";

/** What one pair gave. */
interface PairScore {
  language: string;
  loss: number;
  margin: number;
  chosenLogp: number;
  rejectedLogp: number;
  chosenTokens: number;
  rejectedTokens: number;
}

/**
 * @param reference must know these pairs
 * @param world whose ranks score a part each; all get the same answer
 * @returns the fields of an `eval-end` event. Metrics of all pairs: `pairs`, `rewards/accuracies`, `rewards/margins`,
 *   `nll/chosen` and `nll/rejected` (nats per answer token); of one language the same as `language/de/...`, of all but the main
 *   one together as `language/others/...`
 */
export async function evaluatePairs(
  model: LanguageModel,
  watched: readonly WatchedPair[],
  reference: Reference,
  settings: DpoSettings & PairPassSettings & MicroBatchPlan,
  world?: World,
): Promise<{ loss: number; metrics: Record<string, number> }> {
  const tokens = (place: number): number => pairTokens(watched[place]!.pair, settings);
  const places = [...watched.keys()];
  const mine = world?.share(places, tokens) ?? places;
  const passes = watched.map(() => [0, 0, 0, 0]);
  for (const batch of microBatches(mine.map(tokens), { ...settings, maxSeqLen: 2 * settings.maxSeqLen })) {
    const members = batch.map((i) => mine[i]!);
    const pairs = members.map((place) => watched[place]!.pair);
    scoreBatch(model, pairs, reference, settings).forEach((numbers, i) => {
      passes[members[i]!] = numbers;
    });
    await nextTurn(); // lets Ctrl+C through
  }
  const scores = allScores(watched, world?.sumNumbers(passes.flat()) ?? passes.flat());
  const metrics = summary(scores);
  const languages = [...new Set(scores.map(({ language }) => language))];
  const main = mainLanguage(scores);
  for (const language of languages)
    Object.assign(
      metrics,
      prefixed(language, (score) => score.language === language, scores),
    );
  if (languages.length > 1)
    Object.assign(
      metrics,
      prefixed("others", ({ language }) => language !== main && language !== "und", scores),
    );
  return { loss: mean(scores.map(({ loss }) => loss)), metrics };
}

/** @returns for each pair its loss, margin and both log-probabilities */
function scoreBatch(
  model: LanguageModel,
  pairs: readonly PairRow[],
  reference: Reference,
  settings: DpoSettings & PairPassSettings,
): number[][] {
  using _ = torch.tensorScope();
  return torch.noGrad(() => {
    const expected = reference.logps(pairs);
    const policy = pairLogps(model, pairs, settings);
    const result = dpoLoss(policy, expected, pairLengths(model, pairs), settings);
    const columns = [result.losses, result.chosenRewards, result.rejectedRewards];
    const [losses, chosen, rejected] = columns.map((column) => column.toArray()) as [
      number[],
      number[],
      number[],
    ];
    const [chosenLogps, rejectedLogps] = [policy.chosen.toArray(), policy.rejected.toArray()];
    return pairs.map((_, i) => [losses[i]!, chosen[i]! - rejected[i]!, chosenLogps[i]!, rejectedLogps[i]!]);
  });
}

/** @param numbers those of `scoreBatch`, pair after pair */
function allScores(watched: readonly WatchedPair[], numbers: readonly number[]): PairScore[] {
  return watched.map(({ pair, language }, i) => ({
    language,
    loss: numbers[4 * i]!,
    margin: numbers[4 * i + 1]!,
    chosenLogp: numbers[4 * i + 2]!,
    rejectedLogp: numbers[4 * i + 3]!,
    chosenTokens: trainedTokens(pair.chosen),
    rejectedTokens: trainedTokens(pair.rejected),
  }));
}

function prefixed(
  name: string,
  test: (score: PairScore) => boolean,
  scores: readonly PairScore[],
): Record<string, number> {
  const some = scores.filter(test);
  const entries = some.length === 0 ? [] : Object.entries(summary(some));
  return Object.fromEntries(entries.map(([key, value]) => [`language/${name}/${key}`, value]));
}

function summary(scores: readonly PairScore[]): Record<string, number> {
  const sum = (pick: (score: PairScore) => number) => scores.reduce((total, score) => total + pick(score), 0);
  return {
    pairs: scores.length,
    "rewards/accuracies": mean(scores.map(({ margin }) => (margin > 0 ? 1 : 0))),
    "rewards/margins": mean(scores.map(({ margin }) => margin)),
    "nll/chosen": -sum(({ chosenLogp }) => chosenLogp) / sum(({ chosenTokens }) => chosenTokens),
    "nll/rejected": -sum(({ rejectedLogp }) => rejectedLogp) / sum(({ rejectedTokens }) => rejectedTokens),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
