/** A plan in words, for a terminal of 80 columns. */
import type { Hardware } from "./hardware.js";
import type { Plan } from "./plan.js";

export interface PlanHeading {
  recipe: string;
  model: string;
  parameters: number;
  hardware: Hardware;
  devices: number;
  /** Whether rows were read; else their number and length were given. */
  fromRows: boolean;
  share: number;
}

export function planText(
  plan: Plan,
  heading: PlanHeading,
  best: Plan | undefined,
  others: readonly { name: string; plan: Plan }[],
): string {
  const { hardware, devices } = heading;
  const lines = [
    `${heading.recipe} of ${heading.model} (${count(heading.parameters)} parameters) on ${devices === 1 ? "" : `${devices} x `}${hardware.name}`,
    "",
    ...memoryLines(plan, heading),
    "",
    ...timeLines(plan, heading),
    "",
    ...advice(plan, best, others, heading),
  ];
  return lines.join("\n");
}

function memoryLines(
  { memory, besideBytes, neededBytes, fits, shape }: Plan,
  { hardware }: PlanHeading,
): string[] {
  const isHere = hardware.name === "this machine";
  const line = (name: string, bytes: number, note = ""): string =>
    `  ${name.padEnd(14)}${size(bytes).padStart(10)}${note === "" ? "" : `   ${note}`}`;
  return [
    `Memory${isHere ? "" : " of each device"}`,
    line("weights", memory.weights),
    line("gradients", memory.gradients),
    line("optimizer", memory.optimizer),
    line("activations", memory.activations, `fullest micro-batch: ${count(shape.fullestBatch)} tokens`),
    ...(isHere ? [line("program, rows", besideBytes)] : []),
    line("at the peak", neededBytes, `${fits ? "fits in" : "does not fit in"} ${size(hardware.memoryBytes)}`),
  ];
}

function timeLines({ step, shape, seconds, tokensPerSecond }: Plan, heading: PlanHeading): string[] {
  const basis =
    heading.hardware.flops === undefined
      ? "from passes measured here"
      : `assuming ${Math.round(heading.share * 100)} % of its peak (--share)`;
  const parts = [
    `passes ${duration(step.compute)}`,
    `update ${duration(step.update)}`,
    ...(step.exchange > 0 ? [`exchange ${duration(step.exchange)}`] : []),
  ];
  return [
    `Time, ${basis}`,
    `  ${count(shape.steps)} steps of ${count(shape.stepTokens)} tokens, ${duration(step.total)} each (${parts.join(", ")})`,
    `  ${duration(seconds)} in all, ${count(tokensPerSecond)} tokens a second${heading.fromRows ? "" : "; rows and their mean length were given"}`,
  ];
}

function advice(
  plan: Plan,
  best: Plan | undefined,
  others: readonly { name: string; plan: Plan }[],
  { hardware }: PlanHeading,
): string[] {
  if (best !== undefined) {
    const { microBatchSize, gradAccumSteps, activationCheckpointing } = best.settings;
    const isSame =
      microBatchSize === plan.settings.microBatchSize &&
      activationCheckpointing === plan.settings.activationCheckpointing;
    if (isSame) return ["These settings are the fastest that fit."];
    return [
      `${plan.fits ? "Faster, and it fits" : "It fits"} with the same rows a step:`,
      `  --micro-batch-size ${microBatchSize} --grad-accum-steps ${gradAccumSteps} --activation-checkpointing ${activationCheckpointing}`,
      `  ${size(best.neededBytes)} at the peak, ${duration(best.seconds)} in all`,
    ];
  }
  const fitting = others.filter((other) => other.plan.fits);
  return [
    `No split of the rows fits into ${size(hardware.memoryBytes)}: every rank holds the whole model.`,
    ...(fitting.length === 0
      ? ["Nothing else that is known here fits either."]
      : ["What would fit, and trains something else:"]),
    ...fitting.map(
      (other) =>
        `  ${other.name.padEnd(34)}${size(other.plan.neededBytes).padStart(9)}  ${duration(other.plan.seconds)}`,
    ),
  ];
}

function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(bytes >= 1e11 ? 0 : 1)} GB`;
  return `${Math.round(bytes / 1e6)} MB`;
}

function count(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} B`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  return Math.round(value).toLocaleString("en");
}

function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 100 * 3600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}
