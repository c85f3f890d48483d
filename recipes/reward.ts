/**
 * A reward model (Christiano et al. 2017, https://arxiv.org/abs/1706.03741; Tulu 2.5, https://arxiv.org/abs/2406.09279): a language
 * model whose head gives one number for a whole text, trained so that preferred answers get the higher one. What it learned is a
 * judge: of answers to choose from, of data to filter, of models to compare.
 *
 *   camelid reward --model out/first-sft/final --data pairs.jsonl --held-out-rows 200 --out out/first-reward
 *
 * Expect `accuracy` to leave 0.5 soon and to end well under 1 on held-out pairs: people agree with each other in two cases of three.
 * One epoch; a second one learns the pairs by heart. Every weight is trained.
 */
import { span } from "@camelid/torch";
import {
  accumulateReward,
  aloneInTheWorld,
  announceChecks,
  announceStart,
  checkMethod,
  checkSameData,
  checkVocabulary,
  describeLeftOut,
  describePairs,
  describePlan,
  distributedAdamw,
  effectiveChatTemplate,
  evaluateReward,
  findStart,
  isDue,
  knob,
  knobs,
  learningRateSchedule,
  loadRewardModel,
  loadTokenizer,
  locateNaN,
  nextTurn,
  openRun,
  type PairRow,
  Progress,
  pairBatches,
  pairsToWatch,
  pairTokens,
  planSteps,
  preflightPairs,
  preflightReward,
  prepareMachine,
  type RecipeContext,
  type RunOutcome,
  readCompanions,
  readPairRows,
  readRun,
  restore,
  rowsOfStep,
  runReport,
  ScoreMeter,
  saveCheckpoint,
  saveRewardModel,
  stepProfiler,
  stopOnNaN,
  watchPairs,
  watchRounding,
  weightsHash,
} from "camelid";
import { z } from "zod";

export const presets = {};
export const resumable = true;
export const parallel = true;

export const settings = z.strictObject({
  model: knobs.model,
  data: knob(z.string().min(1), {
    help: "Preference pairs, JSON lines or one array: chosen and rejected as message lists, answers to a prompt, or transcripts.",
    group: "Model and data",
    placeholder: "file",
  }),
  out: knobs.out,
  onBad: knobs.onBad,
  preflight: knobs.preflight,
  centerRewards: knobs.centerRewards,
  sharePrompts: knobs.sharePrompts,
  maxSeqLen: knobs.maxSeqLen,
  microBatchSize: knobs.microBatchSize,
  gradAccumSteps: knobs.gradAccumSteps,
  packing: knobs.packing,
  epochs: knobs.epochs,
  maxSteps: knobs.maxSteps,
  tokenVariant: knobs.tokenVariant,
  specialTokensInContent: knobs.specialTokensInContent,
  learningRate: knobs.learningRate.default(1e-5),
  schedule: knobs.schedule,
  warmupRatio: knobs.warmupRatio,
  betas: knobs.betas,
  eps: knobs.eps,
  weightDecay: knobs.weightDecay,
  maxGradNorm: knobs.maxGradNorm,
  optimizer: knobs.optimizer,
  optimizerInBackward: knobs.optimizerInBackward,
  shard: knobs.shard,
  precision: knobs.precision,
  device: knobs.device,
  threads: knobs.threads,
  activationCheckpointing: knobs.activationCheckpointing,
  profile: knobs.profile,
  seed: knobs.seed,
  evalData: knobs.evalData,
  heldOutRows: knobs.heldOutRows,
  evalEverySteps: knobs.evalEverySteps,
  saveEverySteps: knobs.saveEverySteps,
  keepCheckpoints: knobs.keepCheckpoints,
});

export type RewardRunSettings = z.output<typeof settings>;

