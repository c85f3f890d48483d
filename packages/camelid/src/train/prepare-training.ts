/** How a training run begins, whatever it minimises: on what it computes, with whom, from where; and what it changes. */
import type { Tensor } from "@camelid/torch";
import { isAdapterFolder, readAdapterConfig } from "../adapters/adapter-file.js";
import { checkLora, type LoraSettings } from "../adapters/lora.js";
import { ModelError, SettingsError } from "../errors.js";
import { checkVocabulary } from "../model/check-vocabulary.js";
import { readConfig } from "../model/config.js";
import type { LanguageModel } from "../model/language-model.js";
import { projectionNames } from "../model/layer-layout.js";
import { type LoadOptions, loadModel } from "../model/load.js";
import { loadRewardModel, type RewardModel } from "../model/reward-model.js";
import { folderSampleHash, weightsHash } from "../model/weights-hash.js";
import type { Nf4Settings } from "../nn/nf4-weight.js";
import { shardedBlocksOf } from "../parallel/sharded-blocks.js";
import { aloneInTheWorld, type World } from "../parallel/world.js";
import { modelFolder } from "../run/hub-names.js";
import type { RecipeContext } from "../settings/recipe.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { checkLooks, checkMethod, type LookSettings, type MethodSettings } from "./check-settings.js";
import { type Machine, type MachineSettings, prepareMachine } from "./machine.js";
import type { Adamw } from "./optim/adamw.js";
import { type DistributedSettings, distributedAdamw, type Shard } from "./optim/distributed-adamw.js";
import type { ResumableSettings } from "./resume-rules.js";
import { findStart, restore, type Start } from "./start.js";

/** What every recipe that trains has among its settings. */
export interface TrainingSettings extends MachineSettings, MethodSettings, LookSettings, ResumableSettings {
  data: string;
  lora: LoraSettings | null;
  quantize: Nf4Settings | null;
  activationCheckpointing: boolean;
  activationOffload: boolean;
  shard: Shard;
  profile: boolean;
  learningRate: number;
  maxGradNorm: number | null;
  epochs: number;
  maxSteps: number | null;
  saveEverySteps: number | null;
  keepCheckpoints: number | null;
}

/** The surroundings of a run. */
export interface TrainingSetup<Settings extends TrainingSettings = TrainingSettings> {
  readonly settings: Settings;
  readonly context: RecipeContext;
  /** This process alone, or a rank among several. */
  readonly world: World;
  readonly machine: Machine;
  /** Step 0, or a checkpoint to go on from. */
  readonly start: Start;
}

/**
 * Checks what can be checked before anything is loaded, chooses the device and seeds it. Nothing is written.
 * @throws {ModelError} `ERR_ADAPTER_AS_MODEL`; what `checkMethod`, `checkLooks`, `checkLora`, `prepareMachine` and `findStart` throw
 */
export async function prepareTraining<Settings extends TrainingSettings>(
  settings: Settings,
  context: RecipeContext,
): Promise<TrainingSetup<Settings>> {
  const { world = aloneInTheWorld() } = context;
  checkMethod(settings, world);
  checkLooks(settings);
  const machine = prepareMachine(settings, world);
  checkIsModel(settings.model);
  const start = await findStart(settings, context, machine.environment);
  // Now, and not when the adapter is made: what is computed before may take long.
  if (settings.lora !== null) checkLora(settings.lora, projectionNames(readConfig(start.modelFolder).config));
  return { settings, context, world, machine, start };
}

/** @throws {ModelError} `ERR_ADAPTER_AS_MODEL`: adapters are trained on a model, not on an adapter that needs one */
function checkIsModel(name: string): void {
  const folder = modelFolder(name);
  if (!isAdapterFolder(folder)) return;
  const { baseModel, hasScoreHead } = readAdapterConfig(folder);
  throw new ModelError("ERR_ADAPTER_AS_MODEL", "this is an adapter; training starts from a model.", {
    where: folder,
    fix: hasScoreHead
      ? "start from its base; or merge it first, in a program: `loadTrainedReward`, `mergeAdapters`, `saveRewardModel`."
      : `merge it into its base${baseModel === undefined ? "" : ` ${baseModel}`} first, \`camelid export --model ${name} --to merged --out DIR\`, and start from that.`,
  });
}

