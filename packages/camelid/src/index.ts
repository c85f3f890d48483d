/**
 * Camelid: adapt open language models, in TypeScript.
 *
 * Every public name, in groups that follow the way of the data. Stage subpaths may come later; a name that is
 * not here is not public.
 */

// Errors: what happened, where, how to fix it.

export {
  CamelidError,
  CheckpointError,
  DataError,
  type ErrorDetails,
  InternalError,
  ModelError,
  SettingsError,
  TrainingError,
} from "./errors.js";

// Settings: one schema per recipe; preset, file, --set and flags pass through it.

export { differenceText, type SettingsDifference, settingsDifferences } from "./settings/diff.js";
export { settingsMarkdown } from "./settings/docs-table.js";
export { type Knob, type KnobMeta, knob, settingsShape } from "./settings/knob.js";
export {
  adapterKnobs,
  answerKnobs,
  batchKnobs,
  heldOutKnobs,
  machineKnobs,
  optimizerKnobs,
  ownPromptKnobs,
  pairPlaceKnobs,
  placeKnobs,
  savingKnobs,
} from "./settings/knob-groups.js";
export { evalTaskKnobs, knobs, loraKnobs, quantizeKnobs } from "./settings/knobs.js";
export { type Layer, readSettingsFile } from "./settings/layers.js";
export { type Origin, originText } from "./settings/origin.js";
export { formatSettings } from "./settings/print.js";
export type { Preset, Presets, Recipe, RecipeContext, RunOutcome } from "./settings/recipe.js";
export { type Resolved, type ResolveOptions, resolveSettings } from "./settings/resolve.js";

// Mixing: raw files -> mixture -> train.jsonl, with the books of every row.

export { type Explanation, explain } from "./data/mix/explain.js";
export type { Manifest } from "./data/mix/manifest.js";
export { type MixOptions, type MixProgress, mix as mixData } from "./data/mix/mix.js";
export type { Mixture, MixtureSource } from "./data/mixture.js";
export { defineMixture, type MixtureInput, readMixtureFile } from "./data/mixture-file.js";
export type { PreferencePair } from "./data/preference.js";
export { type PresetMixture, tulu1Mixture, tulu2Mixture } from "./data/presets/tulu.js";

// Tokenizer and data: file -> conversations -> tokens and labels -> micro-batches.

export { collateTargets, type Targets, type TokenRow, totalTokens, trainedTokens } from "./data/collate.js";
export type { Conversation, Message, Role } from "./data/conversation.js";
export { rowsFingerprint } from "./data/fingerprint.js";
export { type HeldOutSettings, holdOutRows } from "./data/held-out-rows.js";
export { type JudgedAccount, type JudgedRow, type JudgedRows, readJudgedRows } from "./data/judged-rows.js";
export { type MicroBatchPlan, microBatches, packBestFit } from "./data/micro-batches.js";
export { type PairAccount, type PairRow, type PairRows, readPairRows } from "./data/pair-rows.js";
export { type ReadConversations, readConversations } from "./data/read-conversations.js";
export { readJudged } from "./data/read-judged.js";
export { readPreferences } from "./data/read-preferences.js";
export {
  IGNORE_INDEX,
  type RenderedRow,
  type RenderOptions,
  renderConversation,
  renderConversations,
  renderPrompt,
  renderPrompts,
} from "./data/render.js";
export { rowsOfStep } from "./data/sampler.js";
export { readTrainRows, type SourceAccount, type TrainRows } from "./data/train-rows.js";
export { type WatchedJudged, watchJudged } from "./data/watched-judged.js";
export { type WatchedPair, type WatchedPairs, type WatchSettings, watchPairs } from "./data/watched-pairs.js";
export { type BpeTrainingSettings, type TrainedBpe, trainByteLevelBpe } from "./tokenizer/bpe-trainer.js";
export { loadTokenizer, type Tokenizer } from "./tokenizer/tokenizer.js";
export { tuluTemplate } from "./tokenizer/tulu-template.js";
export {
  effectiveChatTemplate,
  type TokenizerFolderSettings,
  writeChatTemplate,
  writeTokenizerFolder,
} from "./tokenizer/write-tokenizer.js";

// Models: Hugging Face folders, forward passes, log-probabilities.

export { checkVocabulary } from "./model/check-vocabulary.js";
export { contextLength, parseConfig, readConfig } from "./model/config.js";
export { FAMILIES } from "./model/families.js";
export type { ModelFamily } from "./model/family.js";
export { type CachedRow, type KeyValueCache, KvBlocks } from "./model/kv-cache.js";
export type { LanguageModel } from "./model/language-model.js";
export { initModel, type LoadOptions, loadModel } from "./model/load.js";
export type { ModelConfig } from "./model/model-config.js";
export { isRewardFolder, loadRewardModel, RewardModel, saveRewardModel } from "./model/reward-model.js";
export { type Companions, readCompanions, type SaveOptions, saveModel } from "./model/save.js";
export { heldOneByOne, weightsHash } from "./model/weights-hash.js";
export { scaledNll, tokenLogps } from "./nn/log-probs.js";
export type { Nf4Settings } from "./nn/nf4-weight.js";
export { type PackedRows, packRows } from "./nn/packed-rows.js";

