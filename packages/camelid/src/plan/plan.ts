/** Memory and time of a recipe before it runs, on any number of devices. */
import { SettingsError } from "../errors.js";
import type { ModelConfig } from "../model/model-config.js";
import { type LossType, usesReference } from "../train/losses/dpo.js";
import type { Shard } from "../train/optim/distributed-adamw.js";
import { type RowLengths, type SplitSettings, type StepShape, stepShape } from "./batches.js";
import { countMessages, stepBytes, stepMessages, type Trained } from "./exchange.js";
import type { Hardware } from "./hardware.js";
import { type MeasuredPass, type MeasuredUpdate, measurePasses, measureUpdate } from "./measure.js";
import { type MemoryParts, planMemory, shareOfFullest } from "./memory.js";
import { blocksOf, trainedParameters } from "./parameters.js";
import { planTime, type StepTime, tokenFlops } from "./time.js";
import { type StatedLinks, type Topology, topologyOf } from "./topology.js";

/** The settings of a recipe that memory and time depend on. */
export interface PlanSettings extends SplitSettings {
  precision: "fp32" | "bf16" | "bf16-mixed";
  lora: { rank: number; alpha: number; dropout: number; targetModules: string[]; rslora: boolean } | null;
  quantize: { doubleQuant: boolean } | null;
  optimizer: "adamw" | "adamw-8bit";
  optimizerInBackward: boolean;
  shard: Shard;
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  maxGradNorm: number | null;
  activationCheckpointing: boolean;
  /** `microbatch-mean` fixes how rows are split. */
  lossReduction?: "token-mean" | "microbatch-mean";
  /** DPO: the reference's log-probabilities are computed once, or in each step with the adapters off. */
  reference?: "stored" | "adapters-off";
  lossType?: LossType;
}

export interface PlanInput {
  config: ModelConfig;
  settings: PlanSettings;
  /** `dpo` has two rows in each of its pairs. */
  recipe: "sft" | "dpo";
  hardware: Hardware;
  links?: StatedLinks;
  /** Operations a second that a device other than this one reaches. */
  rate: number;
  data: RowLengths;
}

export interface Plan {
  devices: number;
  settings: PlanSettings;
  topology: Topology;
  /** Of the fullest rank. */
  memory: MemoryParts;
  /** The process beside its tensors: program, libraries, rows. */
  besideBytes: number;
  neededBytes: number;
  fits: boolean;
  step: StepTime;
  shape: StepShape;
  /** Bytes that all devices together send in a step, and messages that each takes part in. */
  sentBytes: number;
  messages: number;
  /** Seconds before the first step: the reference's pass over all pairs. */
  before: number;
  seconds: number;
  tokensPerSecond: number;
}

/** What is left free, so that a run near the limit does not fail at its first odd batch. */
const HEADROOM = 0.95;

/** Steps that are laid out: of a plan, and of each of the many that a search looks at. */
const LAID_OUT = 5000;
const GLANCE = 40;

export class Planner {
  readonly input: PlanInput;
  readonly #passes = new Map<string, MeasuredPass>();
  readonly #updates = new Map<string, MeasuredUpdate>();
  readonly #known = new Map<string, unknown>();

  constructor(input: PlanInput) {
    this.input = input;
  }

