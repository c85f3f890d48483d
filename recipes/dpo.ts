/**
 * Direct Preference Optimization (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290) as Tulu 2 and Tulu 3 use it: the
 * model learns to prefer the chosen answers of the data over the rejected ones by more than it did before. There is never a
 * second model in memory: what the reference says of the data is computed once, or adapters are switched off.
 *
 *   camelid dpo --model out/first-sft/final --data pairs.jsonl --out out/first-dpo
 *   camelid dpo --preset lora --model out/first-sft/final --data pairs.jsonl --out out/first-dpo-lora
 *
 * Expect `rewards/accuracies` to leave 0.5 early. Answers tend to get longer and other languages worse: the last lines of a
 * run and its report tell both.
 */
import { span } from "@camelid/torch";
import {
  accumulateDpo,
  adamwToTrain,
  adapterKnobs,
  adaptersOffReference,
  batchKnobs,
  checkLossSettings,
  checkRanksAgree,
  checkSameData,
  checkStartsAtReference,
  contextLength,
  describePairs,
  effectLines,
  evaluatePairs,
  heldOutKnobs,
  heldOutLoss,
  knobs,
  type Look,
  learningRateSchedule,
  loadTokenizer,
  machineKnobs,
  modelToTrain,
  noReference,
  openTraining,
  optimizerKnobs,
  ownPromptKnobs,
  PairMeter,
  pairBatches,
  pairPlaceKnobs,
  pairTokens,
  planSteps,
  preflightPairPasses,
  preflightPairs,
  prepareTraining,
  promptsToWatch,
  type RecipeContext,
  type Reference,
  type RunOutcome,
  readPairRows,
  referenceBeforeTraining,
  savingKnobs,
  trainedWeights,
  usesReference,
  watchAnswers,
  watchPairs,
  watchTasks,
} from "camelid";
import { z } from "zod";

export { dpoPresets as presets } from "./presets/dpo.js";
export const resumable = true;
export const parallel = true;

export const settings = z.strictObject({
  ...pairPlaceKnobs,
  beta: knobs.beta,
  lossType: knobs.lossType,
  targetMargin: knobs.targetMargin,
  labelSmoothing: knobs.labelSmoothing,
  reference: knobs.reference,
  sharePrompts: knobs.sharePrompts,
  ...adapterKnobs,
  ...batchKnobs,
  ...optimizerKnobs,
  learningRate: knobs.learningRate.default(5e-7),
  warmupRatio: knobs.warmupRatio.default(0.1),
  ...machineKnobs,
  ...heldOutKnobs,
  ...ownPromptKnobs,
  ...savingKnobs,
});

export type DpoRunSettings = z.output<typeof settings>;

export async function run(settings: DpoRunSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  checkLossSettings(settings);
  const setup = await prepareTraining(settings, context);
  const { world, machine, start } = setup; // one process or a rank of several; the device; step 0 or a checkpoint

  // 2. Data: file -> pairs of conversations -> pairs of rows that begin with the same prompt tokens.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readPairRows(settings.data, tokenizer, settings);
  checkSameData(start, data.fingerprint);
  const watch = await watchPairs(data, tokenizer, settings); // pairs to train on, and pairs to look at
  const asked = watch.watched.length > 0 ? watch.watched.map(({ pair }) => pair) : watch.trained;
  const prompts = await promptsToWatch(settings, asked, tokenizer, contextLength(start.modelFolder));
  const plan = planSteps(watch.trained.length, settings);
  const learningRate = learningRateSchedule({ ...settings, ...plan });
  const dataChecks = await preflightPairs(data, tokenizer, plan, learningRate, settings, start);

  // 3. What the model said of the data before it was trained. Computed before the trained model is loaded: one at a time.
  const compares = usesReference(settings.lossType);
  let before: Reference | undefined;
  if (!compares) before = noReference(machine.device);
  else if (settings.reference === "stored")
    before = await referenceBeforeTraining(setup, watch.scored, { ...settings, unit: "pair" });
  if (world.any(context.signal.aborted)) return "interrupted";

  // 4. Model, optimizer.
  using model = modelToTrain(setup, tokenizer);
  const reference = before ?? adaptersOffReference(model, settings);
  const trained = trainedWeights(model, settings.lora, start, settings.quantize); // every weight, or adapters on frozen ones
  const { parameters } = trained;
  const passChecks = await preflightPairPasses(model, parameters, tokenizer, watch.trained, settings, start);
  if (compares && start.step === 0) checkStartsAtReference(model, reference, watch.trained, settings);
  checkRanksAgree(setup, data, parameters);
  const tasks = await watchTasks(settings, model, tokenizer, parameters, context);
  using optimizer = adamwToTrain(setup, parameters);

  // 5. Train. The seed and the step alone decide which pairs come; how they are split and packed changes nothing.
  using meter = new PairMeter(machine.device, world);
  using training = openTraining(setup, {
    ...{ model, trained, optimizer, tokenizer, data, plan, learningRate, tasks },
    checks: [...dataChecks, ...passChecks],
    opening: describePairs(data),
  });
  for await (const step of training.steps(observe)) {
    const { pairs, batches } = span("data", () => {
      const pairs = step.rowsOf(watch.trained);
      const mine = world.share(pairs, (pair) => pairTokens(pair, settings));
      return { pairs, batches: pairBatches(mine, settings) };
    });
    const scale = 1 / pairs.length; // mean over the whole step
    await step.accumulate(batches, (batch) => accumulateDpo(model, batch, reference, scale, settings, meter));
    step.update();
    step.log(() => {
      const { loss, trainedTokens, metrics } = meter.take();
      const accuracy = metrics["rewards/accuracies"]!.toFixed(2);
      return {
        ...{ rows: pairs, loss, trainedTokens },
        tokens: pairs.reduce((sum, pair) => sum + pairTokens(pair, settings), 0),
        metrics: { ...metrics, pairs_per_second: pairs.length / step.seconds },
        shown: { loss: loss.toFixed(3), accuracy, margin: metrics["rewards/margins"]!.toFixed(3) },
      };
    });
  }

  // 6. Save: a model folder or PEFT's adapter folder, and a report that explains the run.
  reference.verify();
  return await training.finish(effectLines);

  /** Between two steps: preference training tends to lengthen answers and to hurt other languages. */
  async function observe(look: Look): Promise<void> {
    if (look.isDue(settings.evalEverySteps)) {
      const { watched, conversations } = watch;
      if (watched.length > 0)
        look.measured("pairs", await evaluatePairs(model, watched, reference, settings, world));
      if (conversations.length > 0)
        look.measured("held-out", await heldOutLoss(model, conversations, settings, world));
    }
    if (world.isMain && prompts.length > 0 && look.isDue(settings.sampleEverySteps))
      look.answered(await watchAnswers(model, tokenizer, prompts, settings));
  }
}
