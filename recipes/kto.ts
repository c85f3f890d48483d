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
  describeJudged,
  describeLeftOut,
  describePlan,
  distributedAdamw,
  effectiveChatTemplate,
  evalTaskKnobs,
  evaluateJudged,
  findStart,
  isDue,
  JudgedMeter,
  type JudgedRow,
  judgedBatches,
  knob,
  knobs,
  ktoBaseline,
  learningRateSchedule,
  loadModel,
  loadTokenizer,
  locateNaN,
  loraKnobs,
  modelFolder,
  nextTurn,
  openRun,
  Progress,
  planSteps,
  preferenceEffects,
  preflightJudged,
  preflightJudgedPasses,
  prepareMachine,
  promptsToWatch,
  quantizeKnobs,
  type RecipeContext,
  type RunOutcome,
  readCompanions,
  readConfig,
  readJudgedRows,
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
  watchAnswers,
  watchJudged,
  watchRounding,
  watchTasks,
  weightsHash,
} from "camelid";
import { z } from "zod";

export const presets = {};
export const resumable = true;
export const parallel = true;

export const settings = z.strictObject({
  model: knobs.model,
  data: knob(z.string().min(1), {
    help: "Answers with their judgement, JSON lines or one array: messages and label (true or false); or preference pairs, whose two answers become two rows.",
    group: "Model and data",
    placeholder: "file",
  }),
  out: knobs.out,
  onBad: knobs.onBad,
  preflight: knobs.preflight,
  beta: knobs.beta,
  desirableWeight: knobs.desirableWeight,
  undesirableWeight: knobs.undesirableWeight,
  reference: knobs.reference,
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

export type KtoRunSettings = z.output<typeof settings>;

/** A row and the answer to another prompt lie as a pair does: the reference reads their prompt once. */
const laidOut = { sharePrompts: true };

export async function run(settings: KtoRunSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  const { world = aloneInTheWorld() } = context; // this process alone, or a rank among several
  checkReferenceSetting(settings);
  checkMethod(settings, world);
  const machine = prepareMachine(settings, world);
  const start = await findStart(settings, context, machine.environment); // step 0, or a checkpoint to go on from

  // 2. Data: file -> judged conversations -> rows, each with an answer to another prompt beside its own.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readJudgedRows(settings.data, tokenizer, settings);
  checkSameData(start, data.fingerprint);
  const watch = await watchJudged(data, tokenizer, settings); // rows to train on, and rows to look at
  const longestRow = readConfig(modelFolder(start.modelFolder)).config.maxPositionEmbeddings;
  const liked = watch.watched.filter(({ desirable }) => desirable);
  const prompts = await promptsToWatch(settings, liked, tokenizer, longestRow);
  const plan = planSteps(watch.trained.length, settings);
  const { totalSteps, numRows, sequencesPerStep } = plan;
  const learningRate = learningRateSchedule({ ...settings, totalSteps });
  const dataChecks = await preflightJudged(data, tokenizer, plan, learningRate, settings, start);

  // 3. What the model said of the data before it was trained. Computed before the trained model is loaded: one at a time.
  let reference = settings.reference === "stored" ? await storedLogps() : undefined;
  if (world.any(context.signal.aborted)) return "interrupted";

  // 4. Model, optimizer, schedule.
  const { lora, quantize } = settings;
  using model = loadModel(start.modelFolder, { ...machine, quantize, trainable: lora === null });
  model.activationCheckpointing = settings.activationCheckpointing;
  checkVocabulary(tokenizer, model.config, start.modelFolder);
  reference ??= adaptersOffReference(model, laidOut);
  const trained = trainedWeights(model, lora, start, quantize); // every weight, or adapters on frozen ones
  const passChecks = await preflightJudgedPasses(
    model,
    trained.parameters,
    tokenizer,
    watch.trained,
    settings,
    start,
  );
  if (start.step === 0) checkStartsAtReference(model, reference, watch.trained, laidOut);
  world.checkSame(() => ({
    settings: JSON.stringify(settings),
    data: data.fingerprint.sha256,
    weights: weightsHash(trained.parameters),
  }));
  const tasks = await watchTasks(settings, model, tokenizer, trained.parameters, context);
  const { masterWeights } = machine;
  using optimizer = distributedAdamw(trained.parameters, { ...settings, masterWeights }, world);
  restore(start, optimizer);

  // 5. Train. The seed and the step alone decide which rows come; how they are split and packed changes nothing.
  // Read now, because the folder may be gone when the model is saved.
  const companions = readCompanions(start.modelFolder, effectiveChatTemplate(tokenizer));
  const { environment } = machine;
  using run = openRun(settings.out, { ...context, ...start.run, settings, totalSteps, environment });
  const lineage = run.openLineage(`${settings.data} sha256:${data.fingerprint.sha256}`);
  using meter = new JudgedMeter(machine.device, world);
  using rounding = watchRounding(trained.parameters, optimizer, settings, run);
  const extent = { start: start.step, total: totalSteps };
  using progress = new Progress({ label: "kto", unit: "step", ...extent, mode: context.output });
  const checks = announceChecks([...dataChecks, ...passChecks], run, context);
  const opening = [
    describeJudged(data),
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
    const { rows, batches } = span("data", () => {
      const places = rowsOfStep(step, { seed: settings.seed, numRows, rowsPerStep: sequencesPerStep });
      const rows = places.map((place) => watch.trained[place]!);
      const mine = world.share(rows, ({ chosen }) => chosen.inputIds.length);
      return { rows, batches: judgedBatches(mine, settings) };
    });
    // What the step's losses are measured from, before any of its gradients: how far the model is from the reference.
    const baseline = await ktoBaseline(model, batches, reference, rows.length, world);
    const lr = learningRate(step);
    rounding?.remember();
    seedDropout(step, settings, world);
    optimizer.begin(lr, batches.length);
    const scale = 1 / rows.length; // mean over the whole step
    const accumulate = (batch: JudgedRow[]): void =>
      accumulateKto(model, batch, baseline, scale, settings, meter);
    for (const batch of batches) {
      accumulate(batch);
      await nextTurn(); // lets Ctrl+C through
    }
    using gradNorm = optimizer.update(lr, settings.maxGradNorm); // on the gradients of all ranks together

    const own = rows.map(({ chosen }) => chosen);
    const tokens = own.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
    span("log", () => {
      const { loss, trainedTokens, metrics } = meter.take();
      stopOnNaN(step, { loss, trainedTokens, sources: {} }, gradNorm.item(), own, () =>
        locateNaN(model, () => batches.forEach(accumulate)),
      );
      lineage.append(
        step,
        rows.map(({ place }) => place),
      );
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
          kl: baseline.kl,
          rows_per_second: rows.length / seconds,
          ...rounding?.metrics(step, lr)?.metrics,
        },
      });
      const accuracy = metrics["rewards/accuracies"]!.toFixed(2);
      progress.update(step, {
        loss: loss.toFixed(3),
        accuracy,
        kl: baseline.kl.toFixed(2),
      });
    });
    profiler?.end(step, tokens, progress);

    await observe(step);
    stopping = world.any(context.signal.aborted);
    if (isDue(step, settings.saveEverySteps) || stopping) await saveCheckpoint(run, step, state);
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
    using progress = new Progress({ label: "reference", unit: "row", total, mode: context.output });
    const onPairs = (done: number): void => progress.update(done);
    const reference = await storedReference(settings.model, watch.scored, {
      ...{ ...settings, ...laidOut },
      ...machine,
      signal: context.signal,
      world,
      onPairs,
    });
    progress.end();
    return reference;
  }

  /** Looks at the model between two steps: preference training tends to lengthen answers. */
  async function observe(step: number): Promise<void> {
    const isEnd = step === 0 || step === totalSteps;
    const isSeen = { event: "eval-end", step } as const;
    if (isEnd || isDue(step, settings.evalEverySteps)) {
      const seen = await evaluateJudged(model, watch.watched, reference!, settings, world);
      run.log({ ...isSeen, name: "judged", ...seen });
    }
    if (world.isMain && prompts.length > 0 && (isEnd || isDue(step, settings.sampleEverySteps))) {
      const { samples, metrics } = await watchAnswers(model, tokenizer, prompts, settings);
      for (const sample of samples) run.log({ event: "sample", step, ...sample });
      run.log({ ...isSeen, name: "answers", metrics });
    }
    await tasks.observe({ run, step, totalSteps, progress });
  }
}
