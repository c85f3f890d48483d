/** Memory and time of a recipe before it runs, and what to change where it does not fit. */
import type { ModelConfig } from "../model/model-config.js";
import { type SplitSettings, type StepShape, shapeOfMeans, shapeOfRows } from "./batches.js";
import { ASSUMED_SHARE, type Hardware } from "./hardware.js";
import { type MeasuredPass, type MeasuredUpdate, measurePasses, measureUpdate } from "./measure.js";
import { type MemoryParts, planMemory } from "./memory.js";
import { countAdapters, countParameters } from "./shapes.js";
import { planTime, type StepTime } from "./time.js";

/** The settings of a recipe that memory and time depend on. */
export interface PlanSettings extends SplitSettings {
  precision: "fp32" | "bf16" | "bf16-mixed";
  lora: { rank: number; alpha: number; dropout: number; targetModules: string[]; rslora: boolean } | null;
  quantize: { doubleQuant: boolean } | null;
  optimizer: "adamw" | "adamw-8bit";
  optimizerInBackward: boolean;
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  maxGradNorm: number | null;
  activationCheckpointing: boolean;
}

export interface PlanInput {
  config: ModelConfig;
  settings: PlanSettings;
  /** `dpo` has two rows in each of its pairs. */
  recipe: "sft" | "dpo";
  hardware: Hardware;
  devices: number;
  /** Tokens of each row, or pair; or how many there are, and their mean. */
  data: { lengths: readonly number[] } | { examples: number; meanTokens: number };
  /** Share of another device's peak that is reached. */
  share?: number;
}

export interface Plan {
  settings: PlanSettings;
  memory: MemoryParts;
  /** The process beside its tensors: program, libraries, rows. */
  besideBytes: number;
  neededBytes: number;
  fits: boolean;
  step: StepTime;
  shape: StepShape;
  seconds: number;
  tokensPerSecond: number;
}

/** What is left free, so that a run near the limit does not fail at its first odd batch. */
const HEADROOM = 0.95;

export class Planner {
  readonly #input: PlanInput;
  readonly #passes = new Map<string, MeasuredPass>();
  readonly #updates = new Map<string, MeasuredUpdate>();

  constructor(input: PlanInput) {
    this.#input = input;
  }

