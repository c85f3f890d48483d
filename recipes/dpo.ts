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
  adaptersOffReference,
  aloneInTheWorld,
  announceChecks,
  announceStart,
  checkMethod,
  checkReferenceSetting,
  checkSameData,
  checkStartsAtReference,
  checkVocabulary,
  describeEffects,
  describeLeftOut,
  describePairs,
  describePlan,
  distributedAdamw,
  effectiveChatTemplate,
  evalTaskKnobs,
  evaluatePairs,
  findStart,
  heldOutLoss,
  isDue,
  knob,
  knobs,
  learningRateSchedule,
  loadModel,
  loadTokenizer,
  locateNaN,
  loraKnobs,
  modelFolder,
  nextTurn,
  noReference,
  openRun,
  PairMeter,
  type PairRow,
  Progress,
  pairBatches,
  pairTokens,
  planSteps,
  preferenceEffects,
  preflightPairPasses,
  preflightPairs,
  prepareMachine,
  promptsToWatch,
  quantizeKnobs,
  type RecipeContext,
  type RunOutcome,
  readCompanions,
  readConfig,
  readPairRows,
  readRun,
  restore,
  rowsOfStep,
  runReport,
  saveCheckpoint,
  seedDropout,
  stepProfiler,
  stopOnNaN,
  storedReference,
  trainedWeights,
  usesReference,
  watchAnswers,
  watchPairs,
  watchRounding,
  watchTasks,
  weightsHash,
} from "camelid";
import { z } from "zod";

export { dpoPresets as presets } from "./presets/dpo.js";
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
  beta: knobs.beta,
  lossType: knobs.lossType,
  targetMargin: knobs.targetMargin,
  labelSmoothing: knobs.labelSmoothing,
  reference: knobs.reference,
  sharePrompts: knobs.sharePrompts,
  lora: loraKnobs.nullable().default(null),
  quantize: quantizeKnobs.nullable().default(null),
  maxSeqLen: knobs.maxSeqLen,
  microBatchSize: knobs.microBatchSize,
  gradAccumSteps: knobs.gradAccumSteps,
  packing: knobs.packing,
  epochs: knobs.epochs,
  maxSteps: knobs.maxSteps,
  tokenVariant: knobs.tokenVariant,
  specialTokensInContent: knobs.specialTokensInContent,
  learningRate: knobs.learningRate.default(5e-7),
  schedule: knobs.schedule,
  warmupRatio: knobs.warmupRatio.default(0.1),
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
  samplePrompts: knobs.samplePrompts,
  answerPrompts: knobs.answerPrompts,
  sampleEverySteps: knobs.sampleEverySteps,
  ...evalTaskKnobs,
  maxNewTokens: knobs.maxNewTokens.default(128),
  saveEverySteps: knobs.saveEverySteps,
  keepCheckpoints: knobs.keepCheckpoints,
});

export type DpoRunSettings = z.output<typeof settings>;

