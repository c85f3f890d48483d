/**
 * Supervised fine-tuning as Tulu 2 does it (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): answers are trained,
 * prompts are not; every optimizer step minimises the mean over its trained tokens.
 *
 *   camelid sft --model base --data train.jsonl --out out/first-sft
 */
import { span } from "@camelid/torch";
import {
  accumulateSft,
  adamwToTrain,
  adapterKnobs,
  answerKnobs,
  batchKnobs,
  checkRanksAgree,
  checkSameData,
  describeRows,
  heldOutKnobs,
  heldOutLoss,
  holdOutRows,
  knobs,
  type Look,
  LossMeter,
  learningRateSchedule,
  loadTokenizer,
  machineKnobs,
  modelToTrain,
  openTraining,
  optimizerKnobs,
  placeKnobs,
  planSteps,
  preflight,
  prepareTraining,
  type RecipeContext,
  type RunOutcome,
  readPrompts,
  readTrainRows,
  sampleAnswers,
  savingKnobs,
  stepBatches,
  totalTokens,
  trainedWeights,
  watchTasks,
} from "camelid";
import { z } from "zod";

export { sftPresets as presets } from "./presets/sft.js";
export const resumable = true;
export const parallel = true;

export const settings = z.strictObject({
  ...placeKnobs,
  ...batchKnobs,
  ...optimizerKnobs,
  lossReduction: knobs.lossReduction,
  ...adapterKnobs,
  ...machineKnobs,
  ...heldOutKnobs,
  ...answerKnobs,
  ...savingKnobs,
});

export type SftSettings = z.output<typeof settings>;

export async function run(settings: SftSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  const setup = await prepareTraining(settings, context);
  const { world, machine, start } = setup; // one process or a rank of several; the device; step 0 or a checkpoint

  // 2. Data: file -> conversations -> tokens and labels.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readTrainRows(settings.data, tokenizer, settings);
  checkSameData(start, data.fingerprint);
  const { rows: trainRows, heldOut } = await holdOutRows(data, tokenizer, settings);
  const prompts = settings.samplePrompts === null ? [] : await readPrompts(settings.samplePrompts);
  const plan = planSteps(trainRows.length, settings);

  // 3. Model, optimizer, schedule.
  using model = modelToTrain(setup, tokenizer);
  const trained = trainedWeights(model, settings.lora, start, settings.quantize); // every weight, or adapters on frozen ones
  const { parameters } = trained;
  const learningRate = learningRateSchedule({ ...settings, ...plan });
  const checks = await preflight({ model, parameters, tokenizer, data, plan, learningRate, settings }, start);
  checkRanksAgree(setup, data, parameters);
  const tasks = await watchTasks(settings, model, tokenizer, parameters, context);
  using optimizer = adamwToTrain(setup, parameters);

  // 4. Train. The seed and the step alone decide which rows come; how they are split and packed changes nothing.
  using meter = new LossMeter(data.sources, machine.device, world);
  using training = openTraining(setup, {
    ...{ model, trained, optimizer, tokenizer, data, plan, learningRate, checks, tasks },
    opening: describeRows(data),
  });
  for await (const step of training.steps(observe)) {
    const { rows, batches } = span("data", () => {
      const rows = step.rowsOf(trainRows);
      return { rows, batches: stepBatches(rows, settings, world) };
    });
    await step.accumulate(batches, ({ rows, scale }) => accumulateSft(model, rows, scale, meter));
    step.update();
    step.log(() => {
      const { loss, trainedTokens, sources } = meter.take();
      const shown = { loss: loss.toFixed(3), lr: step.learningRate.toExponential(1) };
      return { rows, loss, trainedTokens, tokens: totalTokens(rows), sources, shown };
    });
  }

  // 5. Save: a model or adapter folder that loads anywhere, and a report that explains the run.
  return await training.finish();

  /** Between two steps: the loss of rows that are never trained on, and what the model says to a few prompts. */
  async function observe(look: Look): Promise<void> {
    if (heldOut.length > 0 && look.isDue(settings.evalEverySteps))
      look.measured("held-out", await heldOutLoss(model, heldOut, settings, world));
    if (world.isMain && prompts.length > 0 && look.isDue(settings.sampleEverySteps))
      look.said(await sampleAnswers(model, tokenizer, prompts, settings));
  }
}
