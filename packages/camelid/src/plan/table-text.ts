/** Plans for several numbers of devices, a line each, in 80 columns. */
import type { Plan } from "./plan.js";
import { cost, flagsOf, type PlanHeading, title } from "./plan-text.js";
import type { ClusterSizes } from "./search.js";
import { count, duration, money, percent, size } from "./units.js";

export interface TableRow {
  devices: number;
  /** The fastest that fits, or what takes the least memory. */
  plan: Plan;
}

const WIDTHS = [7, 12, 5, 6, 9, 8, 7, 8, 10, 8];

export function tableText(
  rows: readonly TableRow[],
  heading: PlanHeading,
  sizes: ClusterSizes | undefined,
): string {
  const { hardware, price, basis, fromRows } = heading;
  const [first] = rows;
  const { settings, shape, topology } = first!.plan;
  const perStep = settings.microBatchSize * settings.gradAccumSteps;
  const columns = ["devices", "  shard", "rows", "again", "memory", "a step", "useful", "tok/s", "in all"];
  return [
    `${title(heading)} on ${hardware.name}`,
    `  nodes of ${hardware.devicesPerNode ?? topology.devicesPerNode}; ${count(shape.steps)} steps of ${perStep} ${perStep === 1 ? "row" : "rows"}, ${count(shape.stepTokens)} tokens${fromRows ? "" : " as given"}`,
    `  times ${basis}`,
    "",
    line([...columns, ...(price === undefined ? [] : ["cost"])]),
    ...rows.map((row) => rowLine(row, heading)),
    "",
    "rows: in a micro-batch. again: activations are computed again. useful: share of",
    "all devices' time that is work which one device alone would have too.",
    ...paceLines(rows),
    ...(sizes === undefined ? ["It fits on no number of devices up to 512."] : sizeLines(sizes, price)),
  ].join("\n");
}

function rowLine({ devices, plan }: TableRow, { price }: PlanHeading): string {
  const { settings, step, fits } = plan;
  const { shard, microBatchSize, activationCheckpointing } = settings;
  if (!fits)
    return `${line([String(devices)])}  does not fit: ${size(plan.neededBytes)} at the least (shard ${shard})`;
  return line([
    String(devices),
    `  ${shard}`,
    String(microBatchSize),
    activationCheckpointing ? "yes" : "no",
    size(plan.neededBytes),
    duration(step.total),
    percent(step.efficiency),
    thousands(plan.tokensPerSecond),
    duration(plan.seconds),
    ...(price === undefined ? [] : [money(cost(plan, price))]),
  ]);
}

/** Where more devices wait for the one with the longest rows. */
function paceLines(rows: readonly TableRow[]): string[] {
  const [held] = rows.filter(({ devices, plan: { fits, shape } }) => {
    return fits && shape.rankTokens > UNEVEN * (shape.stepTokens / devices);
  });
  if (held === undefined) return [];
  const { rankTokens, stepTokens } = held.plan.shape;
  return [
    `With ${held.devices} devices the longest rows of a step set the pace: the busiest has`,
    `${((rankTokens * held.devices) / stepTokens).toFixed(1)} times the mean of tokens. More rows a step, or shorter ones, scale on.`,
  ];
}

const UNEVEN = 1.5;

function sizeLines({ smallest, fastest, cheapest }: ClusterSizes, price: number | undefined): string[] {
  const say = (name: string, plan: Plan): string => {
    const paid = price === undefined ? "" : `, ${money(cost(plan, price))}`;
    const many = plan.devices === 1 ? "device" : "devices";
    return `${name.padEnd(9)}${String(plan.devices).padStart(4)} ${many}: ${duration(plan.seconds)}${paid}`;
  };
  return [
    "",
    "Of all usual sizes up to 512 devices",
    `  ${say("smallest", smallest)}`,
    ...flagsOf(smallest)
      .split("\n")
      .map((flags) => `             ${flags}`),
    `  ${say("cheapest", cheapest)}`,
    `  ${say("fastest", fastest)}`,
  ];
}

/** The second column is text and starts at the left; all others are numbers. */
const line = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i === 1 ? cell.padEnd(WIDTHS[i]!) : cell.padStart(WIDTHS[i]!))).join("");

function thousands(rate: number): string {
  if (rate < 1e5) return count(rate);
  return rate < 1e8 ? `${count(rate / 1e3)} K` : `${count(rate / 1e6)} M`;
}