export async function run(settings: DpoRunSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  const { world = aloneInTheWorld() } = context; // this process alone, or a rank among several
  checkReferenceSetting(settings);
  checkMethod(settings, world);
  const machine = prepareMachine(settings, world);
  const start = await findStart(settings, context, machine.environment); // step 0, or a checkpoint to go on from

  // 2. Data: file -> pairs of conversations -> pairs of rows that begin with the same prompt tokens.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readPairRows(settings.data, tokenizer, settings);
  checkSameData(start, data.fingerprint);
  const watch = await watchPairs(data, tokenizer, settings); // pairs to train on, and pairs to look at
  const longestRow = readConfig(modelFolder(start.modelFolder)).config.maxPositionEmbeddings;
  const asked = watch.watched.length > 0 ? watch.watched.map(({ pair }) => pair) : watch.trained;
  const prompts = await promptsToWatch(settings, asked, tokenizer, longestRow);
  const plan = planSteps(watch.trained.length, settings);
  const { totalSteps, numRows, sequencesPerStep } = plan;
  const learningRate = learningRateSchedule({ ...settings, totalSteps });
  const dataChecks = await preflightPairs(data, tokenizer, plan, learningRate, settings, start);

  // 3. What the model said of the data before it was trained. Computed before the trained model is loaded: one at a time.
  let reference = usesReference(settings.lossType) ? undefined : noReference(machine.device);
  if (reference === undefined && settings.reference === "stored") reference = await storedLogps();
  if (world.any(context.signal.aborted)) return "interrupted";

  // 4. Model, optimizer, schedule.
  const { lora, quantize } = settings;
  using model = loadModel(start.modelFolder, { ...machine, quantize, trainable: lora === null });
  model.activationCheckpointing = settings.activationCheckpointing;
  checkVocabulary(tokenizer, model.config, start.modelFolder);
  reference ??= adaptersOffReference(model, settings);
  const trained = trainedWeights(model, lora, start, quantize); // every weight, or adapters on frozen ones
  const passChecks = await preflightPairPasses(
    model,
    trained.parameters,
    tokenizer,
    watch.trained,
    settings,
    start,
  );
  if (start.step === 0 && usesReference(settings.lossType))
    checkStartsAtReference(model, reference, watch.trained, settings);
  world.checkSame(() => ({
    settings: JSON.stringify(settings),
    data: data.fingerprint.sha256,
    weights: weightsHash(trained.parameters),
  }));
  const tasks = await watchTasks(settings, model, tokenizer, trained.parameters, context);
  const { masterWeights } = machine;
  using optimizer = distributedAdamw(trained.parameters, { ...settings, masterWeights }, world);
  restore(start, optimizer);

  // 5. Train. The seed and the step alone decide which pairs come; how they are split and packed changes nothing.
  // Read now, because the folder may be gone when the model is saved.
  const companions = readCompanions(start.modelFolder, effectiveChatTemplate(tokenizer));
  const { environment } = machine;
  using run = openRun(settings.out, { ...context, ...start.run, settings, totalSteps, environment });
  const lineage = run.openLineage(`${settings.data} sha256:${data.fingerprint.sha256}`);
  using meter = new PairMeter(machine.device, world);
  using rounding = watchRounding(trained.parameters, optimizer, settings, run);
  const extent = { start: start.step, total: totalSteps };
  using progress = new Progress({ label: "dpo", unit: "step", ...extent, mode: context.output });
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

  const save = (folder: string): void => trained.save(folder, companions);
  const state = { ...context, save, optimizer, settings, environment, plan, data: data.fingerprint };

  let step = start.step;
  if (step === 0) await observe(step);
  else await tasks.finish({ run, step, totalSteps, progress });
  let stopping = world.any(context.signal.aborted);
  while (step < totalSteps && !stopping) {
    step++;
    profiler?.begin(step);
    const started = performance.now();
    const { pairs, batches } = span("data", () => {
      const places = rowsOfStep(step, { seed: settings.seed, numRows, rowsPerStep: sequencesPerStep });
      const pairs = places.map((place) => watch.trained[place]!);
      const mine = world.share(pairs, (pair) => pairTokens(pair, settings));
      return { pairs, batches: pairBatches(mine, settings) };
    });
    const lr = learningRate(step);
    rounding?.remember();
    seedDropout(step, settings, world);
    optimizer.begin(lr, batches.length);
    const scale = 1 / pairs.length; // mean over the whole step
    const accumulate = (batch: PairRow[]): void =>
      accumulateDpo(model, batch, reference!, scale, settings, meter);
    for (const batch of batches) {
      accumulate(batch);
      await nextTurn(); // lets Ctrl+C through
    }
    using gradNorm = optimizer.update(lr, settings.maxGradNorm); // on the gradients of all ranks together

    const tokens = pairs.reduce((sum, pair) => sum + pairTokens(pair, settings), 0);
    span("log", () => {
      const { loss, trainedTokens, metrics } = meter.take();
      const chosen = pairs.map((pair) => pair.chosen);
      stopOnNaN(step, { loss, trainedTokens, sources: {} }, gradNorm.item(), chosen, () =>
        locateNaN(model, () => batches.forEach(accumulate)),
      );
      const taken = pairs.map(({ place }) => place);
      lineage.append(step, taken);
      const seconds = (performance.now() - started) / 1000;
      run.log({
        event: "step-end",
        step,
        epoch: (step * sequencesPerStep) / numRows,
        loss,
        lr,
        grad_norm: gradNorm.item(),
        trained_tokens: trainedTokens,
        tokens_per_second: tokens / seconds,
        metrics: {
          ...metrics,
          pairs_per_second: pairs.length / seconds,
          ...rounding?.metrics(step, lr)?.metrics,
        },
      });
      const accuracy = metrics["rewards/accuracies"]!.toFixed(2);
      progress.update(step, {
        loss: loss.toFixed(3),
        accuracy,
        margin: metrics["rewards/margins"]!.toFixed(3),
      });
    });
    profiler?.end(step, tokens, progress);

    await observe(step);
    stopping = world.any(context.signal.aborted);
    if (isDue(step, settings.saveEverySteps) || stopping) {
      await saveCheckpoint(run, step, state);
      stopping ||= world.any(context.signal.aborted); // asked while it was written
    }
  }

  // 6. Save: a model folder or PEFT's adapter folder, and a report that explains the run.
  reference.verify();
  const outcome = step < totalSteps || tasks.cut ? "interrupted" : "completed";
  if (outcome === "completed") {
    await run.writeFolder("final", save);
    run.log({ event: "checkpoint-saved", step, path: "final" });
  }
  run.end(outcome);
  if (!world.isMain) return outcome;
  const record = await readRun(run.path);
  const report = run.writeFile("report.html", runReport(record));
  progress.end();
  const effects = preferenceEffects(record);
  if (effects !== undefined) progress.print(describeEffects(effects));
  progress.print(
    outcome === "completed"
      ? `${settings.lora === null ? "model  " : "adapter"} ${run.finalPath}\nreport  ${report}`
      : `stopped after step ${step}; \`camelid ${context.recipe} --resume --out ${settings.out}\` continues\nreport  ${report}`,
  );
  return outcome;

  async function storedLogps() {
    const total = watch.scored.pairs.length;
    using progress = new Progress({ label: "reference", unit: "pair", total, mode: context.output });
    const onPairs = (done: number): void => progress.update(done);
    const reference = await storedReference(settings.model, watch.scored, {
      ...settings,
      ...machine,
      signal: context.signal,
      world,
      onPairs,
    });
    progress.end();
    return reference;
  }

  /** Looks at the model between two steps: preference training tends to lengthen answers and to hurt other languages. */
  async function observe(step: number): Promise<void> {
    const isEnd = step === 0 || step === totalSteps;
    const isSeen = { event: "eval-end", step } as const;
    if (isEnd || isDue(step, settings.evalEverySteps)) {
      const { watched, conversations } = watch;
      if (watched.length > 0)
        run.log({
          ...isSeen,
          name: "pairs",
          ...(await evaluatePairs(model, watched, reference!, settings, world)),
        });
      if (conversations.length > 0)
        run.log({
          ...isSeen,
          name: "held-out",
          ...(await heldOutLoss(model, conversations, settings, world)),
        });
    }
    if (world.isMain && prompts.length > 0 && (isEnd || isDue(step, settings.sampleEverySteps))) {
      const { samples, metrics } = await watchAnswers(model, tokenizer, prompts, settings);
      for (const sample of samples) run.log({ event: "sample", step, ...sample });
      run.log({ ...isSeen, name: "answers", metrics });
    }
    await tasks.observe({ run, step, totalSteps, progress });
  }
}
