import { existsSync } from "node:fs";
import { Command } from "commander";
import { SettingsError } from "../../errors.js";
import type { ModelConfig } from "../../model/model-config.js";
import type { StatedLinks } from "../../plan/topology.js";
import { settingsShape } from "../../settings/knob.js";
import { knobs } from "../../settings/knobs.js";
import type { Recipe } from "../../settings/recipe.js";
import { closest } from "../../settings/suggest.js";
import { loadBuiltRecipe } from "../load-recipe.js";
import { addSettingsOptions, recipeSettings } from "../settings-options.js";

interface PlanOptions {
  recipe: string;
  model?: string;
  data?: string;
  on: string;
  devices: string;
  devicesPerNode?: string;
  linkGbps?: string;
  networkGbps?: string;
  rows: string;
  meanTokens: string;
  share?: string;
  measured?: string;
  price?: string;
  threads?: string;
  json?: boolean;
  preset?: string;
}

export function command(recipeOf: (name: string) => Promise<Recipe> = loadBuiltRecipe): Command {
  const plan = new Command("plan")
    .description(
      "Peak memory, exchange and time of a recipe before it runs, on one device or a cluster: from passes measured here through the model's own layers, and from shapes. Says which split is the fastest that fits, and on how few devices it fits.",
    )
    .option("--recipe <name>", "sft or dpo", "sft")
    .option("--model <folder>", "model folder, or a published shape such as llama-2-7b")
    .option("--data <file>", "rows to train on: steps are then laid out exactly")
    .option(
      "--on <hardware>",
      "here, h100, h200, a100-80gb, a100-40gb, l40s, rtx-5090, rtx-4090, rtx-3090",
      "here",
    )
    .option("--devices <counts>", "how many of them; several, such as 8,64,512, make a table", "1")
    .option("--devices-per-node <count>", "of each machine [8; here all]")
    .option("--link-gbps <gigabits>", "a second each way between devices of a node, as collectives reach it")
    .option("--network-gbps <gigabits>", "a second for each device between nodes [80 % of 400]")
    .option("--rows <count>", "examples, where --data is not given", "326154")
    .option("--mean-tokens <count>", "mean tokens of a row, where --data is not given", "600")
    .option("--share <fraction>", "share of another device's peak that training reaches [0.4]")
    .option("--measured <file>", "figures of that device, written by benchmarks/cuda/speed.mjs --out")
    .option("--price <amount>", "for an hour of one device: what the run costs")
    .option("--threads <count>", "CPU threads for the measurement")
    .option("--json", "the plan as JSON, for programs");
  addSettingsOptions(plan, undefined);
  plan.helpOption("-h, --help", "print this");
  return plan.action(async (options: PlanOptions, called: Command) => {
    const name = options.recipe;
    if (name !== "sft" && name !== "dpo")
      throw new SettingsError("ERR_USAGE", `"${name}" cannot be planned.`, {
        where: "--recipe",
        fix: "plan sft or dpo; the passes of a reward model's pairs are those of dpo, and it has no reference.",
      });
    const settings = planSettings(await recipeOf(name), called);
    await run(name, options, settings);
  });
}

type Settings = Parameters<typeof import("../plan/make-plan.js").makePlan>[0]["settings"];

/** The recipe's settings without a place to write to; model and data may be left out. */
function planSettings(recipe: Recipe, called: Command): Settings {
  const places = { out: knobs.out.default(""), model: knobs.model.default(""), data: knobs.data.default("") };
  const settings = recipe.settings.extend(places);
  const resolved = recipeSettings("plan", { ...recipe, settings }, called, settingsShape(settings));
  return resolved.settings as unknown as Settings;
}

async function run(recipe: "sft" | "dpo", options: PlanOptions, settings: Settings): Promise<void> {
  // Loads the engine: `camelid plan --help` does without.
  const { makePlan } = await import("../plan/make-plan.js");
  const plan = await makePlan({
    recipe,
    settings,
    model: await modelOf(options),
    ...(options.data === undefined ? {} : { data: options.data }),
    hardware: options.on,
    devices: options.devices.split(",").map((count) => number("--devices", count)),
    links: linksOf(options),
    examples: number("--rows", options.rows),
    meanTokens: number("--mean-tokens", options.meanTokens),
    ...rateOptions(options),
    ...given("price", "--price", options.price),
    ...given("threads", "--threads", options.threads),
    say: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(options.json ? `${JSON.stringify(plan.json, null, 2)}\n` : `${plan.text}\n`);
}

function linksOf({ devicesPerNode, linkGbps, networkGbps }: PlanOptions): StatedLinks {
  const gigabits = (flag: string, text: string): number => (number(flag, text) * 1e9) / 8;
  return {
    ...given("devicesPerNode", "--devices-per-node", devicesPerNode),
    ...(linkGbps === undefined ? {} : { linkBytes: gigabits("--link-gbps", linkGbps) }),
    ...(networkGbps === undefined ? {} : { networkBytes: gigabits("--network-gbps", networkGbps) }),
  };
}

function rateOptions({ share, measured, on }: PlanOptions): { share?: number; measured?: string } {
  if (share !== undefined && (measured !== undefined || on === "here")) {
    throw new SettingsError(
      "ERR_PLAN_RATE",
      measured === undefined
        ? "passes are measured on this machine: there is no share to assume."
        : "a measured rate and an assumed share were both given.",
      {
        where: "--share",
        fix: measured === undefined ? "leave it out, or name a device with --on." : "leave one of them out.",
      },
    );
  }
  const checked = given("share", "--share", share);
  if (checked.share !== undefined && checked.share > 1) {
    throw new SettingsError(
      "ERR_INVALID_VALUE",
      `--share is "${share}"; it is a share of the peak, up to 1.`,
      {
        where: "--share",
        fix: "40 % is 0.4.",
      },
    );
  }
  return { ...checked, ...(measured === undefined ? {} : { measured }) };
}

function given<Name extends string>(
  name: Name,
  flag: string,
  text: string | undefined,
): { [N in Name]?: number } {
  return (text === undefined ? {} : { [name]: number(flag, text) }) as { [N in Name]?: number };
}

async function modelOf({
  model,
  preset,
}: PlanOptions): Promise<{ name: string; config: ModelConfig; folder?: string }> {
  const { publishedShape, shapeNames, shapeOfPreset } = await import("../../plan/shapes.js");
  const named = model ?? (preset === undefined ? undefined : shapeOfPreset(preset));
  if (named === undefined) {
    throw new SettingsError("ERR_MISSING_VALUE", "a plan needs to know the model.", {
      where: "--model",
      fix: `name a folder, or one of ${shapeNames.join(", ")}.`,
    });
  }
  const shape = publishedShape(named);
  if (shape !== undefined) return { name: named, config: shape };
  if (!existsSync(named)) {
    const suggestion = closest(named, shapeNames);
    throw new SettingsError("ERR_MODEL_FOLDER", `"${named}" is no folder, and no shape that is known.`, {
      where: "--model",
      fix: `${suggestion === undefined ? "" : `did you mean ${suggestion}? `}shapes: ${shapeNames.join(", ")}.`,
    });
  }
  const { readConfig } = await import("../../model/config.js");
  return { name: named, config: readConfig(named).config, folder: named };
}

function number(flag: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new SettingsError("ERR_INVALID_VALUE", `${flag} is "${text}"; it must be a number above 0.`, {
    where: flag,
    fix: "give such a number.",
  });
}
