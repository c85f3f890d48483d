/**
 * Kahneman-Tversky Optimization (Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306): answers judged one by one, good or bad,
 * as a thumb up or down. An answer counts as gained or lost by how much likelier the model finds it than before, beyond how much
 * likelier it finds answers on average; that average, `kl`, is taken anew in every step from answers to other prompts.
 *
 *   camelid kto --model out/first-sft/final --data judged.jsonl --out out/first-kto
 *   camelid kto --model out/first-sft/final --data pairs.jsonl --out out/first-kto-lora --lora-rank 16 --learning-rate 1e-4
 *
 * Expect `rewards/chosen` to rise above `rewards/rejected`, and `kl` to stay small: a few nats. The rest is as with `camelid dpo`.
 */
import { span } from "@camelid/torch";
import {
  accumulateKto,
  adamwToTrain,
  adapterKnobs,
  adaptersOffReference,
  batchKnobs,
  checkRanksAgree,
  checkReferenceSetting,
  checkSameData,
  checkStartsAtReference,
  contextLength,
  describeJudged,
  effectLines,
  evaluateJudged,
  heldOutKnobs,
  JudgedMeter,
  judgedBatches,
  knob,
  knobs,
  ktoBaseline,
  type Look,
  learningRateSchedule,
  loadTokenizer,
  machineKnobs,
  modelToTrain,
  openTraining,
  optimizerKnobs,
  ownPromptKnobs,
  placeKnobs,
  planSteps,
  preflightJudged,
  preflightJudgedPasses,
  prepareTraining,
  promptsToWatch,
  type RecipeContext,
  type RunOutcome,
  readJudgedRows,
  referenceBeforeTraining,
  savingKnobs,
  totalTokens,
  trainedWeights,
  watchAnswers,
  watchJudged,
  watchTasks,
} from "camelid";
import { z } from "zod";

export { ktoPresets as presets } from "./presets/kto.js";
export const resumable = true;
export const parallel = true;

export const settings = z.strictObject({
  ...placeKnobs,
  data: knob(z.string().min(1), {
    help: "Answers with their judgement, JSON lines or one array: messages and label (true or false); or preference pairs, whose two answers become two rows.",
    group: "Model and data",
    placeholder: "file",
  }),
  beta: knobs.beta,
  desirableWeight: knobs.desirableWeight,
  undesirableWeight: knobs.undesirableWeight,
  reference: knobs.reference,
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

export type KtoRunSettings = z.output<typeof settings>;

/** A row and the answer to another prompt lie as a pair does: the reference reads their prompt once. */
const laidOut = { sharePrompts: true };

export async function run(settings: KtoRunSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  checkReferenceSetting(settings);
  const setup = await prepareTraining(settings, context);
  const { world, machine, start } = setup; // one process or a rank of several; the device; step 0 or a checkpoint

  // 2. Data: file -> judged conversations -> rows, each with an answer to another prompt beside its own.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readJudgedRows(settings.data, tokenizer, settings);
  checkSameData(start, data.fingerprint);
  const watch = await watchJudged(data, tokenizer, settings); // rows to train on, and rows to look at
  const liked = watch.watched.filter(({ desirable }) => desirable);
  const prompts = await promptsToWatch(settings, liked, tokenizer, contextLength(start.modelFolder));
  const plan = planSteps(watch.trained.length, settings);
  const learningRate = learningRateSchedule({ ...settings, ...plan });
  const dataChecks = await preflightJudged(data, tokenizer, plan, learningRate, settings, start);

  // 3. What the model said of the data before it was trained. Computed before the trained model is loaded: one at a time.
  const stored =
    settings.reference === "stored"
      ? await referenceBeforeTraining(setup, watch.scored, { ...laidOut, unit: "row" })
      : undefined;
  if (world.any(context.signal.aborted)) return "interrupted";

  // 4. Model, optimizer.
  using model = modelToTrain(setup, tokenizer);
  const reference = stored ?? adaptersOffReference(model, laidOut);
  const trained = trainedWeights(model, settings.lora, start, settings.quantize); // every weight, or adapters on frozen ones
  const { parameters } = trained;
  const passChecks = await preflightJudgedPasses(
    model,
    parameters,
    tokenizer,
    watch.trained,
    settings,
    start,
  );
  if (start.step === 0) checkStartsAtReference(model, reference, watch.trained, laidOut);
  checkRanksAgree(setup, data, parameters);
  const tasks = await watchTasks(settings, model, tokenizer, parameters, context);
  using optimizer = adamwToTrain(setup, parameters);

  // 5. Train. The seed and the step alone decide which rows come; how they are split and packed changes nothing.
  using meter = new JudgedMeter(machine.device, world);
  using training = openTraining(setup, {
    ...{ model, trained, optimizer, tokenizer, data, plan, learningRate, tasks },
    checks: [...dataChecks, ...passChecks],
    opening: describeJudged(data),
  });
  for await (const step of training.steps(observe)) {
    const { rows, batches } = span("data", () => {
      const rows = step.rowsOf(watch.trained);
      const mine = world.share(rows, ({ chosen }) => chosen.inputIds.length);
      return { rows, batches: judgedBatches(mine, settings) };
    });
    // What the step's losses are measured from, before any of its gradients: how far the model is from the reference.
    const baseline = await ktoBaseline(model, batches, reference, rows.length, world);
    const scale = 1 / rows.length; // mean over the whole step
    await step.accumulate(batches, (batch) => accumulateKto(model, batch, baseline, scale, settings, meter));
    step.update();
    step.log(() => {
      const { loss, trainedTokens, metrics } = meter.take();
      const accuracy = metrics["rewards/accuracies"]!.toFixed(2);
      return {
        ...{ rows, loss, trainedTokens, tokens: totalTokens(rows.map(({ chosen }) => chosen)) },
        metrics: { ...metrics, kl: baseline.kl, rows_per_second: rows.length / step.seconds },
        shown: { loss: loss.toFixed(3), accuracy, kl: baseline.kl.toFixed(2) },
      };
    });
  }

  // 6. Save: a model folder or PEFT's adapter folder, and a report that explains the run.
  reference.verify();
  return await training.finish(effectLines);

  /** Between two steps: preference training tends to lengthen answers. */
  async function observe(look: Look): Promise<void> {
    if (look.isDue(settings.evalEverySteps))
      look.measured("judged", await evaluateJudged(model, watch.watched, reference, settings, world));
    if (world.isMain && prompts.length > 0 && look.isDue(settings.sampleEverySteps))
      look.answered(await watchAnswers(model, tokenizer, prompts, settings));
  }
}
