/**
 * A reward model (Christiano et al. 2017, https://arxiv.org/abs/1706.03741; Tulu 2.5, https://arxiv.org/abs/2406.09279): a language
 * model whose head gives one number for a whole text, trained so that preferred answers get the higher one. What it learned is a
 * judge: of answers to choose from, of data to filter, of models to compare.
 *
 *   camelid reward --model out/first-sft/final --data pairs.jsonl --held-out-rows 200 --out out/first-reward
 *   camelid score --model out/first-reward/final --data others.jsonl --out scores.jsonl
 *
 * Expect `accuracy` to leave 0.5 soon and to end well under 1 on held-out pairs: people agree with each other in two cases of three.
 * One epoch; a second one learns the pairs by heart.
 */
import { span } from "@camelid/torch";
import {
  accumulateReward,
  adamwToTrain,
  adapterKnobs,
  batchKnobs,
  checkRanksAgree,
  checkSameData,
  describePairs,
  evaluateReward,
  heldOutKnobs,
  knobs,
  type Look,
  learningRateSchedule,
  loadTokenizer,
  machineKnobs,
  openTraining,
  optimizerKnobs,
  pairBatches,
  pairPlaceKnobs,
  pairsToWatch,
  pairTokens,
  planSteps,
  preflightPairs,
  preflightReward,
  prepareTraining,
  type RecipeContext,
  type RunOutcome,
  readPairRows,
  rewardModelToTrain,
  ScoreMeter,
  savingKnobs,
  trainedRewardWeights,
  watchPairs,
} from "camelid";
import { z } from "zod";

export { rewardPresets as presets } from "./presets/reward.js";
export const resumable = true;
export const parallel = true;

export const settings = z.strictObject({
  ...pairPlaceKnobs,
  centerRewards: knobs.centerRewards,
  sharePrompts: knobs.sharePrompts,
  ...adapterKnobs,
  ...batchKnobs,
  ...optimizerKnobs,
  learningRate: knobs.learningRate.default(1e-5),
  ...machineKnobs,
  ...heldOutKnobs,
  ...savingKnobs,
});

export type RewardRunSettings = z.output<typeof settings>;

export async function run(settings: RewardRunSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  const setup = await prepareTraining(settings, context);
  const { world, machine, start } = setup; // one process or a rank of several; the device; step 0 or a checkpoint

  // 2. Data: file -> pairs of conversations -> pairs of rows that begin with the same prompt tokens.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const whole = { ...settings, whole: true }; // a score is read at a text's end: one that is cut has none
  const data = await readPairRows(settings.data, tokenizer, whole);
  checkSameData(start, data.fingerprint);
  const watch = await watchPairs(data, tokenizer, whole);
  const watched = pairsToWatch(watch, settings.evalData); // judged before, during and after; not trained if held out
  const plan = planSteps(watch.trained.length, settings);
  const learningRate = learningRateSchedule({ ...settings, ...plan });
  const dataChecks = await preflightPairs(data, tokenizer, plan, learningRate, settings, start);
  if (world.any(context.signal.aborted)) return "interrupted";

  // 3. Model: the decoder with a head for one number, new unless the model is a reward model already. Optimizer.
  using model = rewardModelToTrain(setup, tokenizer);
  const { lora, quantize } = settings;
  const trained = trainedRewardWeights(model, lora, start, quantize, tokenizer); // all, or adapters; the head always
  const { parameters } = trained;
  const passChecks = preflightReward(model, tokenizer, watch.trained, settings, start);
  checkRanksAgree(setup, data, parameters);
  using optimizer = adamwToTrain(setup, parameters);

  // 4. Train. The seed and the step alone decide which pairs come; how they are split and packed changes nothing.
  using meter = new ScoreMeter(machine.device, world);
  using training = openTraining(setup, {
    ...{ model: model.decoder, trained, optimizer, tokenizer, data, plan, learningRate },
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
    await step.accumulate(batches, (batch) => accumulateReward(model, batch, scale, settings, meter));
    step.update();
    step.log(() => {
      const { loss, metrics } = meter.take();
      const tokens = pairs.reduce((sum, pair) => sum + pairTokens(pair, settings), 0);
      return {
        ...{ rows: pairs, loss, tokens, trainedTokens: tokens },
        metrics: { ...metrics, pairs_per_second: pairs.length / step.seconds },
        shown: {
          loss: loss.toFixed(3),
          accuracy: metrics.accuracy!.toFixed(2),
          margin: metrics.margin!.toFixed(3),
        },
      };
    });
  }

  // 5. Save: a folder that transformers loads as a classifier with one label, or PEFT's adapter for one; and a report.
  return await training.finish();

  /** Between two steps: judges the pairs to look at. */
  async function observe(look: Look): Promise<void> {
    if (!look.isDue(settings.evalEverySteps)) return;
    const name = watch.source === "trained" ? "trained-pairs" : "held-out";
    look.measured(name, await evaluateReward(model, watched, settings, world));
  }
}