export { hubNameOf, modelFolder } from "./run/hub-names.js";

// Adapters: LoRA on frozen weights, in PEFT's files.

export {
  type AdapterConfig,
  isAdapterFolder,
  loadAdapter,
  readAdapterConfig,
  saveAdapter,
} from "./adapters/adapter-file.js";
export { fetchModel } from "./adapters/fetch-model.js";
export { loadAdaptedModel, loadTrainedReward } from "./adapters/load-adapted.js";
export {
  adaptersOf,
  addLora,
  type LoraAdapter,
  type LoraSettings,
  withAdapters,
  withoutAdapters,
} from "./adapters/lora.js";
export { dequantizeModel, mergeAdapters } from "./adapters/merge.js";

// Training: the pieces of a loop that stays visible in the recipe.

export { accumulateSft, type LossReduction, lossScales } from "./train/accumulate.js";
export { accumulateDpo } from "./train/accumulate-dpo.js";
export { accumulateKto, judgedBatches, type KtoBaseline, ktoBaseline } from "./train/accumulate-kto.js";
export { accumulateReward } from "./train/accumulate-reward.js";
export { checkLossSettings } from "./train/check-loss.js";
export { checkMethod } from "./train/check-settings.js";
export { isDue, restoreCheckpoint, saveCheckpoint, type TrainingState } from "./train/checkpoint.js";
export { describeRows } from "./train/describe.js";
export { describeJudged } from "./train/describe-judged.js";
export { describeLeftOut, describePairs } from "./train/describe-pairs.js";
export { heldOutLoss } from "./train/held-out-loss.js";
export { evaluateJudged } from "./train/judged-eval.js";
export { JudgedMeter, type JudgedMetrics } from "./train/judged-meter.js";
export { locateNaN } from "./train/locate-nan.js";
export { Look, type Moment, type StepWatcher } from "./train/look.js";
export { LossMeter, type StepLosses } from "./train/loss-meter.js";
export {
  type DpoLoss,
  type DpoSettings,
  dpoLoss,
  type PairLogps,
  usesReference,
} from "./train/losses/dpo.js";
export { type KtoLoss, type KtoSettings, ktoLoss } from "./train/losses/kto.js";
export { type PairScores, type RewardSettings, rewardLoss } from "./train/losses/reward.js";
export { sftLoss } from "./train/losses/sft.js";
export { type Machine, prepareMachine } from "./train/machine.js";
export { type Adamw, type AdamwSettings, adamw } from "./train/optim/adamw.js";
export { clipFactor, gradientNorm } from "./train/optim/clip.js";
export { distributedAdamw, type Shard } from "./train/optim/distributed-adamw.js";
export { learningRateSchedule, type Schedule, type ScheduleSettings } from "./train/optim/schedules.js";
export { UpdateMonitor } from "./train/optim/update-monitor.js";
export { evaluatePairs } from "./train/pair-eval.js";
export { answerLogps, pairLogps, pairTokens } from "./train/pair-logps.js";
export { PairMeter, type PairMetrics } from "./train/pair-meter.js";
export { pairScores, type ScoredPair, scorePairs, scoreRows } from "./train/pair-scores.js";
export {
  announceChecks,
  type PreflightInput,
  type PreflightSettings,
  preflight,
  preflightChecks,
} from "./train/preflight/preflight.js";
export { preflightJudged, preflightJudgedPasses } from "./train/preflight/preflight-judged.js";
export { preflightPairPasses, preflightPairs } from "./train/preflight/preflight-pairs.js";
export { preflightReward } from "./train/preflight/preflight-reward.js";
export {
  adamwToTrain,
  checkRanksAgree,
  modelToTrain,
  prepareTraining,
  rewardModelToTrain,
  type TrainingSettings,
  type TrainingSetup,
} from "./train/prepare-training.js";
export { type StepProfiler, stepProfiler } from "./train/profile-step.js";
export { referenceBeforeTraining } from "./train/reference-before.js";
export {
  adaptersOffReference,
  checkReferenceSetting,
  checkStartsAtReference,
  noReference,
  pairBatches,
  type Reference,
  storedReference,
} from "./train/reference-logps.js";
export { evaluateReward, pairsToWatch } from "./train/reward-eval.js";
export { ScoreMeter } from "./train/score-meter.js";
export { seedDropout } from "./train/seed-dropout.js";
export { announceStart, checkSameData, findStart, restore, type Start } from "./train/start.js";
export { type ScaledBatch, stepBatches } from "./train/step-batches.js";
export { describePlan, planSteps, type StepPlan } from "./train/step-plan.js";
export { stopOnNaN } from "./train/stop-on-nan.js";
export { type TrainedWeights, trainedRewardWeights, trainedWeights } from "./train/trained-weights.js";
export { openTraining, type Training, type TrainingParts } from "./train/training.js";
export type { StepReport, TrainingStep } from "./train/training-step.js";
export { type RoundingWatch, watchRounding } from "./train/watch-rounding.js";