export async function run(settings: RewardRunSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  const { world = aloneInTheWorld() } = context; // this process alone, or a rank among several
  checkMethod({ ...settings, lora: null, quantize: null }, world);
  const machine = prepareMachine(settings, world);
  const start = await findStart(settings, context, machine.environment); // step 0, or a checkpoint to go on from

  // 2. Data: file -> pairs of conversations -> pairs of rows that begin with the same prompt tokens.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readPairRows(settings.data, tokenizer, settings);
  checkSameData(start, data.fingerprint);
  const watch = await watchPairs(data, tokenizer, settings);
  const { trained } = watch;
  const watched = pairsToWatch(watch, settings.evalData); // judged before, during and after; not trained if held out
  const plan = planSteps(trained.length, settings);
  const { totalSteps, numRows, sequencesPerStep } = plan;
  const learningRate = learningRateSchedule({ ...settings, totalSteps });
  const dataChecks = await preflightPairs(data, tokenizer, plan, learningRate, settings, start);
  if (world.any(context.signal.aborted)) return "interrupted";

  // 3. Model: the decoder with a head for one number, new unless the model is a reward model already. Optimizer, schedule.
  using model = loadRewardModel(start.modelFolder, { ...machine, trainable: true });
  const { decoder } = model;
  decoder.activationCheckpointing = settings.activationCheckpointing;
  checkVocabulary(tokenizer, decoder.config, start.modelFolder);
  const passChecks = preflightReward(model, tokenizer, trained, settings, start);
  const parameters = model.namedParameters();
  world.checkSame(() => ({
    settings: JSON.stringify(settings),
    data: data.fingerprint.sha256,
    weights: weightsHash(parameters),
  }));
  const { masterWeights } = machine;
  using optimizer = distributedAdamw(parameters, { ...settings, masterWeights }, world);
  restore(start, optimizer);

  // 4. Train. The seed and the step alone decide which pairs come; how they are split and packed changes nothing.
  // Read now, because the folder may be gone when the model is saved.
  const companions = readCompanions(start.modelFolder, effectiveChatTemplate(tokenizer));
  const { environment } = machine;
  using run = openRun(settings.out, { ...context, ...start.run, settings, totalSteps, environment });
  const lineage = run.openLineage(`${settings.data} sha256:${data.fingerprint.sha256}`);
  using meter = new ScoreMeter(machine.device, world);
  using rounding = watchRounding(parameters, optimizer, settings, run);
  const extent = { start: start.step, total: totalSteps };
  using progress = new Progress({ label: "reward", unit: "step", ...extent, mode: context.output });
  const checks = announceChecks([...dataChecks, ...passChecks], run, context);
  const opening = [
    describePairs(data),
    describePlan(plan, settings),
    ...checks,
    ...announceStart(start, run),
  ];
  progress.print(opening.join("\n"));
  if (data.skipped.length > 0) run.writeFile("left-out.txt", describeLeftOut(data.skipped));
  using profiler = stepProfiler(settings, extent, run, machine.device);

  // Padding must not be what ends a text: others look for the last token from the right, past padding.
  const { padTokenId, eosTokenId } = tokenizer;
  const kept = { tokenizer: companions, padTokenId: padTokenId === eosTokenId ? undefined : padTokenId };
  const save = (folder: string): void => saveRewardModel(model, folder, kept);
  const state = { ...context, save, optimizer, settings, environment, plan, data: data.fingerprint };

  let step = start.step;
  if (step === 0) await observe(step);
  let stopping = world.any(context.signal.aborted);
  while (step < totalSteps && !stopping) {
    step++;
    profiler?.begin(step);
    const started = performance.now();
    const { pairs, batches } = span("data", () => {
      const places = rowsOfStep(step, { seed: settings.seed, numRows, rowsPerStep: sequencesPerStep });
      const pairs = places.map((place) => trained[place]!);
      const mine = world.share(pairs, (pair) => pairTokens(pair, settings));
      return { pairs, batches: pairBatches(mine, settings) };
    });
    const lr = learningRate(step);
    rounding?.remember();
    optimizer.begin(lr, batches.length);
    const scale = 1 / pairs.length; // mean over the whole step
    const accumulate = (batch: PairRow[]): void => accumulateReward(model, batch, scale, settings, meter);
    for (const batch of batches) {
      accumulate(batch);
      await nextTurn(); // lets Ctrl+C through
    }
    using gradNorm = optimizer.update(lr, settings.maxGradNorm); // on the gradients of all ranks together

    const tokens = pairs.reduce((sum, pair) => sum + pairTokens(pair, settings), 0);
    span("log", () => {
      const { loss, metrics } = meter.take();
      const chosen = pairs.map((pair) => pair.chosen);
      stopOnNaN(step, { loss, trainedTokens: tokens, sources: {} }, gradNorm.item(), chosen, () =>
        locateNaN(decoder, () => batches.forEach(accumulate)),
      );
      lineage.append(
        step,
        pairs.map(({ place }) => place),
      );
      const seconds = (performance.now() - started) / 1000;
      run.log({
        event: "step-end",
        step,
        epoch: (step * sequencesPerStep) / numRows,
        loss,
        lr,
        grad_norm: gradNorm.item(),
        trained_tokens: tokens,
        tokens_per_second: tokens / seconds,
        metrics: {
          ...metrics,
          pairs_per_second: pairs.length / seconds,
          ...rounding?.metrics(step, lr)?.metrics,
        },
      });
      progress.update(step, {
        loss: loss.toFixed(3),
        accuracy: metrics.accuracy!.toFixed(2),
        margin: metrics.margin!.toFixed(3),
      });
    });
    profiler?.end(step, tokens, progress);

    await observe(step);
    stopping = world.any(context.signal.aborted);
    if (isDue(step, settings.saveEverySteps) || stopping) await saveCheckpoint(run, step, state);
  }

  // 5. Save: a folder that transformers loads as a classifier with one label, and a report that explains the run.
  const outcome = step < totalSteps ? "interrupted" : "completed";
  if (outcome === "completed") {
    await run.writeFolder("final", save);
    run.log({ event: "checkpoint-saved", step, path: "final" });
  }
  run.end(outcome);
  if (!world.isMain) return outcome;
  const report = run.writeFile("report.html", runReport(await readRun(run.path)));
  progress.end();
  progress.print(
    outcome === "completed"
      ? `model   ${run.finalPath}\nreport  ${report}`
      : `stopped after step ${step}; \`camelid ${context.recipe} --resume --out ${settings.out}\` continues\nreport  ${report}`,
  );
  return outcome;

  /** Judges the pairs to look at, between two steps. */
  async function observe(step: number): Promise<void> {
    const isEnd = step === 0 || step === totalSteps;
    if (!isEnd && !isDue(step, settings.evalEverySteps)) return;
    const name = watch.source === "trained" ? "trained-pairs" : "held-out";
    run.log({ event: "eval-end", step, name, ...(await evaluateReward(model, watched, settings, world)) });
  }
}