  /**
   * @param changes settings to try instead of the recipe's
   * @param glance fewer steps are laid out: for a search
   * @throws {SettingsError} `ERR_PLAN_TOPOLOGY`, `ERR_PLAN_SHARD`
   */
  plan(devices: number, changes: Partial<PlanSettings> = {}, glance = false): Plan {
    const { config, hardware, links, data, recipe, rate } = this.input;
    const settings = { ...this.input.settings, ...changes };
    const topology = topologyOf(hardware, devices, links);
    this.check(devices, settings);
    const trained = this.#trained(settings);
    const pass = this.#pass(settings);
    const update = this.#update(settings);
    // The budget of a micro-batch of pairs holds two rows for each.
    const split = recipe === "dpo" ? { ...settings, maxSeqLen: 2 * settings.maxSeqLen } : settings;
    const { microBatchSize, gradAccumSteps, packing, shard } = settings;
    const shape = this.#once(["shape", devices, microBatchSize, gradAccumSteps, packing, glance], () =>
      stepShape(data, split, devices, glance ? GLANCE : LAID_OUT),
    );
    const passes = Math.max(1, Math.round(shape.rankBatches));
    const method = JSON.stringify([settings.lora, settings.precision === "fp32"]);
    const messages = this.#once(["messages", devices, shard, passes, method], () =>
      stepMessages(trained, shard, devices, passes),
    );
    const run = { config, ...settings, ...shape, ...trained, ranks: devices };
    const memory = planMemory(run, pass, update);
    const step = planTime(
      {
        config,
        ...methodOf(settings, recipe),
        updatedParameters: shareOfFullest(run).own,
        shape,
        messages,
      },
      hardware,
      topology,
      pass,
      update,
      rate,
    );
    const besideBytes = PROGRAM_BYTES + rowBytes(data);
    const isHere = hardware.name === "this machine";
    const neededBytes = isHere ? (memory.peak + besideBytes) * devices : memory.peak;
    const before = this.#referenceSeconds(settings, shape, devices);
    return {
      devices,
      settings,
      topology,
      memory,
      besideBytes,
      neededBytes,
      fits: neededBytes <= hardware.memoryBytes * HEADROOM,
      step,
      shape,
      sentBytes: stepBytes(messages, topology),
      messages: countMessages(messages),
      before,
      seconds: before + shape.steps * step.total,
      tokensPerSecond: shape.stepTokens / step.total,
    };
  }

  /** One forward pass over all pairs, shared out among the devices; nothing where no reference is stored. */
  #referenceSeconds({ reference, lossType }: PlanSettings, shape: StepShape, devices: number): number {
    const { recipe, data, config, hardware, rate } = this.input;
    if (lossType !== undefined && !usesReference(lossType)) return 0;
    if (recipe !== "dpo" || reference === "adapters-off" || hardware.flops === undefined) return 0;
    const tokens = "lengths" in data ? totalOf(data.lengths) : data.examples * data.meanTokens;
    const whole = { isLora: true, activationCheckpointing: false, referencePass: false };
    return (tokenFlops(config, whole, shape.context) * tokens) / 2 / rate / devices;
  }

  /** Whether so many devices can share the work as the settings say. @throws {SettingsError} `ERR_PLAN_SHARD` */
  check(devices: number, settings = this.input.settings): void {
    const problem = shardProblem(settings, devices, this.parameterCount(settings));
    if (problem === undefined) return;
    throw new SettingsError("ERR_PLAN_SHARD", problem.what, {
      where: `shard ${settings.shard}, ${devices} devices`,
      fix: problem.fix,
    });
  }

  /** How many parameters are trained: parts are whole ones. */
  parameterCount(settings: PlanSettings): number {
    return this.#trained(settings).parameters.length;
  }

  #trained({ lora, precision }: PlanSettings): Trained {
    const { config } = this.input;
    return this.#once(["parameters", JSON.stringify(lora), precision === "fp32"], () => ({
      parameters: trainedParameters(config, lora, dtypeOf(precision)),
      weights: blocksOf(config, dtypeOf(precision)),
      isLora: lora !== null,
    }));
  }

  #pass({ precision, lora, activationCheckpointing, maxSeqLen }: PlanSettings): MeasuredPass {
    const key = JSON.stringify([precision === "fp32", lora, activationCheckpointing]);
    const rowTokens = Math.max(16, Math.min(maxSeqLen, Math.round(meanTokens(this.input.data))));
    const known =
      this.#passes.get(key) ??
      measurePasses(this.input.config, {
        dtype: dtypeOf(precision),
        lora,
        activationCheckpointing,
        rowTokens,
        timed: this.input.hardware.flops === undefined,
      });
    this.#passes.set(key, known);
    return known;
  }

  #update(settings: PlanSettings): MeasuredUpdate {
    const key = JSON.stringify([settings.precision, settings.optimizer]);
    const known =
      this.#updates.get(key) ??
      measureUpdate(dtypeOf(settings.precision), {
        ...settings,
        masterWeights: settings.precision === "bf16-mixed",
      });
    this.#updates.set(key, known);
    return known;
  }

  #once<T>(key: readonly unknown[], make: () => T): T {
    const name = key.join(" ");
    if (!this.#known.has(name)) this.#known.set(name, make());
    return this.#known.get(name) as T;
  }
}

/** Whether a recipe may be split so: what the trainer refuses, or nobody has held a plan against, is not promised. */
export function shardProblem(
  { shard, optimizerInBackward, quantize }: PlanSettings,
  devices: number,
  parameters: number,
): { what: string; fix: string } | undefined {
  if (optimizerInBackward && devices > 1) {
    return {
      what: `optimizerInBackward works on one device, and there are ${devices}: gradients are summed before an update.`,
      fix: "leave one of them out.",
    };
  }
  if (shard === "none" || devices === 1) return undefined;
  if (devices > parameters) {
    return {
      what: `there are ${devices} devices and ${parameters} trained parameters: some would hold nothing of their own.`,
      fix: "parts are whole parameters: use fewer devices, or shard none.",
    };
  }
  if (shard === "parameters" && quantize !== null) {
    return {
      what: "4-bit weights in parts are trained, but not planned yet.",
      fix: "plan with --set shard=gradients, which takes more memory, or leave quantize out.",
    };
  }
  return undefined;
}

const methodOf = (
  { lora, activationCheckpointing, reference }: PlanSettings,
  recipe: PlanInput["recipe"],
) => ({
  isLora: lora !== null,
  activationCheckpointing,
  referencePass: recipe === "dpo" && reference === "adapters-off",
});

const dtypeOf = (precision: PlanSettings["precision"]) => (precision === "fp32" ? "float32" : "bfloat16");

const totalOf = (lengths: readonly number[]): number => lengths.reduce((sum, length) => sum + length, 0);

const meanTokens = (data: RowLengths): number =>
  "lengths" in data ? totalOf(data.lengths) / Math.max(1, data.lengths.length) : data.meanTokens;

function rowBytes(data: RowLengths): number {
  const examples = "lengths" in data ? data.lengths.length : data.examples;
  return examples * (meanTokens(data) * ROW_TOKEN_BYTES + ROW_BYTES);
}

/**
 * Once a model has run, on Linux: resident files of Node.js and libtorch 140 MB, JavaScript's heap 70, the C library's 170 (kernels
 * that oneDNN compiled, tokenizer, graphs). `memory-measured` at the end of a run has them apart.
 */
const PROGRAM_BYTES = 380e6;
/** Ids, labels and roles of a token; a row's own objects. */
const ROW_TOKEN_BYTES = 9;
const ROW_BYTES = 600;
