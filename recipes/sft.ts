/**
 * Supervised fine-tuning as Tulu 2 does it (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): answers are trained,
 * prompts are not; every optimizer step minimises the mean over its trained tokens.
 *
 *   camelid sft --model base --data train.jsonl --out out/first-sft
 */
import { span } from "@camelid/torch";
import {
  accumulateSft,
  aloneInTheWorld,
  announceChecks,
  announceStart,
  checkMethod,
  checkSameData,
  checkVocabulary,
  describePlan,
  describeRows,
  distributedAdamw,
  effectiveChatTemplate,
  evalTaskKnobs,
  findStart,
  heldOutLoss,
  holdOutRows,
  isDue,
  knobs,
  LossMeter,
  learningRateSchedule,
  loadModel,
  loadTokenizer,
  locateNaN,
  loraKnobs,
  nextTurn,
  openRun,
  Progress,
  planSteps,
  preflight,
  prepareMachine,
  quantizeKnobs,
  type RecipeContext,
  type RunOutcome,
  readCompanions,
  readPrompts,
  readRun,
  readTrainRows,
  restore,
  rowsOfStep,
  runReport,
  sampleAnswers,
  saveCheckpoint,
  seedDropout,
  stepBatches,
  stepProfiler,
  stopOnNaN,
  trainedWeights,
  watchRounding,
  watchTasks,
  weightsHash,
} from "camelid";
import { z } from "zod";

export { sftPresets as presets } from "./presets/sft.js";
export const resumable = true;
export const parallel = true;

export const settings = z.strictObject({
  model: knobs.model,
  data: knobs.data,
  out: knobs.out,
  onBad: knobs.onBad,
  preflight: knobs.preflight,
  maxSeqLen: knobs.maxSeqLen,
  microBatchSize: knobs.microBatchSize,
  gradAccumSteps: knobs.gradAccumSteps,
  packing: knobs.packing,
  epochs: knobs.epochs,
  maxSteps: knobs.maxSteps,
  tokenVariant: knobs.tokenVariant,
  specialTokensInContent: knobs.specialTokensInContent,
  learningRate: knobs.learningRate,
  schedule: knobs.schedule,
  warmupRatio: knobs.warmupRatio,
  betas: knobs.betas,
  eps: knobs.eps,
  weightDecay: knobs.weightDecay,
  maxGradNorm: knobs.maxGradNorm,
  optimizer: knobs.optimizer,
  optimizerInBackward: knobs.optimizerInBackward,
  shard: knobs.shard,
  lossReduction: knobs.lossReduction,
  lora: loraKnobs.nullable().default(null),
  quantize: quantizeKnobs.nullable().default(null),
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
  sampleEverySteps: knobs.sampleEverySteps,
  ...evalTaskKnobs,
  maxNewTokens: knobs.maxNewTokens.default(128),
  saveEverySteps: knobs.saveEverySteps,
  keepCheckpoints: knobs.keepCheckpoints,
});

export type SftSettings = z.output<typeof settings>;

