/** Other ways to the same training, and the devices that it takes: which way is the fastest that fits, and on how few it fits. */
import { SHARDS } from "./exchange.js";
import { type Plan, type Planner, type PlanSettings, shardProblem } from "./plan.js";
import { usualCounts } from "./topology.js";

/** Measured times differ by this much from one measurement to the next; planned ones do not mean more. */
const CLEARLY = 1.1;

/**
 * The fastest way to the same training that fits on so many devices: the same rows a step, the same method, split and kept
 * differently. The settings as they are win unless another way is clearly faster; of equally fast ones the lightest.
 */
export function fastestOn(planner: Planner, devices: number): Plan | undefined {
  const fitting = ways(planner, devices)
    .map((way) => planner.plan(devices, way, true))
    .filter((plan) => plan.fits)
    .sort((a, b) => a.seconds - b.seconds);
  const [best] = fitting;
  if (best === undefined) return undefined;
  const limit = best.seconds * CLEARLY;
  const { settings } = planner.input;
  const asGiven = fitting.find((plan) => isSame(plan.settings, settings));
  if (asGiven !== undefined && asGiven.seconds <= limit) return asGiven;
  const close = fitting.filter((plan) => plan.seconds <= limit);
  return close.reduce((lightest, plan) => (plan.neededBytes < lightest.neededBytes ? plan : lightest));
}

/** The way that takes the least memory, for what does not fit. */
export function lightestOn(planner: Planner, devices: number): Plan {
  return ways(planner, devices)
    .map((way) => planner.plan(devices, way, true))
    .reduce((lightest, plan) => (plan.neededBytes < lightest.neededBytes ? plan : lightest));
}

export interface ClusterSizes {
  /** On as few devices as it fits; the fastest of all; and the one that takes the fewest hours of devices in all. */
  smallest: Plan;
  fastest: Plan;
  cheapest: Plan;
}

/** Usual sizes of clusters up to `most` devices. @returns undefined where it fits on none */
export function searchSizes(
  planner: Planner,
  devicesPerNode: number,
  most: number,
): ClusterSizes | undefined {
  const fitting = usualCounts(devicesPerNode, most).flatMap((devices) => fastestOn(planner, devices) ?? []);
  const [smallest] = fitting;
  if (smallest === undefined) return undefined;
  // More devices have to be worth it.
  const least = (cost: (plan: Plan) => number): Plan =>
    fitting.reduce((best, plan) => (cost(plan) < 0.98 * cost(best) ? plan : best));
  return {
    smallest,
    fastest: least(({ seconds }) => seconds),
    cheapest: least(({ seconds, devices }) => seconds * devices),
  };
}

function ways(planner: Planner, devices: number): Partial<PlanSettings>[] {
  const { settings } = planner.input;
  const parameters = planner.parameterCount(settings);
  const shards = devices === 1 ? [settings.shard] : SHARDS;
  return shards.flatMap((shard) =>
    [false, true].flatMap((activationCheckpointing) =>
      splits(settings)
        .map((split) => ({ ...split, shard, activationCheckpointing }))
        .filter((way) => shardProblem({ ...settings, ...way }, devices, parameters) === undefined),
    ),
  );
}

function splits(settings: PlanSettings): Pick<PlanSettings, "microBatchSize" | "gradAccumSteps">[] {
  const { microBatchSize, gradAccumSteps, optimizerInBackward, lossReduction } = settings;
  if (lossReduction === "microbatch-mean") return [{ microBatchSize, gradAccumSteps }];
  const rows = microBatchSize * gradAccumSteps;
  return Array.from({ length: Math.min(rows, LARGEST_MICRO_BATCH) }, (_, i) => i + 1)
    .filter((size) => rows % size === 0)
    .map((size) => ({ microBatchSize: size, gradAccumSteps: rows / size }))
    .filter((split) => split.gradAccumSteps === 1 || !optimizerInBackward);
}

const LARGEST_MICRO_BATCH = 64;

function isSame(a: PlanSettings, b: PlanSettings): boolean {
  return (["microBatchSize", "activationCheckpointing", "shard"] as const).every((key) => a[key] === b[key]);
}

/** Other methods, lightest change first; they train something else. */
export function alternatives(planner: Planner, devices: number): { name: string; plan: Plan }[] {
  const { settings } = planner.input;
  const lora = settings.lora ?? LORA;
  const changes: [string, Partial<PlanSettings>][] = [
    ["optimizer adamw-8bit", { optimizer: "adamw-8bit" }],
    ["precision bf16, no fp32 masters", { precision: "bf16" }],
    ["bf16 and adamw-8bit", { precision: "bf16", optimizer: "adamw-8bit" }],
    ["LoRA, rank 64", { lora, precision: "bf16" }],
    ["QLoRA, rank 64, 4-bit base", { lora, quantize: { doubleQuant: true }, precision: "bf16" }],
  ];
  const rows = settings.microBatchSize * settings.gradAccumSteps;
  const small = { microBatchSize: 1, gradAccumSteps: rows, activationCheckpointing: true };
  return changes.map(([name, change]) => {
    const plans = shardsOf(change, devices).map((shard) =>
      planner.plan(devices, { ...change, ...small, shard }, true),
    );
    return { name, plan: plans.find(({ fits }) => fits) ?? plans.at(-1)! };
  });
}

/** What little there is to split of adapters stays whole; their frozen weights are in parts where they have to be. */
function shardsOf({ lora, quantize }: Partial<PlanSettings>, devices: number): PlanSettings["shard"][] {
  if (devices === 1 || (quantize ?? null) !== null) return ["none"];
  return lora === undefined ? ["gradients", "parameters"] : ["none", "parameters"];
}

const EVERY_PROJECTION = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
const LORA = { rank: 64, alpha: 16, dropout: 0.1, rslora: false, targetModules: EVERY_PROJECTION };