/**
 * The model that the run starts from: trainable, or frozen where adapters are to be trained.
 * @throws {ModelError} as `loadModel` and `checkVocabulary`
 */
export function modelToTrain(setup: TrainingSetup, tokenizer: Tokenizer): LanguageModel {
  const model = loadModel(setup.start.modelFolder, howToLoad(setup));
  return readied(model, model, setup, tokenizer);
}

/**
 * The same with a head for one number in the place of the language model's; new, unless the model is a reward model already.
 * @throws {ModelError} as `loadRewardModel` and `checkVocabulary`
 */
export function rewardModelToTrain(setup: TrainingSetup, tokenizer: Tokenizer): RewardModel {
  const model = loadRewardModel(setup.start.modelFolder, howToLoad(setup));
  return readied(model, model.decoder, setup, tokenizer);
}

function howToLoad({ settings, machine, world }: TrainingSetup): LoadOptions {
  const { lora, quantize } = settings;
  const shardOver = settings.shard === "parameters" ? world : undefined;
  return { ...machine, quantize, trainable: lora === null, shardOver };
}

/** @returns `model`, whose decoder is as the settings want it; freed where it does not fit the tokenizer */
function readied<Model extends Disposable>(
  model: Model,
  decoder: LanguageModel,
  { settings, start }: TrainingSetup,
  tokenizer: Tokenizer,
): Model {
  try {
    decoder.activationCheckpointing = settings.activationCheckpointing;
    decoder.activationOffload = settings.activationOffload;
    checkVocabulary(tokenizer, decoder.config, start.modelFolder);
    return model;
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/**
 * A recipe that loads its model by other means has all of it on every rank, and would run so without a word.
 * @throws {SettingsError} `ERR_NOT_IN_PARTS`
 */
export function checkInParts(
  { settings, world }: { settings: { shard: Shard }; world: Pick<World, "group"> },
  model: LanguageModel,
): void {
  if (settings.shard !== "parameters" || world.group === undefined) return;
  if ([...model.namedParameters().values()].some((weight) => shardedBlocksOf(weight) !== undefined)) return;
  throw new SettingsError("ERR_NOT_IN_PARTS", "shard is parameters, and every rank has the whole model.", {
    where: "shard, the recipe's loading of its model",
    fix: "load it with `modelToTrain` or `rewardModelToTrain`, or give `loadModel` the world as `shardOver`; or use shard gradients.",
  });
}

/**
 * Before the first step of several ranks: they sum gradients, so settings, rows and weights have to be the same on all. The
 * model's folder is compared by a sample: of frozen weights, and of those that lie on one rank alone, nothing else would tell.
 * @param parameters what is trained
 * @throws {TrainingError} `ERR_RANKS_DIFFER`
 */
export function checkRanksAgree(
  { settings, world, start }: Pick<TrainingSetup, "settings" | "world" | "start">,
  data: { fingerprint: { sha256: string } },
  parameters: ReadonlyMap<string, Tensor>,
): void {
  const everywhere = [...parameters].filter(([, weight]) => shardedBlocksOf(weight) === undefined);
  world.checkSame(() => ({
    settings: JSON.stringify(settings),
    data: data.fingerprint.sha256,
    model: folderSampleHash(start.modelFolder),
    weights: weightsHash(everywhere),
  }));
}

/** AdamW on all ranks, with the state of the checkpoint where there is one. */
export function adamwToTrain(
  { settings, machine, world, start }: TrainingSetup<TrainingSettings & DistributedSettings>,
  parameters: ReadonlyMap<string, Tensor>,
): Adamw {
  const { masterWeights } = machine;
  const optimizer = distributedAdamw(parameters, { ...settings, masterWeights }, world);
  try {
    restore(start, optimizer);
    return optimizer;
  } catch (error) {
    optimizer[Symbol.dispose]();
    throw error;
  }
}