export async function run(settings: SftSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. Everything that can be wrong is found before anything is written.
  const { world = aloneInTheWorld() } = context; // this process alone, or a rank among several
  checkMethod(settings, world);
  const machine = prepareMachine(settings, world);
  const start = await findStart(settings, context, machine.environment); // step 0, or a checkpoint to go on from

  // 2. Data: file -> conversations -> tokens and labels.
  const tokenizer = await loadTokenizer(start.modelFolder);
  const data = await readTrainRows(settings.data, tokenizer, settings);
  checkSameData(start, data.fingerprint);
  const { rows: trainRows, heldOut } = await holdOutRows(data, tokenizer, settings);
  const prompts = settings.samplePrompts === null ? [] : await readPrompts(settings.samplePrompts);
  const plan = planSteps(trainRows.length, settings);
  const { totalSteps, numRows, sequencesPerStep } = plan;

  // 3. Model, optimizer, schedule.
  const { lora, quantize } = settings;
  using model = loadModel(start.modelFolder, { ...machine, quantize, trainable: lora === null });
  model.activationCheckpointing = settings.activationCheckpointing;
  checkVocabulary(tokenizer, model.config, start.modelFolder);
  const trained = trainedWeights(model, lora, start, quantize); // every weight, or adapters on frozen ones
  const { parameters } = trained;
  const learningRate = learningRateSchedule({ ...settings, totalSteps });
  const checks = await preflight({ model, parameters, tokenizer, data, plan, learningRate, settings }, start);
  world.checkSame(() => ({
    settings: JSON.stringify(settings),
    data: data.fingerprint.sha256,
    weights: weightsHash(parameters),
  }));
  const tasks = await watchTasks(settings, model, tokenizer, parameters, context);
  const { masterWeights } = machine;
  using optimizer = distributedAdamw(parameters, { ...settings, masterWeights }, world);
  restore(start, optimizer);

  // 4. Train. The seed and the step alone decide which rows come; how they are split and packed changes nothing.
  // Read now, because the folder may be gone when the model is saved.
  const companions = readCompanions(start.modelFolder, effectiveChatTemplate(tokenizer));
  const { environment } = machine;
  using run = openRun(settings.out, { ...context, ...start.run, settings, totalSteps, environment });
  const lineage = run.openLineage(`${settings.data} sha256:${data.fingerprint.sha256}`);
  using meter = new LossMeter(data.sources, machine.device, world);
  const extent = { start: start.step, total: totalSteps };
  using progress = new Progress({ label: "sft", unit: "step", ...extent, mode: context.output });
  const opening = [describeRows(data), describePlan(plan, settings), ...announceChecks(checks, run, context)];
  progress.print([...opening, ...announceStart(start, run)].join("\n"));

  const save = (folder: string): void => trained.save(folder, companions);
  const state = { ...context, save, optimizer, settings, environment, plan, data: data.fingerprint };

  /** Looks at the model between two steps: the loss of rows that it never trains on, and what it says to a few prompts. */
  const observe = async (step: number): Promise<void> => {
    const isEnd = step === 0 || step === totalSteps;
    if (heldOut.length > 0 && (isEnd || isDue(step, settings.evalEverySteps)))
      run.log({
        event: "eval-end",
        step,
        name: "held-out",
        ...(await heldOutLoss(model, heldOut, settings, world)),
      });
    if (world.isMain && prompts.length > 0 && (isEnd || isDue(step, settings.sampleEverySteps)))
      for (const answer of await sampleAnswers(model, tokenizer, prompts, settings))
        run.log({ event: "sample", step, ...answer });
    await tasks.observe({ run, step, totalSteps, progress });
  };
  using rounding = watchRounding(parameters, optimizer, settings, run);
  using profiler = stepProfiler(settings, extent, run, machine.device);

  let step = start.step;
  if (step === 0) await observe(step);
  else await tasks.finish({ run, step, totalSteps, progress });
  let stopping = world.any(context.signal.aborted);
  while (step < totalSteps && !stopping) {
    step++;
    profiler?.begin(step);
    const started = performance.now();
    const { rows, batches, scales } = span("data", () => {
      const places = rowsOfStep(step, { seed: settings.seed, numRows, rowsPerStep: sequencesPerStep });
      const rows = places.map((place) => trainRows[place]!);
      return { rows, ...stepBatches(rows, settings, world) };
    });

    const lr = learningRate(step);
    rounding?.remember();
    seedDropout(step, settings, world);
    optimizer.begin(lr, batches.length);
    const accumulate = (i: number): void => accumulateSft(model, batches[i]!, scales[i]!, meter);
    for (const i of batches.keys()) {
      accumulate(i);
      await nextTurn(); // lets Ctrl+C through
    }
    using gradNorm = optimizer.update(lr, settings.maxGradNorm); // on the gradients of all ranks together

    const tokens = rows.reduce((sum, row) => sum + row.inputIds.length, 0);
    span("log", () => {
      const losses = meter.take();
      stopOnNaN(step, losses, gradNorm.item(), rows, () =>
        locateNaN(model, () => [...batches.keys()].forEach(accumulate)),
      );
      const taken = rows.map((row) => row.place);
      lineage.append(step, taken);
      run.log({
        event: "step-end",
        step,
        epoch: (step * sequencesPerStep) / numRows,
        loss: losses.loss,
        lr,
        grad_norm: gradNorm.item(),
        trained_tokens: losses.trainedTokens,
        tokens_per_second: (tokens * 1000) / (performance.now() - started),
        sources: losses.sources,
        ...rounding?.metrics(step, lr),
      });
      progress.update(step, { loss: losses.loss.toFixed(3), lr: lr.toExponential(1) });
    });
    profiler?.end(step, tokens, progress);

    await observe(step);
    stopping = world.any(context.signal.aborted);
    if (isDue(step, settings.saveEverySteps) || stopping) await saveCheckpoint(run, step, state);
  }

  // 5. Save: a model or adapter folder that loads anywhere, and a report that explains the run.
  const outcome = step < totalSteps || tasks.cut ? "interrupted" : "completed";
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
}
