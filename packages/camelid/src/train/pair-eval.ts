/** How a model stands towards pairs between two steps, without training on them: overall, and by language. */
import * as torch from "@camelid/torch";
import { trainedTokens } from "../data/collate.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import { mainLanguage, type WatchedPair } from "../data/watched-pairs.js";
import type { LanguageModel } from "../model/language-model.js";
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
 * @returns the fields of an `eval-end` event. Metrics of all pairs: `pairs`, `rewards/accuracies`, `rewards/margins`,
 *   `nll/chosen` and `nll/rejected` (nats per answer token); of one language the same as `language/de/...`, of all but the main
 *   one together as `language/others/...`
 */
export async function evaluatePairs(
  model: LanguageModel,
  watched: readonly WatchedPair[],
  reference: Reference,
  settings: DpoSettings & PairPassSettings & MicroBatchPlan,
): Promise<{ loss: number; metrics: Record<string, number> }> {
  const lengths = watched.map(({ pair }) => pairTokens(pair, settings));
  const scores: PairScore[] = [];
  for (const batch of microBatches(lengths, { ...settings, maxSeqLen: 2 * settings.maxSeqLen })) {
    const members = batch.map((place) => watched[place]!);
    scores.push(...scoreBatch(model, members, reference, settings));
    await nextTurn(); // lets Ctrl+C through
  }
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

function scoreBatch(
  model: LanguageModel,
  members: readonly WatchedPair[],
  reference: Reference,
  settings: DpoSettings & PairPassSettings,
): PairScore[] {
  using _ = torch.tensorScope();
  const pairs = members.map(({ pair }) => pair);
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
    return members.map(({ pair, language }, i) => ({
      language,
      loss: losses[i]!,
      margin: chosen[i]! - rejected[i]!,
      chosenLogp: chosenLogps[i]!,
      rejectedLogp: rejectedLogps[i]!,
      chosenTokens: trainedTokens(pair.chosen),
      rejectedTokens: trainedTokens(pair.rejected),
    }));
  });
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
