/**
 * What can be found wrong before the first step, on the user's own model and rows: a table of checks. A failed check
 * stops a run before it writes anything. The pitfalls behind the checks: docs/guides/pitfalls.md.
 */
import type { Tensor } from "@camelid/torch";
import { type TokenRow, totalTokens } from "../../data/collate.js";
import {
  borderCheck,
  bosCheck,
  duplicateIdsCheck,
  promptCheck,
  trainedShareCheck,
  trainedTextCheck,
  truncationCheck,
  turnEndCheck,
  typedMarkersCheck,
} from "../../data/row-checks.js";
import type { TrainRows } from "../../data/train-rows.js";
import { DataError } from "../../errors.js";
import type { LanguageModel } from "../../model/language-model.js";
import { type Check, formatChecks } from "../../run/checks.js";
import { nextTurn } from "../../run/interrupt.js";
import type { Run } from "../../run/run.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { LossReduction } from "../accumulate.js";
import type { Schedule, ScheduleSettings } from "../optim/schedules.js";
import type { StepPlan } from "../step-plan.js";
import { BATCH_CHECK_PASSES, neighboursCheck, packedCheck, packedLogps, splitCheck } from "./batch-checks.js";
import { initialLossCheck, vocabularyCheck, weightsCheck } from "./model-checks.js";
import { fewRows } from "./sample.js";
import { scheduleCheck } from "./schedule-check.js";

export interface PreflightSettings extends Omit<ScheduleSettings, "totalSteps"> {
  maxSeqLen: number;
  tokenVariant: "A" | "B" | "C";
  specialTokensInContent: "text" | "parse";
  lossReduction: LossReduction;
}

export interface PreflightInput {
  model: LanguageModel;
  /** What will be trained, by name: every weight, or those of an adapter. */
  parameters: ReadonlyMap<string, Tensor>;
  tokenizer: Tokenizer;
  data: TrainRows;
  plan: Pick<StepPlan, "totalSteps">;
  learningRate: Schedule;
  settings: PreflightSettings;
}

/** Seconds that the passes through the model may take; the checks of rows come to a second or two more. */
const SECONDS = 15;
/** More tokens than this show nothing new. */
const MOST_TOKENS = 512;

/**
 * Every check that can run on these rows and this model, a line each. Leaves gradients, random state and files alone.
 * @param seconds what the passes through the model may take: a large model gets shorter pieces of rows
 */
export async function preflightChecks(input: PreflightInput, seconds = SECONDS): Promise<Check[]> {
  const { model, tokenizer, data, plan, learningRate, settings } = input;
  const { account, rows, sample } = data;
  const { totalSteps } = plan;
  const checks = [
    trainedShareCheck(account),
    truncationCheck(account, settings.maxSeqLen),
    duplicateIdsCheck(rows),
    bosCheck(sample, tokenizer),
    turnEndCheck(sample, tokenizer, model.config.eosTokenIds),
    trainedTextCheck(sample, tokenizer),
    await promptCheck(sample, tokenizer, settings),
    borderCheck(sample),
    typedMarkersCheck(sample, tokenizer, settings.specialTokensInContent),
    scheduleCheck(learningRate, { ...settings, totalSteps }),
  ];
  await nextTurn();
  const { lossReduction } = settings;
  return [...checks, ...(await modelChecks({ ...input, rows, lossReduction }, seconds))];
}

export interface ModelChecksInput extends Pick<PreflightInput, "model" | "parameters" | "tokenizer"> {
  rows: readonly TokenRow[];
  lossReduction: LossReduction;
}

/**
 * Model and rows together: vocabulary, weights, and the checks that take passes through the model.
 * @param seconds what the passes may take
 */
export async function modelChecks(
  { model, parameters, tokenizer, rows, lossReduction }: ModelChecksInput,
  seconds = SECONDS,
): Promise<Check[]> {
  const first = [
    vocabularyCheck(tokenizer, model.config.vocabSize, rows),
    weightsCheck(model.namedParameters()),
  ];
  // Ids without an embedding would end in an error of the engine, and NaN says nothing about batches.
  if (first.some(({ status }) => status === "fail")) return first;
  const probe = fewRows(rows, 128);
  const probeSeconds = secondsOf(() => packedLogps(model, probe));
  const sample = fewRows(rows, tokensWithin(seconds, probeSeconds / totalTokens(probe)));
  if (sample.length === 0) return [...first, tooSlow(probeSeconds, totalTokens(probe))];

  const packed = packedLogps(model, sample);
  const logps = packed.flatMap((row) => [...row]);
  const loss = -logps.reduce((sum, logp) => sum + logp, 0) / logps.length;
  const checks = [...first, initialLossCheck(loss, model.config.vocabSize, logps.length)];
  if (!Number.isFinite(loss)) return checks;
  for (const check of [
    () => packedCheck(model, sample, packed),
    () => neighboursCheck(model, sample, packed),
    () => splitCheck(model, parameters, sample, lossReduction),
  ]) {
    await nextTurn(); // lets Ctrl+C through
    checks.push(check());
  }
  return checks;
}

/** @returns how many tokens the sample may have so that all passes over it fit into `seconds` */
export function tokensWithin(seconds: number, secondsPerToken: number, passes = BATCH_CHECK_PASSES): number {
  return Math.min(MOST_TOKENS, Math.floor(seconds / secondsPerToken / (1 + passes)));
}

export function secondsOf(action: () => unknown): number {
  const started = performance.now();
  action();
  return (performance.now() - started) / 1000;
}

export const tooSlow = (seconds: number, tokens: number): Check => ({
  name: "batches",
  status: "warn",
  detail: `initial loss, packing and splits not looked at: ${tokens} tokens take ${seconds.toFixed(0)} s`,
  fix: "`camelid doctor --seconds` gives it more time.",
});

/**
 * Preflight as a run has it: nothing with `preflight: false` or when a run is continued, an error where a check fails.
 * @returns the checks, for `announceChecks`
 * @throws {DataError} ERR_PREFLIGHT
 */
export async function preflight(
  input: PreflightInput & { settings: { preflight: boolean } },
  start: { run: { resume?: boolean | undefined } },
): Promise<Check[]> {
  if (!input.settings.preflight || start.run.resume) return [];
  const checks = await preflightChecks(input);
  failOnChecks(checks);
  return checks;
}

/** @throws {DataError} ERR_PREFLIGHT naming every failed check and its fix */
export function failOnChecks(checks: readonly Check[]): void {
  const failed = checks.filter(({ status }) => status === "fail");
  if (failed.length === 0) return;
  throw new DataError(
    "ERR_PREFLIGHT",
    `${failed.length} of ${checks.length} preflight checks failed; nothing was written.`,
    {
      where: failed.map(({ name, detail }) => `${name}: ${detail}`).join("\n         "),
      fix: failed.map(({ name, fix }) => `${name}: ${fix}`).join("\n         "),
    },
  );
}

/** Warnings go into the run's record. @returns the table for people, nothing where no check ran */
export function announceChecks(checks: readonly Check[], run: Run, context: { output: string }): string[] {
  if (checks.length === 0) return [];
  for (const { name, status, detail } of checks) {
    const code = `PREFLIGHT_${name.toUpperCase().replaceAll(/\W+/g, "_")}`;
    if (status !== "ok") run.log({ event: "warning-raised", step: 0, code, message: `${name}: ${detail}` });
  }
  const colour = context.output === "terminal" && !process.env.NO_COLOR;
  return [formatChecks([{ heading: "Preflight", checks }], { colour }).trimEnd()];
}
