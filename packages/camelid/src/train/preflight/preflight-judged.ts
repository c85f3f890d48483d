/** Preflight of a KTO run: first what the judged answers alone can show, then, once the model is there, both together. */
import type { Tensor } from "@camelid/torch";
import { balanceCheck, judgedCutCheck, repeatedAnswersCheck } from "../../data/judged-checks.js";
import type { JudgedRow, JudgedRows } from "../../data/judged-rows.js";
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
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { KtoSettings } from "../losses/kto.js";
import type { Schedule, ScheduleSettings } from "../optim/schedules.js";
import type { StepPlan } from "../step-plan.js";
import { failOnChecks, modelChecks } from "./preflight.js";
import { scheduleCheck } from "./schedule-check.js";

export interface JudgedPreflightSettings extends KtoSettings, Omit<ScheduleSettings, "totalSteps"> {
  preflight: boolean;
  maxSeqLen: number;
  tokenVariant: "A" | "B" | "C";
  specialTokensInContent: "text" | "parse";
}

/**
 * Runs before the reference's log-probabilities are computed, which may take long.
 * @returns nothing with `preflight: false` or when a run is continued
 * @throws {DataError} ERR_PREFLIGHT
 */
export async function preflightJudged(
  data: JudgedRows,
  tokenizer: Tokenizer,
  { totalSteps }: Pick<StepPlan, "totalSteps">,
  learningRate: Schedule,
  settings: JudgedPreflightSettings,
  start: { run: { resume?: boolean | undefined } },
): Promise<Check[]> {
  if (!settings.preflight || start.run.resume) return [];
  const { account, desirableCut, pairs, sample } = data;
  const checks = [
    balanceCheck(account, settings),
    judgedCutCheck(account, desirableCut, settings.maxSeqLen),
    duplicateIdsCheck(pairs),
    repeatedAnswersCheck(pairs),
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

/**
 * Vocabulary, weights, the initial loss, and that packing changes nothing, with own answers and mismatched ones.
 * @param parameters what will be trained, by name
 * @throws {DataError} ERR_PREFLIGHT
 */
export async function preflightJudgedPasses(
  model: LanguageModel,
  parameters: ReadonlyMap<string, Tensor>,
  tokenizer: Tokenizer,
  judged: readonly JudgedRow[],
  settings: { preflight: boolean },
  start: { run: { resume?: boolean | undefined } },
): Promise<Check[]> {
  if (!settings.preflight || start.run.resume) return [];
  const rows = judged.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const checks = await modelChecks({ model, parameters, tokenizer, rows, lossReduction: "token-mean" });
  failOnChecks(checks);
  return checks;
}