  /** @param changes settings to try instead of the recipe's */
  plan(changes: Partial<PlanSettings> = {}): Plan {
    const { config, hardware, devices, data, recipe, share = ASSUMED_SHARE } = this.#input;
    const settings = { ...this.#input.settings, ...changes };
    const pass = this.#pass(settings);
    const update = this.#update(settings);
    // The budget of a micro-batch of pairs holds two rows for each.
    const split = recipe === "dpo" ? { ...settings, maxSeqLen: 2 * settings.maxSeqLen } : settings;
    const shape =
      "lengths" in data
        ? shapeOfRows(data.lengths, split)
        : shapeOfMeans(data.examples, data.meanTokens, split);
    const memory = planMemory(
      { config, ...settings, batchesPerStep: shape.stepBatches, batchTokens: shape.fullestBatch },
      pass,
      update,
    );
    const trainedParameters =
      settings.lora === null ? countParameters(config).total : countAdapters(config, settings.lora);
    const step = planTime(
      {
        config,
        isLora: settings.lora !== null,
        activationCheckpointing: settings.activationCheckpointing,
        trainedParameters,
        ...shape,
        devices,
        gradientBytes: memory.gradients,
      },
      hardware,
      pass,
      update,
      share,
    );
    const besideBytes = PROGRAM_BYTES + rowBytes(data);
    const onDevice = hardware.name === "this machine" ? memory.peak + besideBytes : memory.peak;
    return {
      settings,
      memory,
      besideBytes,
      neededBytes: onDevice,
      fits: onDevice <= hardware.memoryBytes * HEADROOM,
      step,
      shape,
      seconds: shape.steps * step.total,
      tokensPerSecond: shape.stepTokens / step.total,
    };
  }

  /**
   * The fastest way to the same training that fits: the same rows a step, the same method, split and kept differently. The settings as
   * they are win unless another way is clearly faster.
   */
  fastest(): Plan | undefined {
    const { microBatchSize, gradAccumSteps, optimizerInBackward } = this.#input.settings;
    const rows = microBatchSize * gradAccumSteps;
    const sizes = Array.from({ length: rows }, (_, i) => i + 1).filter(
      (size) => rows % size === 0 && size <= 64,
    );
    const fitting = [false, true]
      .flatMap((activationCheckpointing) =>
        sizes.map((size) => ({ activationCheckpointing, microBatchSize: size, gradAccumSteps: rows / size })),
      )
      .filter((split) => split.gradAccumSteps === 1 || !optimizerInBackward)
      .map((split) => this.plan(split))
      .filter((plan) => plan.fits)
      .sort((a, b) => a.seconds - b.seconds);
    const [best] = fitting;
    if (best === undefined) return undefined;
    const asGiven = this.plan();
    if (asGiven.fits && asGiven.seconds <= best.seconds * CLEARLY) return asGiven;
    // Of equally fast ones the lightest.
    const close = fitting.filter((plan) => plan.seconds <= best.seconds * CLEARLY);
    return close.reduce((lightest, plan) => (plan.neededBytes < lightest.neededBytes ? plan : lightest));
  }

  /** Other methods that would fit, lightest change first; they train something else. */
  alternatives(): { name: string; plan: Plan }[] {
    const lora = { rank: 64, alpha: 16, dropout: 0.1, rslora: false, targetModules: EVERY_PROJECTION };
    const ways: [string, Partial<PlanSettings>][] = [
      ["optimizer adamw-8bit", { optimizer: "adamw-8bit" }],
      ["precision bf16, no fp32 masters", { precision: "bf16" }],
      ["bf16 and adamw-8bit", { precision: "bf16", optimizer: "adamw-8bit" }],
      ["LoRA, rank 64", { lora: this.#input.settings.lora ?? lora, precision: "bf16" }],
      [
        "QLoRA, rank 64, 4-bit base",
        { lora: this.#input.settings.lora ?? lora, quantize: { doubleQuant: true }, precision: "bf16" },
      ],
    ];
    const small = { microBatchSize: 1, activationCheckpointing: true };
    const rows = this.#input.settings.microBatchSize * this.#input.settings.gradAccumSteps;
    return ways
      .filter(
        ([, change]) => !(change.optimizer === "adamw-8bit" && this.#input.hardware.name !== "this machine"),
      )
      .map(([name, change]) => ({ name, plan: this.plan({ ...change, ...small, gradAccumSteps: rows }) }));
  }

  #pass({ precision, lora, activationCheckpointing, maxSeqLen }: PlanSettings): MeasuredPass {
    const key = JSON.stringify([precision === "fp32", lora, activationCheckpointing]);
    const rowTokens = Math.max(16, Math.min(maxSeqLen, Math.round(meanTokens(this.#input.data))));
    const known =
      this.#passes.get(key) ??
      measurePasses(this.#input.config, {
        dtype: precision === "fp32" ? "float32" : "bfloat16",
        lora,
        activationCheckpointing,
        rowTokens,
        timed: this.#input.hardware.flops === undefined,
      });
    this.#passes.set(key, known);
    return known;
  }

  #update(settings: PlanSettings): MeasuredUpdate {
    const key = JSON.stringify([settings.precision, settings.optimizer]);
    const known =
      this.#updates.get(key) ??
      measureUpdate(settings.precision === "fp32" ? "float32" : "bfloat16", {
        ...settings,
        masterWeights: settings.precision === "bf16-mixed",
      });
    this.#updates.set(key, known);
    return known;
  }
}

/** Measured times differ by this much from one measurement to the next. */
const CLEARLY = 1.1;

const meanTokens = (data: PlanInput["data"]): number =>
  "lengths" in data
    ? data.lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, data.lengths.length)
    : data.meanTokens;

function rowBytes(data: PlanInput["data"]): number {
  const examples = "lengths" in data ? data.lengths.length : data.examples;
  return examples * (meanTokens(data) * ROW_TOKEN_BYTES + ROW_BYTES);
}

const EVERY_PROJECTION = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/** Node.js, libtorch and their heaps once a model has run, measured on Linux. */
const PROGRAM_BYTES = 380e6;
/** Ids, labels and roles of a token; a row's own objects. */
const ROW_TOKEN_BYTES = 9;
const ROW_BYTES = 600;
