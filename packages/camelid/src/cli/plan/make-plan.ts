/** What `camelid plan` does: reads rows where there are any, measures, and puts it into words. */
import * as torch from "@camelid/torch";
import { readPairRows } from "../../data/pair-rows.js";
import { readTrainRows } from "../../data/train-rows.js";
import { SettingsError } from "../../errors.js";
import type { ModelConfig } from "../../model/model-config.js";
import type { RowLengths } from "../../plan/batches.js";
import { ASSUMED_SHARE, findHardware, type Hardware, hardwareNames } from "../../plan/hardware.js";
import { readMeasuredRate } from "../../plan/measured-figures.js";
import { Planner, type PlanSettings } from "../../plan/plan.js";
import { type PlanHeading, planText } from "../../plan/plan-text.js";
import { alternatives, fastestOn, lightestOn, searchSizes } from "../../plan/search.js";
import { countParameters } from "../../plan/shapes.js";
import { tableText } from "../../plan/table-text.js";
import { type StatedLinks, topologyOf } from "../../plan/topology.js";
import { closest } from "../../settings/suggest.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { pairTokens } from "../../train/pair-logps.js";

export interface PlanRequest {
  recipe: "sft" | "dpo";
  settings: PlanSettings & {
    onBad: "error" | "skip";
    tokenVariant: "A" | "B" | "C";
    specialTokensInContent: "text" | "parse";
    sharePrompts?: boolean;
    activationOffload: boolean;
  };
  model: { name: string; config: ModelConfig; folder?: string };
  data?: string;
  hardware: string;
  /** One number makes a plan, several a table. */
  devices: readonly number[];
  links: StatedLinks;
  examples: number;
  meanTokens: number;
  share?: number;
  measured?: string;
  price?: number;
  threads?: number;
  /** Progress, one line a call. */
  say: (line: string) => void;
}

/** Clusters of this size are looked at when a run does not fit on what was asked for. */
const MOST_SEARCHED = 512;

export async function makePlan(request: PlanRequest): Promise<{ text: string; json: object }> {
  const { recipe, settings, model, devices, links, price, say } = request;
  const hardware = hardwareOf(request.hardware);
  // What cannot be is said before anything is read or measured.
  for (const count of devices) topologyOf(hardware, count, links);
  if (settings.activationOffload) throw offloadUnknown();
  const { rate, basis } = rateOf(request, hardware);
  if (request.threads !== undefined) torch.setNumThreads(request.threads);
  const data = await dataOf(request);
  const planner = new Planner({ config: model.config, settings, recipe, hardware, links, data, rate });
  const heading: PlanHeading = {
    ...{ recipe, model: model.name, parameters: countParameters(model.config).total, hardware },
    ...{ fromRows: "lengths" in data, basis, price },
  };
  if (devices.length === 1) planner.check(devices[0]!);
  say(`measuring passes of one and two layers, hidden size ${model.config.hiddenSize} ...`);
  const search = () =>
    searchSizes(planner, links.devicesPerNode ?? hardware.devicesPerNode ?? 1, MOST_SEARCHED);
  if (devices.length > 1) {
    const rows = devices.map((count) => ({
      devices: count,
      plan: fastestOn(planner, count) ?? lightestOn(planner, count),
    }));
    const sizes = search();
    return { text: tableText(rows, heading, sizes), json: { ...heading, rows, sizes } };
  }
  const plan = planner.plan(devices[0]!);
  say("looking for the fastest split that fits ...");
  const best = fastestOn(planner, plan.devices);
  const others = best === undefined ? alternatives(planner, plan.devices) : [];
  const sizes = best === undefined ? search() : undefined;
  const advice = { best, others, sizes };
  return { text: planText(plan, heading, advice), json: { ...heading, plan, ...advice } };
}

function offloadUnknown(): SettingsError {
  return new SettingsError(
    "ERR_PLAN_OFFLOAD",
    "what activationOffload saves has not been measured on a GPU.",
    {
      where: "activationOffload",
      fix: "plan without it: the run then needs less than the plan says, by up to the hidden states of a micro-batch for each layer.",
    },
  );
}

function hardwareOf(name: string): Hardware {
  const hardware = findHardware(name);
  if (hardware !== undefined) return hardware;
  const suggestion = closest(name, hardwareNames);
  throw new SettingsError("ERR_PLAN_HARDWARE", `"${name}" is not known.`, {
    where: "--on",
    fix: `${suggestion === undefined ? "" : `did you mean ${suggestion}? `}known: ${hardwareNames.join(", ")}.`,
  });
}

function rateOf(
  { share, measured, model, settings }: PlanRequest,
  hardware: Hardware,
): { rate: number; basis: string } {
  if (measured !== undefined) {
    const method = settings.lora === null ? "full" : settings.quantize === null ? "lora" : "qlora";
    const { total } = countParameters(model.config);
    const { flops, figure } = readMeasuredRate(measured, hardware, total, method);
    const tera = (flops / 1e12).toFixed(0);
    return { rate: flops, basis: `at the ${tera} TFLOP/s measured on ${figure.size} (${figure.method})` };
  }
  if (hardware.flops === undefined) return { rate: 0, basis: "from passes measured here" };
  const reached = share ?? ASSUMED_SHARE;
  const basis = `${share === undefined ? "assuming" : "at"} ${Math.round(reached * 100)} % of its peak (--share)`;
  return { rate: hardware.flops * reached, basis };
}

async function dataOf({ recipe, settings, model, ...request }: PlanRequest): Promise<RowLengths> {
  if (request.data === undefined) {
    const rows = recipe === "dpo" ? 2 : 1;
    return { examples: request.examples, meanTokens: rows * request.meanTokens };
  }
  if (model.folder === undefined) {
    throw new SettingsError(
      "ERR_PLAN_TOKENIZER",
      "rows are counted in tokens, and a bare shape has no tokenizer.",
      {
        where: "--data",
        fix: "name a model folder with --model, or give --rows and --mean-tokens instead.",
      },
    );
  }
  const tokenizer = await loadTokenizer(model.folder);
  if (recipe === "sft") {
    const { rows } = await readTrainRows(request.data, tokenizer, settings);
    return { lengths: rows.map((row) => row.inputIds.length) };
  }
  const { pairs } = await readPairRows(request.data, tokenizer, settings);
  return { lengths: pairs.map((pair) => pairTokens(pair, { sharePrompts: settings.sharePrompts ?? true })) };
}
