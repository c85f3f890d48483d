/** Preflight of a preference run: first what the pairs alone can show, then, once the model is there, both together. */
import type { Tensor } from "@camelid/torch";
import { totalTokens } from "../../data/collate.js";
import { pairCutCheck, repeatedPairsCheck, sideLengthsCheck } from "../../data/pair-checks.js";
import type { PairRow, PairRows } from "../../data/pair-rows.js";
import {
  borderCheck,
  bosCheck,
  duplicateIdsCheck,
  promptCheck,
  turnEndCheck,
  typedMarkersCheck,
} from "../../data/row-checks.js";
import type { LanguageModel } from "../../model/language-model.js";
import type { Check } from "../../run/checks.js";
import { nextTurn } from "../../run/interrupt.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { DpoSettings } from "../losses/dpo.js";
import type { Schedule, ScheduleSettings } from "../optim/schedules.js";
import type { StepPlan } from "../step-plan.js";
import { neighboursCheck, packedCheck, packedLogps } from "./batch-checks.js";
import { initialLossCheck, vocabularyCheck, weightsCheck } from "./model-checks.js";
import { fewPairs, PAIR_CHECK_PASSES, pairSplitCheck } from "./pair-passes.js";
import { failOnChecks, secondsOf, tokensWithin, tooSlow } from "./preflight.js";
import { scheduleCheck } from "./schedule-check.js";

export interface PairPreflightSettings extends DpoSettings, Omit<ScheduleSettings, "totalSteps"> {
  preflight: boolean;
  maxSeqLen: number;
  tokenVariant: "A" | "B" | "C";
  specialTokensInContent: "text" | "parse";
}

interface Start {
  run: { resume?: boolean | undefined };
}

/**
 * What needs no model: runs before the reference's log-probabilities are computed, which may take long.
 * @returns nothing with `preflight: false` or when a run is continued
 * @throws {DataError} ERR_PREFLIGHT
 */
export async function preflightPairs(
  data: PairRows,
  tokenizer: Tokenizer,
  { totalSteps }: Pick<StepPlan, "totalSteps">,
  learningRate: Schedule,
  settings: Omit<PairPreflightSettings, keyof DpoSettings>,
  start: Start,
): Promise<Check[]> {
  if (!settings.preflight || start.run.resume) return [];
  const { account, chosenCut, pairs, sample } = data;
  const checks = [
    sideLengthsCheck(account),
    pairCutCheck(account, chosenCut, settings.maxSeqLen),
    duplicateIdsCheck(pairs),
    repeatedPairsCheck(pairs),
    bosCheck(sample, tokenizer),
    turnEndCheck(sample, tokenizer),
    await promptCheck(sample, tokenizer, settings),
    borderCheck(sample),
    typedMarkersCheck(sample, tokenizer, settings.specialTokensInContent),
    scheduleCheck(learningRate, { ...settings, totalSteps }),
  ];
  failOnChecks(checks);
  return checks;
}

/** Seconds that the passes through the model may take. */
const SECONDS = 15;

/**
 * Model and pairs together: vocabulary, weights, the initial loss, and that packing and shared prompts change nothing.
 * @param parameters what will be trained, by name
 * @throws {DataError} ERR_PREFLIGHT
 */
export async function preflightPairPasses(
  model: LanguageModel,
  parameters: ReadonlyMap<string, Tensor>,
  tokenizer: Tokenizer,
  pairs: readonly PairRow[],
  settings: PairPreflightSettings,
  start: Start,
): Promise<Check[]> {
  if (!settings.preflight || start.run.resume) return [];
  const rows = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const checks = [
    vocabularyCheck(tokenizer, model.config.vocabSize, rows),
    weightsCheck(model.namedParameters()),
  ];
  failOnChecks(checks);
  const probe = fewPairs(pairs, 192).flatMap(({ chosen, rejected }) => [chosen, rejected]);
  if (probe.length === 0) return [...checks, nothingSmall];
  const seconds = secondsOf(() => packedLogps(model, probe));
  const tokens = tokensWithin(SECONDS, seconds / totalTokens(probe), PAIR_CHECK_PASSES + 3);
  const sample = fewPairs(pairs, tokens);
  if (sample.length === 0) return [...checks, tooSlow(seconds, totalTokens(probe))];
  const sides = sample.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const packed = packedLogps(model, sides);
  const logps = packed.flatMap((row) => [...row]);
  const loss = -logps.reduce((sum, logp) => sum + logp, 0) / logps.length;
  checks.push(initialLossCheck(loss, model.config.vocabSize, logps.length));
  failOnChecks(checks);
  for (const check of [
    () => packedCheck(model, sides, packed),
    () => neighboursCheck(model, sides, packed),
    () => pairSplitCheck(model, parameters, sample, settings),
  ]) {
    await nextTurn(); // lets Ctrl+C through
    checks.push(check());
  }
  failOnChecks(checks);
  return checks;
}

const nothingSmall: Check = {
  name: "pairs",
  status: "warn",
  detail: "packing and shared prompts not looked at: even the smallest prompts are long",
  fix: "nothing to do; `tests/parity` of the project looks at them.",
};
