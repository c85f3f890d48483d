/** What `camelid plan` does: reads rows where there are any, measures, and puts it into words. */
import * as torch from "@camelid/torch";
import { readPairRows } from "../../data/pair-rows.js";
import { readTrainRows } from "../../data/train-rows.js";
import { SettingsError } from "../../errors.js";
import type { ModelConfig } from "../../model/model-config.js";
import { ASSUMED_SHARE, findHardware, hardwareNames } from "../../plan/hardware.js";
import { type PlanInput, Planner, type PlanSettings } from "../../plan/plan.js";
import { planText } from "../../plan/plan-text.js";
import { countParameters } from "../../plan/shapes.js";
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
  };
  model: { name: string; config: ModelConfig; folder?: string };
  data?: string;
  hardware: string;
  devices: number;
  examples: number;
  meanTokens: number;
  share?: number;
  threads?: number;
  /** Progress, one line a call. */
  say: (line: string) => void;
}

export async function makePlan(request: PlanRequest): Promise<{ text: string; json: object }> {
  const { recipe, settings, model, devices, share = ASSUMED_SHARE, say } = request;
  const hardware = findHardware(request.hardware);
  if (hardware === undefined) {
    const suggestion = closest(request.hardware, hardwareNames);
    throw new SettingsError("ERR_PLAN_HARDWARE", `"${request.hardware}" is not known.`, {
      where: "--on",
      fix: `${suggestion === undefined ? "" : `did you mean ${suggestion}? `}known: ${hardwareNames.join(", ")}.`,
    });
  }
  if (request.threads !== undefined) torch.setNumThreads(request.threads);
  const data = await dataOf(request);
  say(`measuring passes of one and two layers, hidden size ${model.config.hiddenSize} ...`);
  const planner = new Planner({ config: model.config, settings, recipe, hardware, devices, data, share });
  const plan = planner.plan();
  say("looking for the fastest split that fits ...");
  const best = planner.fastest();
  const others = best === undefined ? planner.alternatives() : [];
  const heading = {
    recipe,
    model: model.name,
    parameters: countParameters(model.config).total,
    hardware,
    devices,
    fromRows: "lengths" in data,
    share,
  };
  return { text: planText(plan, heading, best, others), json: { ...heading, plan, best, others } };
}

async function dataOf({ recipe, settings, model, ...request }: PlanRequest): Promise<PlanInput["data"]> {
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
