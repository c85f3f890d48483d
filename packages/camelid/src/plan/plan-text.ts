/** A plan in words, for a terminal of 80 columns. */
import type { Hardware } from "./hardware.js";
import type { Plan } from "./plan.js";
import type { ClusterSizes } from "./search.js";
import { nodesOf } from "./topology.js";
import { count, duration, money, percent, size } from "./units.js";

export interface PlanHeading {
  recipe: string;
  model: string;
  parameters: number;
  hardware: Hardware;
  /** Whether rows were read; else their number and length were given. */
  fromRows: boolean;
  /** Where times come from, such as "from passes measured here". */
  basis: string;
  /** For an hour of one device. */
  price: number | undefined;
}

export interface Advice {
  /** The fastest that fits, on as many devices. */
  best: Plan | undefined;
  /** Where none does: other methods, and other numbers of devices. */
  others: readonly { name: string; plan: Plan }[];
  sizes: ClusterSizes | undefined;
}

export function planText(plan: Plan, heading: PlanHeading, advice: Advice): string {
  const { hardware } = heading;
  const many = plan.devices === 1 ? "" : `${plan.devices} x `;
  const lines = [
    `${title(heading)} on ${many}${hardware.name}`,
    "",
    ...memoryLines(plan, heading),
    "",
    ...timeLines(plan, heading),
    ...exchangeLines(plan),
    "",
    ...adviceLines(plan, advice, heading),
  ];
  return lines.join("\n");
}

export const title = ({ recipe, model, parameters }: PlanHeading): string =>
  `${recipe} of ${model} (${count(parameters)} parameters)`;

function memoryLines(
  { memory, besideBytes, neededBytes, fits, shape, settings, devices }: Plan,
  { hardware }: PlanHeading,
): string[] {
  const isHere = hardware.name === "this machine";
  const line = (name: string, bytes: number, note = ""): string =>
    `  ${name.padEnd(14)}${size(bytes).padStart(10)}${note === "" ? "" : `   ${note}`}`;
  const whose =
    devices === 1
      ? ""
      : ` of ${settings.shard === "none" ? "each" : "the fullest"} ${isHere ? "process" : "device"}`;
  const all = isHere && devices > 1 ? `${devices} processes; ` : "";
  return [
    `Memory${whose}${devices === 1 ? "" : `, shard ${settings.shard}`}`,
    line("weights", memory.weights),
    line("gradients", memory.gradients),
    line("optimizer", memory.optimizer),
    line("activations", memory.activations, `fullest micro-batch: ${count(shape.fullestBatch)} tokens`),
    ...(isHere ? [line("program, rows", besideBytes)] : []),
    line(
      "at the peak",
      neededBytes,
      `${all}${fits ? "fits in" : "does not fit in"} ${size(hardware.memoryBytes)}`,
    ),
  ];
}

function timeLines(plan: Plan, heading: PlanHeading): string[] {
  const { step, shape, seconds, tokensPerSecond, before, devices } = plan;
  const given = heading.fromRows ? "" : "; rows and their mean length were given";
  const parts = [
    `passes ${duration(step.compute)}`,
    `update ${duration(step.update)}`,
    ...(devices > 1 ? [`waiting for links ${duration(step.exposed)}`] : []),
  ];
  return [
    `Time, ${heading.basis}`,
    `  ${count(shape.steps)} steps of ${count(shape.stepTokens)} tokens, ${duration(step.total)} each:`,
    `  ${parts.join(", ")}`,
    `  ${duration(seconds)} in all, ${count(tokensPerSecond)} tokens a second${given}`,
    ...(before > 0 ? [`  of these ${duration(before)} for the reference's log-probabilities`] : []),
    ...(heading.price === undefined
      ? []
      : [
          `  ${money(cost(plan, heading.price))} at ${money(heading.price)} for an hour of ${heading.hardware.name}`,
        ]),
  ];
}

function exchangeLines(plan: Plan): string[] {
  const { devices, topology, step, shape, sentBytes, messages } = plan;
  if (devices === 1) return [];
  const nodes = nodesOf(topology);
  const network = nodes === 1 ? "" : `, ${size(topology.networkBytes)}/s a device between nodes`;
  const most = shape.rankTokens / (shape.stepTokens / devices);
  return [
    "",
    `Exchange: ${nodes} x ${topology.devicesPerNode}, links of ${size(topology.linkBytes)}/s${network}`,
    `  ${count(messages)} messages a step, ${size(sentBytes)} sent by all; links busy ${duration(step.exchange)}`,
    `  the busiest device has ${most.toFixed(2)} times the mean of tokens`,
    `  ${percent(step.efficiency)} of all devices' time is work that one alone would have too`,
  ];
}

function adviceLines(plan: Plan, { best, others, sizes }: Advice, heading: PlanHeading): string[] {
  const { hardware } = heading;
  if (best !== undefined) {
    if (flagsOf(best) === flagsOf(plan)) return ["These settings are the fastest that fit."];
    return [
      `${plan.fits ? "Faster, and it fits" : "It fits"} with the same rows a step:`,
      ...flagsOf(best)
        .split("\n")
        .map((line) => `  ${line}`),
      `  ${size(best.neededBytes)} at the peak, ${duration(best.seconds)} in all`,
    ];
  }
  const fitting = others.filter((other) => other.plan.fits);
  return [
    `No split of the rows, the states and the weights fits into ${size(hardware.memoryBytes)}.`,
    ...(sizes === undefined
      ? []
      : [
          "On more devices it does:",
          ...[sizes.smallest, ...(sizes.fastest === sizes.smallest ? [] : [sizes.fastest])].map(
            (one) =>
              `  ${one.devices} devices, shard ${one.settings.shard}: ${size(one.neededBytes)}, ${duration(one.seconds)} in all`,
          ),
        ]),
    ...(fitting.length === 0 ? [] : ["What would fit here, and trains something else:"]),
    ...fitting.map(
      (other) =>
        `  ${other.name.padEnd(34)}${size(other.plan.neededBytes).padStart(9)}  ${duration(other.plan.seconds)}`,
    ),
    ...(fitting.length === 0 && sizes === undefined ? ["Nothing else that is known here fits either."] : []),
  ];
}

/** How to ask for a plan's settings. */
export function flagsOf({ settings, devices }: Plan): string {
  const { microBatchSize, gradAccumSteps, activationCheckpointing, shard } = settings;
  const split = `--micro-batch-size ${microBatchSize} --grad-accum-steps ${gradAccumSteps}`;
  const parts = devices === 1 ? "" : ` --shard ${shard}`;
  return `${split}\n--activation-checkpointing ${activationCheckpointing}${parts}`;
}

export const cost = ({ devices, seconds }: Plan, price: number): number => (devices * seconds * price) / 3600;
