import type { LoraSettings } from "../../adapters/lora.js";
import { readTrainRows, type TrainRowsOptions } from "../../data/train-rows.js";
import { CamelidError } from "../../errors.js";
import { loadModel } from "../../model/load.js";
import type { Nf4Settings } from "../../nn/nf4-weight.js";
import type { Check } from "../../run/checks.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { type MachineSettings, prepareMachine } from "../../train/machine.js";
import { learningRateSchedule } from "../../train/optim/schedules.js";
import { type PreflightSettings, preflightChecks } from "../../train/preflight/preflight.js";
import { planSteps, type StepPlanSettings } from "../../train/step-plan.js";
import { trainedWeights } from "../../train/trained-weights.js";

type Settings = PreflightSettings &
  MachineSettings &
  StepPlanSettings &
  TrainRowsOptions & { model: string; data: string; lora: LoraSettings | null; quantize: Nf4Settings | null };

/**
 * What `camelid sft` does before its first step, without a run: a model or rows that cannot be read at all are a failed
 * check with the error's own words.
 * @param seconds what the passes through the model may take; preflight's own measure when left out
 */
export async function preflightOfSettings(settings: Settings, seconds: number | undefined): Promise<Check[]> {
  try {
    const machine = prepareMachine(settings);
    const tokenizer = await loadTokenizer(settings.model);
    const data = await readTrainRows(settings.data, tokenizer, settings);
    const plan = planSteps(data.rows.length, settings);
    const learningRate = learningRateSchedule({ ...settings, ...plan });
    const { lora, quantize } = settings;
    using model = loadModel(settings.model, { ...machine, quantize, trainable: lora === null });
    const start = { modelFolder: settings.model, checkpoint: undefined };
    const { parameters } = trainedWeights(model, lora, start);
    return await preflightChecks(
      { model, parameters, tokenizer, data, plan, learningRate, settings },
      seconds,
    );
  } catch (error) {
    // Errors of the engine have the same shape without our base class.
    const { code, message, where, fix } = error as Partial<CamelidError>;
    if (code === undefined || fix === undefined) throw error;
    const name = error instanceof CamelidError ? error.name.replace("Error", "").toLowerCase() : "engine";
    return [{ name, status: "fail", detail: where === undefined ? message! : `${message} (${where})`, fix }];
  }
}