// Generation.

export { createEngine } from "./generate/engine.js";
export { generateOnce } from "./generate/generate-once.js";
export { type Prompt, readPrompts } from "./generate/read-prompts.js";
export type {
  Decoding,
  Engine,
  EngineProgress,
  EngineSettings,
  EngineStats,
  FinishReason,
  GenerateOptions,
  Generation,
  GenerationDelta,
  GenerationRequest,
  Score,
  ScoreOptions,
  ScoreRequest,
  TokenLogprob,
} from "./generate/requests.js";
export { type SampleAnswer, sampleAnswers } from "./generate/sample-answers.js";
export {
  promptsToWatch,
  type WatchedAnswers,
  type WatchedPrompt,
  watchAnswers,
} from "./generate/watch-answers.js";

// Export: forms that other programs read, held against parity fixtures; uploads.

export {
  type ExportOptions,
  type ExportSummary,
  type ExportTarget,
  exportModel,
} from "./export/export-model.js";
export { checkFixtures, makeFixtures, type ParityFixtures, parseFixtures } from "./export/fixtures.js";
export { type PushOptions, type PushResult, pushModel } from "./export/push.js";

// Evaluation.

export { endpointBackend } from "./eval/backends/endpoint.js";
export { type Comparison, compareResults } from "./eval/compare.js";
export { engineModel } from "./eval/engine-model.js";
export { type EvaluatedModel, type EvaluateOptions, evaluate } from "./eval/evaluate.js";
export { evaluateInTraining, type TrainingEval, type TrainingEvalOptions } from "./eval/in-training.js";
export { openJudge } from "./eval/judges/open-judge.js";
export { type ReplayOptions, replay } from "./eval/replay.js";
export { type EvalMetrics, readMetrics, readPredictions } from "./eval/results-folder.js";
export { openSandbox, type Sandbox, type SandboxSettings } from "./eval/sandbox/sandbox.js";
export type { Program, ProgramOutcome, ProgramVerdict } from "./eval/sandbox/verdict.js";
export type { TaskSummary } from "./eval/summary.js";
export { type WatchedTasks, type WatchTaskSettings, watchTasks } from "./eval/watch-tasks.js";

// Experiments.

export type {
  Column as ExperimentColumn,
  Experiment,
  PublishedLine,
  Row as ExperimentRow,
  Stage as ExperimentStage,
} from "./experiments/experiment.js";
export { lengthLines, paperColumns, paperLines } from "./experiments/paper.js";
export { type Planned, type PlanOptions, planExperiment } from "./experiments/plan.js";
export { type Results, readResults } from "./experiments/results.js";
export { type Doors, type Made, runStages } from "./experiments/run-stages.js";
export { writeResults } from "./experiments/write-results.js";

// Serving.

export { type ModelServer, type ServeSettings, startServer } from "./serve/server.js";

// Several processes.

export { aloneInTheWorld, joinWorld, type World } from "./parallel/world.js";

// Runs: what a run writes, and how to read it.

export { exportTensorboard } from "./export/tensorboard.js";
export { writeFileAtomic, writeFolderAtomic } from "./run/atomic-write.js";
export { cacheDirectory } from "./run/cache-directory.js";
export {
  type Checkpoint,
  type CheckpointManifest,
  lastSoundCheckpoint,
  listCheckpoints,
  verifyCheckpoint,
} from "./run/checkpoint-folder.js";
export { type Check, type CheckSection, formatChecks } from "./run/checks.js";
export { type NewEvent, type ReadEvent, type RunEvent, readEvent } from "./run/events.js";
export { Interrupt, nextTurn } from "./run/interrupt.js";
export { type Lineage, LineageWriter, readLineage, stepsOfRow } from "./run/lineage.js";
export {
  describeEffects,
  effectLines,
  type PreferenceEffects,
  preferenceEffects,
} from "./run/preference-effects.js";
export { type OutputMode, Progress } from "./run/progress.js";
export { type RunRecord, readRun } from "./run/read-run.js";
export type { Replay } from "./run/replay-run.js";
export type { RowRecorder, Run } from "./run/run.js";
export {
  checkOutputFolder,
  type OpenRunOptions,
  openRun,
  readRunSettings,
} from "./run/run-directory.js";

// Reports: self-contained HTML.

export { type Bar, barChart, histogram } from "./report/bars.js";
export {
  type Column,
  figures,
  fold,
  keyValues,
  note,
  sideBySide,
  type TableRow,
  table,
} from "./report/blocks.js";
export { type Html, type HtmlValue, html } from "./report/html.js";
export { lineChart, type Series } from "./report/line-chart.js";
export { page, section } from "./report/page.js";
export { runReport } from "./report/run-report.js";
export { numberText } from "./report/scale.js";
export { type StripToken, type TokenRole, tokenLegend, tokenStrip } from "./report/token-strip.js";
